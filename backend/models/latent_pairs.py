"""Latents and the pictures that belong to them: what the built-in generator learns, and what its mapping is told."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...stylegan2.config import GeneratorConfig
from ...stylegan2.inputs import SynthesisInputs, sample_inputs
from ...stylegan2.latents import KIND_NUMBERS, kind_of
from ...stylegan2.training.pairs import LESSON_BATCH, Pairs
from .procedural.latent_render import KINDS, render_latents, surfaces_of

BLOCK = 64
"""Pairs rendered together."""
TOLD = 23
"""Numbers of a latent that the families use, from the first on."""
LESSON_SIZE = 16
"""Side of the surfaces that lessons look at: colours are all that is asked of them."""


class PairBank:
    """A bank of pairs from which batches are drawn, its oldest made anew now and then.

    A batch depends on the settings and its number alone: pairs are rendered in blocks that are seeded by their place in
    the stream, so a bank made with `start` goes on as one that has given `start` batches.

    capacity  pairs kept, in whole blocks
    refresh   pairs made anew for each batch, on average
    A batch rolls each pair at random by whole cells of the base grid: picture, map and noise alike.
    """

    def __init__(self, config: GeneratorConfig, *, capacity: int, refresh: int, seed: int, start: int = 0) -> None:
        self._config, self._refresh, self._seed, self.given = config, refresh, seed, start
        self._count = -(-capacity // BLOCK)
        self._oldest = self._due()
        self._blocks = [self._rendered(block) for block in range(self._oldest, self._oldest + self._count)]

    def _due(self) -> int:
        """The oldest block that the next batch is drawn from."""
        return self.given * self._refresh // BLOCK

    def _rendered(self, block: int) -> tuple[Tensor, SynthesisInputs, Tensor]:
        rng = _rng(self._seed, block)
        z = torch.randn(BLOCK, self._config.z_dim, generator=rng)
        inputs = sample_inputs(self._config, BLOCK, generator=rng)
        pictures = render_latents(z, inputs, self._config.resolution)
        return z, inputs, (pictures * 255).round().to(torch.uint8)

    def batch(self, n: int) -> Pairs:
        """n pairs."""
        while self._oldest < self._due():
            del self._blocks[0]
            self._blocks.append(self._rendered(self._oldest + self._count))
            self._oldest += 1
        rng = _rng(self._seed, self.given, 1)
        self.given += 1
        index = torch.randint(self._count * BLOCK, (n,), generator=rng).tolist()
        cells = torch.randint(4, (n, 2), generator=rng).tolist()
        found = [self._rolled(i, shift) for i, shift in zip(index, cells, strict=True)]
        latents, maps, noises, pictures = zip(*found, strict=True)
        noise = tuple(torch.stack(layer) for layer in zip(*noises, strict=True))
        inputs = SynthesisInputs(input_map=torch.stack(maps), noise=noise)
        return Pairs(torch.stack(latents), inputs, torch.stack(pictures).float() / 127.5 - 1)

    def _rolled(self, index: int, cells: list[int]) -> tuple[Tensor, Tensor, list[Tensor], Tensor]:
        block, row = divmod(index, BLOCK)
        z, inputs, pictures = self._blocks[block]
        assert inputs.input_map is not None

        def rolled(field: Tensor) -> Tensor:
            side = field.shape[-1] // 4
            return field.roll((cells[0] * side, cells[1] * side), (1, 2))

        return z[row], rolled(inputs.input_map[row]), [rolled(n[row]) for n in inputs.noise], rolled(pictures[row])


class MaterialLesson:
    """What a mapping is told of latents (see `pairs.Lesson`): their family, their numbers, and the colours they give.

    A family counts as one of 17 numbers, 1 for it and 0 for the others, so that styles can be linear in it.
    """

    def __init__(self, config: GeneratorConfig, seed: int) -> None:
        self._inputs = sample_inputs(config, LESSON_BATCH, generator=_rng(seed, 2))

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


def _rng(*key: int) -> torch.Generator:
    return torch.Generator().manual_seed(int(np.random.SeedSequence(key).generate_state(1)[0]))
