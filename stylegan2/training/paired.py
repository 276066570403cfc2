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

    Of every feature map, and of the pixels in patches at three sizes; means and what is left of them apart.
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
    return F.normalize(directions, dim=1)
