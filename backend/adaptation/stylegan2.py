"""StyleGAN2 as a subject of adaptation: shared trunk, pictures of the size that is needed, low-rank branches."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.func import functional_call
from torch.utils.checkpoint import checkpoint

from ...stylegan2.checkpoints import generator_hash
from ...stylegan2.config import GeneratorConfig
from ...stylegan2.inputs import SynthesisInputs, beside, sample_inputs
from ...stylegan2.networks import Generator, Partway
from ...stylegan2.ops.low_rank import LowRank
from ..errors import BadRequest
from .measures import fixed_latents
from .methods import METHODS
from .settings import AdaptSettings
from .style import DOWN, UP, expand
from .subject import Cost, Layer

PREFIX, AFFINE = "synthesis.", ".affine."
COARSE = 6 / 17
"""The share of the convolutions that Alanov et al. 2023 leave alone for changes of surface: 6 of the 17 at 1024 px."""
REPEATS = 2
"""How often the picture of a generator without places repeats along both axes in training: it takes a quarter of the
time, and a CLIP still sees every layer's work, at its true scale."""
WORKING_MAPS = 4
"""Of the largest layer, in its backward pass: the gradients of its result and of the convolution's, the scaled input,
and what libraries take. Every layer keeps one more, its result (`ops.sparing`)."""


@dataclass(frozen=True)
class Drawn:
    """ws [N, L, w_dim] and everything else that is random."""

    ws: Tensor
    inputs: SynthesisInputs


