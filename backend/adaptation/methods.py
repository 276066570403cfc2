"""What an adaptation may train: the methods, behind one interface.

A method names the compact, trainable tensors of a style for a generator (`shapes`); `style.expand` turns them into
deltas on its parameters. Nothing else of the method exists: training, saving, blending and export treat all alike.

Source  lowrank: Hu et al. 2021 (LoRA), here on convolutions, and on affine layers as in AffineLight+ of StyleDomain
        (Alanov et al. 2023); style: StyleDomain, with ToRGB; layers, full: Gal et al. 2021 (StyleGAN-NADA), section 4.2
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import BadRequest
from .settings import AdaptSettings
from .style import DOWN, UP
from .subject import Layer, Subject

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True, kw_only=True)
class Method:
    """summary         what it is in a few words
    trains          what it changes
    suits           what it is for
    shapes          (subject, settings) -> the tensors of a style of this method
    learning_rate, betas  of Adam
    max_iterations  where "auto" stops at the latest
    selects         whether it chooses among `shapes` while it trains (see `selection`)
    """

    summary: str
    trains: str
    suits: str
    shapes: Callable[[Subject, AdaptSettings], Shapes]
    learning_rate: float
    betas: tuple[float, float]
    max_iterations: int
    selects: bool = False

    def make(self, subject: Subject, settings: AdaptSettings, rng: torch.Generator) -> dict[str, Tensor]:
        """The tensors, all deltas zero at the start; none yet where the method selects."""
        return {} if self.selects else make_tensors(self.shapes(subject, settings), subject.device, rng)

    def nbytes(self, subject: Subject, settings: AdaptSettings) -> int:
        """How large the result is (at most, where the method selects)."""
        return 4 * sum(math.prod(shape) for shape in self.shapes(subject, settings).values())


def make_tensors(shapes: Shapes, device: torch.device, rng: torch.Generator) -> dict[str, Tensor]:
    """Zeros, but for the inner halves of low-rank changes: those are random at unit variance, as weights are stored."""
    return {
        name: (torch.randn(shape, generator=rng) / shape[0] ** 0.5 if name.endswith(DOWN) else torch.zeros(shape)).to(
            device
        )
        for name, shape in shapes.items()
    }


def _chosen(subject: Subject, settings: AdaptSettings) -> list[Layer]:
    return [layer for layer in subject.layers() if settings.coarse or not layer.coarse]


def _of_layers(subject: Subject, layers: list[Layer], *kinds: str) -> Shapes:
    """Shapes of the parameters of these kinds ("style", "bias", ...) of the layers that have them."""
    parameters = subject.parameters()
    names = [name for layer in layers for kind in kinds if (name := getattr(layer, kind))]
    return {name: tuple(parameters[name].shape) for name in names}


def _style_shapes(subject: Subject, settings: AdaptSettings) -> Shapes:
    found = _of_layers(subject, _chosen(subject, settings), "style")
    if not found:
        raise BadRequest("This generator has no styles to offset; choose the method lowrank or full.")
    return found


def _low_rank_shapes(subject: Subject, settings: AdaptSettings) -> Shapes:
    """Low-rank for convolutions and for the matrices that make styles of latents, so that what changes depends on the
    latent (decision 0022); offsets, biases, noise strengths and colours are small enough to be trained whole."""
    layers, parameters = _chosen(subject, settings), subject.parameters()
    shapes = _of_layers(subject, layers, "style")
    for layer in layers:
        colour = layer.kind == "colour"
        shapes |= _of_layers(subject, [layer], "bias", "noise", *(("weight",) if colour else ()))
        for name in layer.others if colour else (layer.weight, *layer.others):
            shapes |= _low_rank(name, tuple(parameters[name].shape), settings.rank)
    return shapes


def _low_rank(name: str, shape: tuple[int, ...], rank: int) -> Shapes:
    """The two factors of a change of [O, I, ...]; a vector is changed as it is."""
    if len(shape) < 2:
        return {name: shape}
    c_out, c_in, *kernel = shape
    r = min(rank, c_in, c_out)
    return {name + DOWN: (r, c_in, *kernel), name + UP: (c_out, r)}


def whole_layers(subject: Subject, layers: list[Layer]) -> Shapes:
    """Every parameter of the layers, as it is."""
    parameters = subject.parameters()
    return {name: tuple(parameters[name].shape) for layer in layers for name in layer.parameters}


def convolutions(subject: Subject) -> list[Layer]:
    return [layer for layer in subject.layers() if layer.kind == "conv"]


def _full_shapes(subject: Subject, settings: AdaptSettings) -> Shapes:
    parameters = subject.parameters()
    base = {name: tuple(parameters[name].shape) for name in subject.base}
    return base | whole_layers(subject, convolutions(subject))


def _layers_shapes(subject: Subject, settings: AdaptSettings) -> Shapes:
    found = convolutions(subject)
    if settings.top_layers and settings.top_layers > len(found):
        raise BadRequest(
            f"top_layers is {settings.top_layers}, and this generator has {len(found)} convolutions to train; give at "
            "most as many, or choose the method full."
        )
    return whole_layers(subject, found)


METHODS: dict[str, Method] = {
    "lowrank": Method(
        summary="low-rank updates with biases and ToRGB",
        trains="low-rank updates of every 3x3 convolution and affine layer; all their biases, noise strengths and "
        "colour layers",
        suits="most things: colour, patches, relief",
        shapes=_low_rank_shapes,
        learning_rate=0.006,
        betas=(0.9, 0.99),
        max_iterations=300,
    ),
    "style": Method(
        summary="StyleSpace offsets: the smallest",
        trains="one offset for each input channel of every layer, colour layers included",
        suits="changes of surface on large generators",
        shapes=_style_shapes,
        learning_rate=0.05,
        betas=(0.9, 0.999),
        max_iterations=250,
    ),
    "layers": Method(
        summary="whole convolutions, those that the target asks for",
        trains="the convolutions that matter most to the target, chosen anew as training goes on",
        suits="changes of shape that leave the rest alone",
        shapes=_layers_shapes,
        learning_rate=0.002,
        betas=(0.0, 0.99),
        max_iterations=300,
        selects=True,
    ),
    "full": Method(
        summary="all convolutions, as in the paper",
        trains="every convolution with its style layer, bias and noise strength, and the constant; no colour layers",
        suits="far changes of shape",
        shapes=_full_shapes,
        learning_rate=0.002,
        betas=(0.0, 0.99),
        max_iterations=300,
    ),
}
