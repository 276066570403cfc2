"""An endless, seeded stream of rendered materials with their attributes."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import torch
from torch import Tensor

from .captions import CONDITION_NAMES, FAMILY_NAMES, NOTHING, TINT_NAMES, TINTS, Attributes
from .conditions import CONDITIONS
from .draws import RandomDraw
from .families import FAMILIES
from .fields import downsample
from .photograph import photograph
from .surface import Surface

SUPERSAMPLING = 2
BLOCK = 64
"""Pictures rendered together."""


def _tinted(surface: Surface, tint: int) -> Surface:
    """The surface in a named colour: its own light and dark, the colour's hue."""
    rgb = torch.tensor(TINTS[TINT_NAMES[tint]], device=surface.albedo.device)[:, None, None]
    grey = surface.albedo.mean(1, keepdim=True)
    relative = (grey / grey.mean((2, 3), keepdim=True).clamp_min(0.05)).clamp(0.2, 2)
    albedo = torch.lerp(rgb * relative, surface.albedo, 0.12).clamp(0, 1)
    return Surface(surface.height, albedo, surface.relief, surface.gloss)


def render(attributes: list[Attributes], *, size: int, rng: torch.Generator) -> Tensor:
    """Pictures [n, 3, size, size] in [0, 1], in the order of `attributes`; periodic in both axes.

    Rendered at twice the size and filtered down. Equal families are made together, which is what makes it quick.
    """
    return render_with_depth(attributes, size=size, rng=rng)[0]


def render_with_depth(attributes: list[Attributes], *, size: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """`render`'s pictures, and how high each of their surfaces stands: [n, size, size] in pixels, zero on average."""
    groups: dict[int, list[int]] = defaultdict(list)
    for index, a in enumerate(attributes):
        groups[a.family].append(index)
    pictures = torch.empty(len(attributes), 3, size, size, device=rng.device)
    depths = torch.empty(len(attributes), size, size, device=rng.device)
    for family, indices in groups.items():
        surface = FAMILIES[FAMILY_NAMES[family]](RandomDraw(rng, len(indices), size * SUPERSAMPLING))
        for row, index in enumerate(indices):
            one = Surface(*(t[row : row + 1] for t in (surface.height, surface.albedo, surface.relief, surface.gloss)))
            a = attributes[index]
            if a.tint != NOTHING:
                one = _tinted(one, a.tint)
            if a.condition != NOTHING:
                one = CONDITIONS[CONDITION_NAMES[a.condition]](rng, one)
            pictures[index] = downsample(photograph(RandomDraw(rng, 1, size * SUPERSAMPLING), one), SUPERSAMPLING)[0]
            depth = downsample((one.height * one.relief * size)[:, None], SUPERSAMPLING)[0, 0]
            depths[index] = depth - depth.mean()
    return pictures, depths


def draw_attributes(n: int, rng: torch.Generator, *, weathered: float, tinted: float) -> list[Attributes]:
    """Random attributes; `weathered` and `tinted` are the shares with a condition and with a named colour."""
    family = torch.randint(len(FAMILY_NAMES), (n,), generator=rng, device=rng.device).tolist()
    condition = torch.randint(len(CONDITION_NAMES), (n,), generator=rng, device=rng.device).tolist()
    tint = torch.randint(len(TINT_NAMES), (n,), generator=rng, device=rng.device).tolist()
    chance = torch.rand(n, 2, generator=rng, device=rng.device).tolist()
    return [
        Attributes(f, c if chance[i][0] < weathered else NOTHING, t if chance[i][1] < tinted else NOTHING)
        for i, (f, c, t) in enumerate(zip(family, condition, tint, strict=True))
    ]


class MaterialBank:
    """A bank of rendered pictures from which batches are drawn, its oldest pictures made anew now and then.

    A batch depends on the settings and its number alone: pictures are rendered in blocks that are seeded by their place
    in the stream, so a bank made with `start` goes on as one that has given `start` batches.

    capacity  pictures kept, in whole blocks, as uint8 [capacity, 3, size, size]
    refresh   pictures made anew for each batch, on average
    A batch rolls each picture at random, which a periodic picture allows, so that no place of it is special.
    """

    def __init__(
        self, *, size: int, capacity: int, refresh: int, seed: int, weathered: float, tinted: float, start: int = 0
    ) -> None:
        self.size, self.refresh, self.seed, self.given = size, refresh, seed, start
        self.weathered, self.tinted = weathered, tinted
        self.blocks = -(-capacity // BLOCK)
        self.pictures = torch.empty(self.blocks * BLOCK, 3, size, size, dtype=torch.uint8)
        self.attributes: list[Attributes] = [Attributes(0)] * len(self.pictures)
        self._oldest = self._due()
        for block in range(self._oldest, self._oldest + self.blocks):
            self._render(block)

    def _due(self) -> int:
        """The oldest block that the next batch is drawn from."""
        return self.given * self.refresh // BLOCK

    def _render(self, block: int) -> None:
        rng = _rng(self.seed, block)
        attributes = draw_attributes(BLOCK, rng, weathered=self.weathered, tinted=self.tinted)
        place = block % self.blocks * BLOCK
        pictures = render(attributes, size=self.size, rng=rng)
        self.pictures[place : place + BLOCK] = (pictures * 255).round().to(torch.uint8)
        self.attributes[place : place + BLOCK] = attributes

    def batch(self, n: int) -> tuple[Tensor, list[Attributes]]:
        """n pictures [n, 3, size, size] in [-1, 1], with their attributes."""
        while self._oldest < self._due():
            self._render(self._oldest + self.blocks)
            self._oldest += 1
        rng = _rng(self.seed, self.given, 1)
        self.given += 1
        index = torch.randint(len(self.pictures), (n,), generator=rng).tolist()
        shifts = torch.randint(self.size, (n, 2), generator=rng).tolist()
        rolled = [torch.roll(self.pictures[i], shift, (1, 2)) for i, shift in zip(index, shifts, strict=True)]
        return torch.stack(rolled).float() / 127.5 - 1, [self.attributes[i] for i in index]


def _rng(*key: int) -> torch.Generator:
    return torch.Generator().manual_seed(int(np.random.SeedSequence(key).generate_state(1)[0]))
