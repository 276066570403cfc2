"""A loss between a picture and the one that it should be like: the same features in other places.

For textures the places of features mean nothing and their distribution everything, so two pictures are compared by
sliced Wasserstein distances: features are projected onto random directions, sorted, and compared number by number.

Source  Heitz et al. 2021, "A Sliced Wasserstein Loss for Neural Texture Synthesis", section 3
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..ops.padding import pad
from .discriminator import Seen

DIRECTIONS = 16
PATCH = 5
"""Side of the patches of pixels, at each level of a pyramid."""
LEVELS = 3


class Projections(NamedTuple):
    """The random directions of one comparison.

    maps    [16, C] for each feature map; levels: [16, 3, 5, 5], filters for each level of the pyramid; of unit length
    """

    maps: tuple[Tensor, ...]
    levels: tuple[Tensor, ...]


def draw_projections(channels: Sequence[int], rng: torch.Generator) -> Projections:
    """Directions for feature maps of so many channels, on the device of `rng`."""
    maps = tuple(_unit(torch.randn(DIRECTIONS, c, generator=rng, device=rng.device)) for c in channels)
    filters = _unit(torch.randn(LEVELS, DIRECTIONS, 3 * PATCH**2, generator=rng, device=rng.device))
    return Projections(maps, tuple(filters.view(LEVELS, DIRECTIONS, 3, PATCH, PATCH)))


def paired_loss(made: Seen, real: Seen, projections: Projections) -> Tensor:
    """How different the distributions of features are, picture by picture; 0 for a picture and its roll.

    Of every feature map, and of the pixels in patches at three sizes; means and what is left of them apart.
    """
    triples = zip(made.maps, real.maps, projections.maps, strict=True)
    maps = [sliced_wasserstein(a, b, directions) for a, b, directions in triples]
    mine, model, levels = made.images, real.images, []
    for filters in projections.levels:
        one, other = (F.conv2d(pad(x, PATCH // 2, "xy"), filters) for x in (mine, model))
        levels.append(_distance(one.flatten(2), other.flatten(2)))
        mine, model = F.avg_pool2d(mine, 2), F.avg_pool2d(model, 2)
    parts = [torch.stack(group).mean() for group in (maps, levels) if group]
    return torch.stack(parts).sum()


def sliced_wasserstein(a: Tensor, b: Tensor, directions: Tensor) -> Tensor:
    """Between the features at all places of a and of b, [N, C, h, w] each, item by item; mean over items.

    directions  [P, C], of unit length
    """
    one, other = (torch.einsum("pc,nct->npt", directions, x.flatten(2)) for x in (a, b))
    return _distance(one, other)


def _distance(a: Tensor, b: Tensor) -> Tensor:
    """Between rows of numbers [N, P, T]: of their means, in units of the means' spread over the items of b, and of what
    is left, sorted, in units of its own spread in each item, so that faint pictures count as much as strong ones."""
    mean, model = a.mean(2, keepdim=True), b.mean(2, keepdim=True)
    rest, model_rest = a - mean, b - model
    spread = (model - model.mean(0)).square().mean(0).add(1e-6).sqrt()
    within = model_rest.square().mean(2, keepdim=True).sqrt()
    within = torch.maximum(within, 0.2 * within.mean(0)).clamp_min(1e-4)
    levels = ((mean - model) / spread).abs().mean()
    return levels + ((rest.sort(2).values - model_rest.sort(2).values) / within).abs().mean()


def _unit(directions: Tensor) -> Tensor:
    return F.normalize(directions, dim=-1)
