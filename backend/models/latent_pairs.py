"""Latents and the pictures that belong to them: what the built-in generator learns, and what its mapping is told."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ...stylegan2.config import GeneratorConfig
from ...stylegan2.inputs import SynthesisInputs, sample_inputs
from ...stylegan2.latents import KIND_NUMBERS, kind_of
from ...stylegan2.training.pairs import LESSON_BATCH, Pairs
from .procedural.latent_render import KINDS, render_latents, surfaces_of
from .procedural.stream import rng_of

BLOCK = 64
"""Pairs rendered together on a processor."""
FIRST_BLOCKS = 8
"""With so many a bank begins, so that training does not wait for all."""
STAY = 4
"""Batches in a row from one block, whose latents are drawn once for them."""
TOLD = 23
"""Numbers of a latent that the families use, from the first on."""
LESSON_SIZE = 16
"""Side of the surfaces that lessons look at: colours are all that is asked of them."""


class PairBank:
    """A growing bank of pairs from which batches are drawn; once it is full, its oldest pairs are made anew.

    A batch depends on the settings, the kind of device and its number alone: pairs are made in blocks, seeded by their
    place in the stream, so a bank made with `start` goes on as one that has given `start` batches. Only pictures are
    kept: latents and inputs are quickly drawn again, and several times as large.

    capacity  pairs kept, in whole blocks
    refresh   pairs made for each batch, on average; with 0 the bank is full at once, and stays as it is
    block     pairs rendered together: on a GPU many, which take hardly longer there than few
    The pairs of a batch come from one block, rolled at random by whole cells of the base grid: picture, map and noise.
    """

    def __init__(
        self,
        config: GeneratorConfig,
        *,
        capacity: int,
        refresh: int,
        seed: int,
        start: int = 0,
        block: int = BLOCK,
        device: str = "cpu",
    ) -> None:
        self._config, self._refresh, self._seed, self.given = config, refresh, seed, start
        self._block, self._device = block, device
        self._count = -(-capacity // block)
        self._first = min(FIRST_BLOCKS, self._count) if refresh else self._count
        self._blocks: dict[int, Tensor] = {}
        self._drawn: tuple[int, Tensor, SynthesisInputs] | None = None

    def _wanted(self) -> range:
        """The blocks that the next batch is drawn from."""
        end = self._first + self.given * self._refresh // self._block
        return range(max(0, end - self._count), end)

    def _latents(self, block: int) -> tuple[Tensor, SynthesisInputs]:
        rng = rng_of(self._seed, block, device=self._device)
        z = torch.randn(self._block, self._config.z_dim, generator=rng, device=self._device)
        return z, sample_inputs(self._config, self._block, generator=rng)

    def _rendered(self, block: int) -> Tensor:
        return (render_latents(*self._latents(block), self._config.resolution) * 255).round().to(torch.uint8)

    def fill(self, before_each: Callable[[], None] = lambda: None) -> range:
        """Make what the next batch is drawn from, some seconds a block; before_each may raise to stop. Its blocks."""
        blocks = self._wanted()
        self._blocks = {block: pictures for block, pictures in self._blocks.items() if block in blocks}
        for block in blocks:
            if block not in self._blocks:
                before_each()
                self._blocks[block] = self._rendered(block)
        return blocks

    def batch(self, n: int) -> Pairs:
        """n pairs, on the bank's device."""
        blocks = self.fill()
        rng, turn = rng_of(self._seed, self.given, 1), rng_of(self._seed, self.given // STAY, 2)
        self.given += 1
        block = int(torch.randint(blocks.start, blocks.stop, (), generator=turn))
        if self._drawn is None or self._drawn[0] != block:
            self._drawn = (block, *self._latents(block))
        rows = torch.randint(self._block, (n,), generator=rng).to(self._device)
        cells = torch.randint(4, (2,), generator=rng).tolist()
        _, z, inputs = self._drawn
        pictures = _rolled(self._blocks[block][rows], cells).float() / 127.5 - 1
        return Pairs(z[rows], _rolled_inputs(inputs.items(rows), cells), pictures)


def _rolled(field: Tensor, cells: list[int]) -> Tensor:
    """[N, C, s, s], moved by whole cells of the base grid."""
    side = field.shape[-1] // 4
    return field.roll((cells[0] * side, cells[1] * side), (2, 3))


def _rolled_inputs(inputs: SynthesisInputs, cells: list[int]) -> SynthesisInputs:
    assert inputs.input_map is not None
    return SynthesisInputs(
        input_map=_rolled(inputs.input_map, cells), noise=tuple(_rolled(noise, cells) for noise in inputs.noise)
    )


class MaterialLesson:
    """What a mapping is told of latents (see `pairs.Lesson`): their family, their numbers, and the colours they give.

    A family counts as one of 17 numbers, 1 for it and 0 for the others, so that styles can be linear in it.
    """

    def __init__(self, config: GeneratorConfig, seed: int) -> None:
        self._inputs = sample_inputs(config, LESSON_BATCH, generator=rng_of(seed, 2))

    def __call__(self, z: Tensor, thorough: bool) -> Tensor:
        kinds = 2**0.5 * F.one_hot(kind_of(z, KINDS), KINDS).float()
        unit = z * z.square().mean(1, keepdim=True).add(1e-8).rsqrt()
        first = KIND_NUMBERS + 1
        brief = torch.cat([kinds, unit[:, first : first + TOLD - 1] / TOLD**0.5], 1)
        return torch.cat([brief, 0.75 * self._looks(z)], 1) if thorough else brief

    def _looks(self, z: Tensor) -> Tensor:
        """[N, 9]: mean colour, the colours of its lights and darks, depth of relief, choice, gloss."""
        looks = torch.empty(len(z), 9, device=z.device)
        for rows, half, surface in surfaces_of(z, self._inputs.items(slice(len(z))).to(z.device), LESSON_SIZE):
            albedo = surface.albedo
            light = albedo.mean(1, keepdim=True)
            light = light - light.mean((2, 3), keepdim=True)
            spread = (albedo * light).mean((2, 3)) / light.square().mean((2, 3)).add(1e-6).sqrt()
            chosen = torch.full((len(albedo), 1), float(half), device=z.device)
            gloss = surface.gloss.mean((1, 2))[:, None]
            looks[rows] = torch.cat(
                [2 * albedo.mean((2, 3)) - 1, 4 * spread, 20 * surface.relief[:, :, 0], chosen, 3 * gloss], 1
            )
        return looks
