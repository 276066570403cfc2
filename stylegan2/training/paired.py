"""A loss between a picture and the one that it should be like: the same features in other places.

For textures the places of features mean nothing and their distribution everything, so two pictures are compared by
sliced Wasserstein distances: features are projected onto random directions, sorted, and compared number by number.

Source  Heitz et al. 2021, "A Sliced Wasserstein Loss for Neural Texture Synthesis", section 3
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..ops.padding import pad
from .discriminator import Seen

DIRECTIONS = 16
PATCH = 5
"""Side of the patches of pixels, at each level of a pyramid."""
LEVELS = 3


def paired_loss(made: Seen, real: Seen, rng: torch.Generator) -> Tensor:
    """How different the distributions of features are, picture by picture; 0 for a picture and its roll.

    Of every feature map, and of the pixels in patches at three sizes; each in units of the real one's spread.
    """
    maps = [sliced_wasserstein(a, b, rng) for a, b in zip(made.maps, real.maps, strict=True)]
    mine, model, levels = made.images, real.images, []
    for _ in range(LEVELS):
        filters = _unit(torch.randn(DIRECTIONS, 3 * PATCH**2, generator=rng)).view(DIRECTIONS, 3, PATCH, PATCH)
        filters = filters.to(mine.device)
        one, other = (F.conv2d(pad(x, PATCH // 2, "xy"), filters) for x in (mine, model))
        levels.append(_distance(one.flatten(2), other.flatten(2)))
        mine, model = F.avg_pool2d(mine, 2), F.avg_pool2d(model, 2)
    parts = [torch.stack(group).mean() for group in (maps, levels) if group]
    return torch.stack(parts).sum()


def sliced_wasserstein(a: Tensor, b: Tensor, rng: torch.Generator) -> Tensor:
    """Between the features at all places of a and of b, [N, C, h, w] each, item by item; mean over items."""
    directions = _unit(torch.randn(DIRECTIONS, a.shape[1], generator=rng)).to(a.device)
    one, other = (torch.einsum("pc,nct->npt", directions, x.flatten(2)) for x in (a, b))
    return _distance(one, other)


def _distance(a: Tensor, b: Tensor) -> Tensor:
    """Mean distance of sorted numbers [N, P, T], in units of the standard deviation of each row of b over all items."""
    spread = b.std((0, 2), keepdim=True).clamp_min(1e-4)
    return ((a.sort(2).values - b.sort(2).values) / spread).abs().mean()


def _unit(directions: Tensor) -> Tensor:
    return F.normalize(directions, dim=1)