class StyleGAN2Subject:
    """generator      frozen here; its weights are left as they are
    tile           padding; None = as it was trained
    train_px       side of the pictures trained on: the sum of the colours up to there. None = the full size, of which a
                   generator without places makes a quarter, repeated along both axes
    checkpointing  keep no activations but those between blocks
    class_index    of a conditional generator, the only class that is drawn; None = all
    Raises         BadRequest for a size that the generator does not pass through
    """

    def __init__(
        self,
        generator: Generator,
        *,
        tile: str | None = None,
        train_px: int | None = None,
        checkpointing: bool = False,
        class_index: int | None = None,
    ) -> None:
        self.generator = generator.eval().requires_grad_(False)
        config = generator.config
        self.tile = tile or config.tile
        self.checkpointing, self.class_index = checkpointing, class_index
        self.base: tuple[str, ...] = (f"{PREFIX}b4.const",)
        self.codes, self.kinds = config.num_ws, generator.kind_names
        sizes = [4 << k for k in range(config.blocks)]
        if train_px is not None and train_px not in sizes:
            raise BadRequest(f"This generator passes through {', '.join(map(str, sizes))} px; train at one of these.")
        self.train_px = train_px or config.resolution
        self.repeats = REPEATS if train_px is None and self.tile == "xy" and not config.has_places else 1
        self.blocks = sizes.index(self.train_px) + 1
        self.sides = (self.train_px, self.train_px)

    @property
    def device(self) -> torch.device:
        return self.generator.mapping.w_avg.device

    def hash(self) -> str:
        return generator_hash(self.generator)

    def parameters(self) -> Mapping[str, Tensor]:
        return dict(self.generator.named_parameters())

    def layers(self) -> Sequence[Layer]:
        """Those that the training pictures pass through."""
        found = [layer for layer in self.generator.layers() if layer.resolution <= self.train_px]
        coarse = round(COARSE * self.generator.config.num_convs)
        return [
            Layer(
                name=layer.name,
                kind="conv" if layer.kind == "conv" else "colour",
                weight=f"{PREFIX}{layer.name}.weight",
                style=f"{PREFIX}{layer.name}.affine.bias",
                bias=f"{PREFIX}{layer.name}.bias",
                noise=f"{PREFIX}{layer.name}.noise_strength" if layer.kind == "conv" else None,
                others=(f"{PREFIX}{layer.name}.affine.weight",),
                coarse=layer.w_index < coarse,
                code=layer.w_index,
            )
            for layer in found
        ]

    # Inputs

    def draw(self, n: int, rng: torch.Generator, *, psi: float = 1.0, mixing: float = 0.0) -> Drawn:
        """Latents, mixing and noise, drawn once for both pictures of a pair."""
        config = self.generator.config
        z = torch.randn(2 * n, config.z_dim, generator=rng).to(self.device)
        with torch.no_grad():
            # Both halves always, so that the random numbers of a run do not depend on whether any picture is mixed.
            ws = self.generator.map(z, psi=psi, labels=self._labels(2 * n, rng), at_once=True)
            first, second = ws.chunk(2)
        cut = torch.randint(1, config.num_ws, (n, 1, 1), generator=rng)
        mixed = torch.rand(n, 1, 1, generator=rng) < mixing
        later = torch.arange(config.num_ws)[None, :, None] >= cut
        ws = torch.where((mixed & later).to(self.device), second, first)
        grid = (4 // self.repeats, 4 // self.repeats)
        inputs = sample_inputs(config, n, grid, generator=beside(rng, self.device))
        return Drawn(ws, inputs.to(self.device))

    def _labels(self, n: int, rng: torch.Generator) -> Tensor | None:
        return self.generator.labels(drawn_classes(self.generator, n, rng, self.class_index))

    def fixed(self, n: int) -> Drawn:
        return Drawn(*fixed_latents(self.generator, n, class_index=self.class_index))

    def some(self, drawn: Drawn, chosen: slice) -> Drawn:
        return Drawn(drawn.ws[chosen], drawn.inputs.items(chosen))

    def codes_of(self, drawn: Drawn) -> Tensor:
        return drawn.ws

    def with_codes(self, drawn: Drawn, codes: Tensor) -> Drawn:
        return replace(drawn, ws=codes)

    def tensors_of(self, drawn: Drawn) -> list[Tensor]:
        """What of the inputs is numbers."""
        inputs = drawn.inputs
        return [drawn.ws, *([] if inputs.input_map is None else [inputs.input_map]), *inputs.noise]

    def filled(self, drawn: Drawn, tensors: Sequence[Tensor]) -> Drawn:
        """The same inputs with other numbers, in the order of `tensors_of`."""
        ws, *rest = tensors
        input_map = None if drawn.inputs.input_map is None else rest.pop(0)
        return Drawn(ws, replace(drawn.inputs, input_map=input_map, noise=tuple(rest)))

    # Pictures

    def pair(self, drawn: Drawn, tensors: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Blocks below the first changed one give both pictures the same features, so they run once."""
        with torch.no_grad():
            trunk = self._run(drawn, stop=min(map(_block, tensors), default=0))
            source = self._run(drawn, start=trunk, stop=self.blocks)
        return self._laid_out(source), self._laid_out(self._changed(drawn, tensors, trunk))

    def pictures(self, drawn: Drawn, tensors: Mapping[str, Tensor] | None = None) -> Tensor:
        return _image(self._run(drawn, stop=self.generator.config.blocks, tensors=tensors, sparing=False))

    def sums(self, drawn: Drawn, smallest: int) -> Iterator[tuple[int, Tensor]]:
        """(side, pictures [N, 3, side, side]) of the sums of colours, from a size on to the whole."""
        reached = None
        for stop in range(smallest.bit_length() - 2, self.generator.config.blocks + 1):
            reached = self._run(drawn, start=reached, stop=stop, sparing=False)
            yield 2 << stop, _image(reached)

    def training_pictures(self, drawn: Drawn, tensors: Mapping[str, Tensor]) -> Tensor:
        return self._laid_out(self._run(drawn, stop=self.blocks, tensors=tensors))

    def _laid_out(self, reached: Partway) -> Tensor:
        return _image(reached).repeat(1, 1, self.repeats, self.repeats)

    def _changed(self, drawn: Drawn, tensors: Mapping[str, Tensor], trunk: Partway) -> Partway:
        if not self.checkpointing:
            return self._run(drawn, start=trunk, stop=self.blocks, tensors=tensors)
        for stop in range(trunk.block + 1, self.blocks + 1):
            trunk = checkpoint(self._run, drawn, start=trunk, stop=stop, tensors=tensors, use_reentrant=False)
        return trunk

    def _run(
        self,
        drawn: Drawn,
        *,
        start: Partway | None = None,
        stop: int,
        tensors: Mapping[str, Tensor] | None = None,
        sparing: bool = True,
    ) -> Partway:
        """The source's parameters plus the deltas of `tensors`, through some blocks. A low-rank change of a convolution
        runs as a branch beside it; that of a matrix is written out.

        sparing  both pictures of a pair are made so, since only then are they equal bit for bit at the start
        """
        parameters, updates, dense = self.parameters(), {}, {}
        for name, tensor in (tensors or {}).items():
            if AFFINE in name or not name.endswith((UP, DOWN)):
                dense[name] = tensor
            elif name.endswith(UP):
                layer = name.removeprefix(PREFIX).removesuffix(f".weight{UP}")
                updates[layer] = LowRank(tensor, (tensors or {})[name.removesuffix(UP) + DOWN])
        changed = {name.removeprefix(PREFIX): parameters[name] + delta for name, delta in expand(dense).items()}
        options = {"tile": self.tile, "start": start, "stop": stop, "updates": updates, "sparing": sparing}
        return functional_call(self.generator.synthesis, changed, (drawn.ws, drawn.inputs), options)

    def cost(self, names: Sequence[str]) -> Cost:
        first, shared, trained, maps = min(map(_block, names), default=0), 0, 0, [0]
        for layer in self.generator.layers():
            if layer.resolution > self.train_px:
                continue
            # An up-sampling convolution has nine taps for each pixel of its input.
            side = layer.resolution // 2 if layer.name.endswith("conv0") else layer.resolution
            macs = layer.c_in * layer.c_out * layer.kernel**2 * (side / self.repeats) ** 2
            if _block(f"{PREFIX}{layer.name}.") < first:
                shared += macs
                continue
            trained += macs
            maps.append(4 * layer.c_out * (layer.resolution / self.repeats) ** 2)
        kept = round(sum(maps) + WORKING_MAPS * max(maps))
        return Cost(shared_gmac=shared / 1e9, trained_gmac=trained / 1e9, kept_bytes=kept)


def drawn_classes(
    generator: Generator, n: int, rng: torch.Generator, class_index: int | None = None
) -> list[int | None]:
    """The one that is given, or any of a conditional generator's, n times."""
    c_dim = generator.config.c_dim
    if class_index is not None or not c_dim:
        return [class_index] * n
    return torch.randint(c_dim, (n,), generator=rng).tolist()


def _block(name: str) -> int:
    """ "synthesis.b16.conv0.bias" -> 2, the place of b16 among the blocks."""
    return int(name.removeprefix(f"{PREFIX}b").split(".")[0]).bit_length() - 3


def _image(reached: Partway) -> Tensor:
    assert reached.image is not None  # at least one block has run
    return reached.image


@functools.lru_cache(maxsize=64)
def result_bytes(config: GeneratorConfig) -> dict[str, int]:
    """How large a style of each method is for such a generator, at most; nothing is loaded or computed."""
    with torch.device("meta"):
        subject = StyleGAN2Subject(Generator(config))
    settings = {name: AdaptSettings(source="a", target="b", method=name) for name in METHODS}
    return {name: METHODS[name].nbytes(subject, settings[name]) for name in METHODS}
