"""How unlike two textures are: pixel by pixel, by the statistics of their patches; and how unlike white noise a map is.

Source  Heitz et al. 2021, Elnekave and Weiss 2022 (textures compared by sliced distributions of patches);
        Karras et al. 2020, appendix D (the noise's regularisation)
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

PATCH, DIRECTIONS, LEVELS, MOST_SIDE = 5, 24, 3, 128
"""Patches are 5x5 px at 3 scales, seen along 24 random directions, at most 128 x 128 of them at a scale."""
COARSEST_PX = 8


def pyramid(image: Tensor) -> list[Tensor]:
    """The image and its halves, down to about 8 px: [N, C, H, W], [N, C, H/2, W/2], ..."""
    levels = [image]
    while min(levels[-1].shape[2:]) >= 2 * COARSEST_PX:
        levels.append(F.avg_pool2d(levels[-1], 2))
    return levels


def pixel_loss(a: list[Tensor], b: list[Tensor]) -> Tensor:
    """Sum over the levels of two pyramids of the mean square of their difference."""
    return torch.stack([(x - y).square().mean() for x, y in zip(a, b, strict=True)]).sum()


def range_loss(image: Tensor) -> Tensor:
    """How far an image leaves [-1, 1], mean of squares."""
    return F.relu(image.abs() - 1).square().mean()


class PatchStatistics:
    """How differently small patches are distributed in an image and in the target, wherever they lie.

    Along a random direction in the space of patches, the sorted projections of both are compared: the squared
    Wasserstein distance in one dimension, its mean over directions that are drawn anew at each call.
    """

    def __init__(self, target: Tensor, tile: str, rng: torch.Generator) -> None:
        self.tile, self._rng = tile, rng
        self._target = pyramid(target)[:LEVELS]

    def loss(self, image: Tensor) -> Tensor:
        """image [1, C, H, W] as large as the target."""
        directions = torch.randn(DIRECTIONS, image.shape[1], PATCH, PATCH, generator=self._rng).to(image)
        directions = directions / directions.flatten(1).norm(dim=1)[:, None, None, None]
        differences = [
            (self._sorted(x, directions) - self._sorted(y, directions)).square().mean()
            for x, y in zip(pyramid(image)[:LEVELS], self._target, strict=True)
        ]
        return torch.stack(differences).mean()

    def _sorted(self, image: Tensor, directions: Tensor) -> Tensor:
        rows, columns = (PATCH - 1 if axis in self.tile else 0 for axis in "yx")
        image = F.pad(image, (0, columns, 0, rows), mode="circular")
        stride = -(-max(image.shape[2:]) // (MOST_SIDE + PATCH))
        return F.conv2d(image, directions, stride=stride).flatten(2).sort(dim=2).values


def whiteness_loss(maps: tuple[Tensor, ...]) -> Tensor:
    """What noise maps [1, 1, h, w] have of correlation between neighbours, at every scale, beyond what chance gives.

    For white noise the correlation r of n pairs has n E[r^2] = 1, so only the excess of n r^2 over 1 counts: a plain
    r^2 would pull small maps away from noise that is as good as any.
    Source  Karras et al. 2020, appendix D
    """
    losses = []
    for noise in maps:
        while True:
            for axis in (2, 3):
                r = (noise * noise.roll(1, axis)).mean()
                losses.append(F.relu(r.square() * noise[0, 0].numel() - 1))
            if min(noise.shape[2:]) <= COARSEST_PX:
                break
            noise = F.avg_pool2d(noise, 2) * 2  # the mean of four has half their deviation
    return torch.stack(losses).sum()
