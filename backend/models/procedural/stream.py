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


def _tinted(surface: Surface, tints: list[int]) -> Surface:
    """Surfaces in named colours, one each: their own light and dark, the colour's hue. NOTHING leaves one as it is."""
    coloured = torch.tensor([tint != NOTHING for tint in tints], device=surface.albedo.device)[:, None, None, None]
    palette = [TINTS[TINT_NAMES[tint]] if tint != NOTHING else (0.0, 0.0, 0.0) for tint in tints]
    rgb = torch.tensor(palette, device=surface.albedo.device)[:, :, None, None]
    grey = surface.albedo.mean(1, keepdim=True)
    relative = (grey / grey.mean((2, 3), keepdim=True).clamp_min(0.05)).clamp(0.2, 2)
    albedo = torch.lerp(rgb * relative, surface.albedo, 0.12).clamp(0, 1)
    return Surface(surface.height, torch.where(coloured, albedo, surface.albedo), surface.relief, surface.gloss)


def render(attributes: list[Attributes], *, size: int, rng: torch.Generator) -> Tensor:
    """Pictures [n, 3, size, size] in [0, 1], in the order of `attributes`; periodic in both axes.

    Rendered at twice the size and filtered down. Equal families are made together, and equal conditions of them, which
    is what makes it quick.
    """
    return render_with_depth(attributes, size=size, rng=rng)[0]


def render_with_depth(attributes: list[Attributes], *, size: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """`render`'s pictures, and how high each of their surfaces stands: [n, size, size] in pixels, zero on average."""
    families: dict[int, list[int]] = defaultdict(list)
    for index, a in enumerate(attributes):
        families[a.family].append(index)
    pictures = torch.empty(len(attributes), 3, size, size, device=rng.device)
    depths = torch.empty(len(attributes), size, size, device=rng.device)
    for family, indices in families.items():
        surface = FAMILIES[FAMILY_NAMES[family]](RandomDraw(rng, len(indices), size * SUPERSAMPLING))
        surface = _weathered(_tinted(surface, [attributes[i].tint for i in indices]), attributes, indices, rng)
        shot = photograph(RandomDraw(rng, len(indices), size * SUPERSAMPLING), surface)
        rows = torch.tensor(indices, device=rng.device)
        pictures[rows] = downsample(shot, SUPERSAMPLING)
        depth = downsample((surface.height * surface.relief * size)[:, None], SUPERSAMPLING)[:, 0]
        depths[rows] = depth - depth.mean((1, 2), keepdim=True)
    return pictures, depths


def _weathered(surface: Surface, attributes: list[Attributes], indices: list[int], rng: torch.Generator) -> Surface:
    """One family's surfaces, which are those of `indices`, each in its condition."""
    conditions = [attributes[i].condition for i in indices]
    parts: dict[str, list[Tensor]] = {"row": [], "height": [], "albedo": [], "relief": [], "gloss": []}
    for condition in sorted(set(conditions)):
        rows = torch.tensor([row for row, c in enumerate(conditions) if c == condition], device=rng.device)
        some = surface.items(rows)
        if condition != NOTHING:
            some = CONDITIONS[CONDITION_NAMES[condition]](rng, some)
        for name in parts:
            parts[name].append(rows if name == "row" else getattr(some, name))
    back = torch.cat(parts.pop("row")).argsort()
    return Surface(**{name: torch.cat(tensors)[back] for name, tensors in parts.items()})


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

    A batch depends on the settings, the kind of device and its number alone: pictures are rendered in blocks that are
    seeded by their place in the stream, so a bank made with `start` goes on as one that has given `start` batches.

    capacity  pictures kept, in whole blocks, as uint8 [capacity, 3, size, size]
    refresh   pictures made anew for each batch, on average
    block     pictures rendered together: on a GPU many, which take hardly longer there than few
    A batch rolls each picture at random, which a periodic picture allows, so that no place of it is special.
    """

    def __init__(
        self,
        *,
        size: int,
        capacity: int,
        refresh: int,
        seed: int,
        weathered: float,
        tinted: float,
        start: int = 0,
        block: int = BLOCK,
        device: str = "cpu",
    ) -> None:
        self.size, self.refresh, self.seed, self.given, self.block = size, refresh, seed, start, block
        self.weathered, self.tinted, self.device = weathered, tinted, device
        self.blocks = -(-capacity // block)
        self.pictures = torch.empty(self.blocks * block, 3, size, size, dtype=torch.uint8, device=device)
        self.attributes: list[Attributes] = [Attributes(0)] * len(self.pictures)
        self._oldest = self._due()
        for number in range(self._oldest, self._oldest + self.blocks):
            self._render(number)

    def _due(self) -> int:
        """The oldest block that the next batch is drawn from."""
        return self.given * self.refresh // self.block

    def _render(self, number: int) -> None:
        rng = rng_of(self.seed, number, device=self.device)
        attributes = draw_attributes(self.block, rng, weathered=self.weathered, tinted=self.tinted)
        place = number % self.blocks * self.block
        pictures = render(attributes, size=self.size, rng=rng)
        self.pictures[place : place + self.block] = (pictures * 255).round().to(torch.uint8)
        self.attributes[place : place + self.block] = attributes

    def batch(self, n: int) -> tuple[Tensor, list[Attributes]]:
        """n pictures [n, 3, size, size] in [-1, 1], where the bank is, with their attributes."""
        while self._oldest < self._due():
            self._render(self._oldest + self.blocks)
            self._oldest += 1
        rng = rng_of(self.seed, self.given, 1)
        self.given += 1
        index = torch.randint(len(self.pictures), (n,), generator=rng)
        shifts = torch.randint(self.size, (n, 2), generator=rng).to(self.device)
        rolled = _rolled(self.pictures[index.to(self.device)], shifts)
        return rolled.float() / 127.5 - 1, [self.attributes[i] for i in index.tolist()]


def _rolled(pictures: Tensor, shifts: Tensor) -> Tensor:
    """Square pictures [n, C, S, S], each rolled by its own shifts [n, 2] along y and x."""
    n, _, side, _ = pictures.shape
    line = torch.arange(side, device=pictures.device)
    y, x = ((line - shifts[:, axis, None]) % side for axis in (0, 1))
    item = torch.arange(n, device=pictures.device)[:, None, None]
    return pictures[item, :, y[:, :, None], x[:, None, :]].permute(0, 3, 1, 2)


def rng_of(*key: int, device: str = "cpu") -> torch.Generator:
    """The random numbers that belong to some whole numbers, on a device."""
    return torch.Generator(device).manual_seed(int(np.random.SeedSequence(key).generate_state(1)[0]))
