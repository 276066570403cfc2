"""What an adaptation may train: the methods, behind one interface.

A method makes the compact, trainable tensors of a style for a generator; `style.expand` turns them into deltas on its
parameters. Nothing else of the method exists: training, saving, blending and export treat all methods alike.

    lowrank  rank-r updates of every 3x3 convolution, offsets of style and layer biases, ToRGB whole.   some 100 KB
             For most things: colour, patches, relief. Source: Hu et al. 2021 (LoRA), here on convolutions.
    style    StyleSpace offsets: one number for each input channel of each modulated layer.             a few KB
             For changes of surface on large generators. Source: Alanov et al. 2023 (StyleDomain).
    full     every convolution with its style layer, bias and noise strength, and the constant.         as the generator
             For changes of shape. Source: Gal et al. 2021 (StyleGAN-NADA).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ...stylegan2.networks import Generator
from .style import DOWN, UP

MakeTensors = Callable[[Generator, int, torch.Generator], dict[str, Tensor]]


@dataclass(frozen=True, kw_only=True)
class Method:
    """make(generator, rank, rng) -> the tensors, all deltas zero at the start; the rest are Adam's own settings.

    max_iterations  where "auto" stops at the latest
    """

    summary: str
    make: MakeTensors
    learning_rate: float
    betas: tuple[float, float]
    max_iterations: int


def _zeros_like(generator: Generator, name: str) -> Tensor:
    return torch.zeros_like(dict(generator.named_parameters())[name])


def style_offsets(generator: Generator, rank: int, rng: torch.Generator) -> dict[str, Tensor]:
    """An offset of the style s of every modulated layer, ToRGB included: the delta of its affine bias."""
    names = [f"synthesis.{layer.name}.affine.bias" for layer in generator.layers()]
    return {name: _zeros_like(generator, name) for name in names}


def low_rank(generator: Generator, rank: int, rng: torch.Generator) -> dict[str, Tensor]:
    """Low-rank updates of the convolutions; biases, noise strengths and ToRGBs are small enough to be trained whole."""
    tensors = style_offsets(generator, rank, rng)
    for layer in generator.layers():
        prefix = f"synthesis.{layer.name}"
        tensors[f"{prefix}.bias"] = _zeros_like(generator, f"{prefix}.bias")
        if layer.kind == "torgb":
            tensors[f"{prefix}.weight"] = _zeros_like(generator, f"{prefix}.weight")
            continue
        tensors[f"{prefix}.noise_strength"] = _zeros_like(generator, f"{prefix}.noise_strength")
        r = min(rank, layer.c_in, layer.c_out)
        # Unit variance: weights are stored at unit variance too (equalized learning rate).
        down = torch.randn(r, layer.c_in, layer.kernel, layer.kernel, generator=rng) / r**0.5
        tensors[f"{prefix}.weight{DOWN}"] = down.to(generator.mapping.w_avg.device)
        tensors[f"{prefix}.weight{UP}"] = torch.zeros(layer.c_out, r, device=generator.mapping.w_avg.device)
    return tensors


def full_weights(generator: Generator, rank: int, rng: torch.Generator) -> dict[str, Tensor]:
    """What the paper trains: everything of synthesis but the ToRGBs; the mapping stays."""
    trained = [
        name for name, _ in generator.named_parameters() if name.startswith("synthesis.") and ".torgb." not in name
    ]
    return {name: _zeros_like(generator, name) for name in trained}


METHODS: dict[str, Method] = {
    "lowrank": Method(
        summary="low-rank updates with biases and ToRGB: colour, patches, relief",
        make=low_rank,
        learning_rate=0.006,
        betas=(0.9, 0.99),
        max_iterations=300,
    ),
    "style": Method(
        summary="StyleSpace offsets: the smallest, for changes of surface",
        make=style_offsets,
        learning_rate=0.05,
        betas=(0.9, 0.999),
        max_iterations=250,
    ),
    "full": Method(
        summary="all convolutions, as in the paper: changes of shape",
        make=full_weights,
        learning_rate=0.002,
        betas=(0.0, 0.99),
        max_iterations=300,
    ),
}
