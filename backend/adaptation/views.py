"""Random views of a batch, the same for both generators: a CLIP shall not be pleased by one pixel pattern at one place.

A view rolls, crops, mirrors and resizes pictures to what a CLIP takes: one matrix for the rows and one for the columns,
of the same size wherever the crop is, so that a step on a GPU is the same sequence of work every time (`gradients`).

Source  the random augmentations of Frans et al. 2021 (CLIPDraw) and Kwon and Ye 2022 (CLIPstyler), here shared by the
        pair, because StyleGAN-NADA compares two pictures of one latent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...stylegan2.inputs import beside
from .resize import resize, resize_matrix

SMALLEST_CROP = 0.65
NOISE = 0.08

Sides = tuple[int, int]
"""Height and width of pictures."""


@dataclass(frozen=True, kw_only=True)
class View:
    """rows [S, H], columns [S, W], or one of each for every picture [N, 1, S, H]; noise [N, 3, S, S], None = none."""

    rows: Tensor
    columns: Tensor
    noise: Tensor | None = None

    def of(self, images: Tensor) -> Tensor:
        """Images [N, 3, H, W] -> [N, 3, S, S], clamped to [-1, 1] as a saved picture is, with the noise."""
        seen = self.rows @ images.clamp(-1, 1) @ self.columns.mT
        return seen if self.noise is None else seen + self.noise

    @property
    def tensors(self) -> list[Tensor]:
        return [self.rows, self.columns, *([] if self.noise is None else [self.noise])]


def draw_views(
    n: int, sides: Sides, sizes: Sequence[int], tile: str, rng: torch.Generator, device: torch.device
) -> list[View]:
    """One random square of n pictures, for CLIPs of these sizes: across the edge where pictures wrap."""
    smaller = min(sides)
    crop = int(torch.randint(round(SMALLEST_CROP * smaller), smaller + 1, (1,), generator=rng))
    top, left = (int(torch.randint(room, (1,), generator=rng)) for room in _room(sides, crop, tile))
    drawn = torch.randn(n, 3, crop, crop, generator=beside(rng, device), device=device)
    noise = drawn * NOISE * torch.rand(1, generator=rng).item()
    mirror = bool(torch.rand(1, generator=rng) < 0.5)
    views = []
    for size in sizes:
        rows, columns = _cut(sides[0], top, crop, size), _cut(sides[1], left, crop, size)
        views.append(
            View(
                rows=rows.to(device),
                columns=(columns.flip(0) if mirror else columns).to(device),
                noise=resize(noise, size, size),
            )
        )
    return views


def draw_patches(
    n: int, sides: Sides, sizes: Sequence[int], share: float, tile: str, rng: torch.Generator, device: torch.device
) -> list[View]:
    """A random square of each of n pictures, for CLIPs of these sizes.

    share  its side as a share of the picture's shorter one; at least one pixel. Across the edge where pictures wrap
    """
    side = max(1, round(share * min(sides)))
    places = [[int(torch.randint(room, (1,), generator=rng)) for room in _room(sides, side, tile)] for _ in range(n)]

    def matrices(axis: int, size: int) -> Tensor:
        return torch.stack([_cut(sides[axis], place[axis], side, size) for place in places])[:, None].to(device)

    return [View(rows=matrices(0, size), columns=matrices(1, size)) for size in sizes]


def _room(sides: Sides, crop: int, tile: str) -> Sides:
    """At how many places a square may start: everywhere where pictures wrap, else where it lies inside."""
    height, width = sides
    return (height if "y" in tile else height - crop + 1, width if "x" in tile else width - crop + 1)


def _cut(length: int, first: int, count: int, size: int) -> Tensor:
    """[size, length]: what takes `count` pixels from `first` on, over the end to the start, and resizes them."""
    matrix = torch.zeros(size, length)
    matrix[:, (first + torch.arange(count)) % length] = resize_matrix(count, size)
    return matrix
