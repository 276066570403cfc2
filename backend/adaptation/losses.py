"""The losses of an adaptation, on unit CLIP embeddings in float32; each has its weight in the settings.

directional  turn the difference of the two pictures towards the target's           directional_loss
contrast     be read as the target of what the picture was, and as nothing else      reading.Reading
global_loss  bring the picture itself near the target                               target_loss
patch        the same as directional, on random patches and for texts of parts      patch_loss
in_domain    pictures that differed before differ as much afterwards                in_domain_loss
diversity    all pictures together are as varied as they were                       diversity_loss
decay        small changes rather than large ones                                   decay_loss
gamut        colours that a picture can hold                                        gamut_loss
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from .clip import unit
from .style import DOWN

SAFE_NORM = 1e-2
"""Softens the norm of an image direction: two generators that agree give 0 / 0.01, not 0 / 0, and a useful gradient."""


def image_direction(source: Tensor, adapted: Tensor) -> Tensor:
    """[N, D] each -> the difference over its softened norm sqrt(|d|^2 + SAFE_NORM^2), float32."""
    d = adapted.float() - source.float()
    return d / torch.sqrt(d.square().sum(-1, keepdim=True) + SAFE_NORM**2)


def directional_loss(source: Tensor, adapted: Tensor, direction: Tensor) -> Tensor:
    """mean(1 - cos(E(G_t) - E(G_s), dT)): source, adapted [N, D], direction [D] unit.

    Source  Gal et al. 2021 (the directional CLIP loss)
    """
    return (1 - image_direction(source, adapted) @ direction).mean()


def target_loss(adapted: Tensor, goals: Tensor, weights: Tensor) -> Tensor:
    """mean(sum_k w_k (1 - cos(E(G_t), goal_k))): adapted [N, D], goals [K, D], weights [K] with sum 1.

    Source  Patashnik et al. 2021 (StyleCLIP), the "global" loss that Gal et al. 2021 compare with
    """
    return ((1 - adapted.float() @ unit(goals).T) @ weights).mean()


def patch_loss(source: Tensor, adapted: Tensor, parts: Tensor) -> Tensor:
    """mean_i sum_p softmax_p(c_ip) (1 - c_ip), c_ip = cos(E(patch_t,i) - E(patch_s,i), dT_p).

    source, adapted  [N, D], embeddings of the same patches
    parts            [P, D], unit: the text's direction in every wording for parts of things
    A patch is judged mostly by the wordings that it fits already.
    Source  the patch loss of Gal et al. 2021's code, after the augmented patches of Frans et al. 2021; there the mean
            over the wordings, here their sum, so that the weight does not depend on how many there are
    """
    c = image_direction(source, adapted) @ parts.T
    return (c.softmax(-1) * (1 - c)).sum(-1).mean()


def in_domain_loss(source: Tensor, adapted: Tensor) -> Tensor:
    """In-domain angle consistency: pictures that differed before shall differ as much afterwards; [N, D] each.

    2 / (n (n-1)) * sum_{i>j} (cos(E(G_s,i), E(G_s,j)) - cos(E(G_t,i), E(G_t,j)))^2.
    Source: Alanov et al. 2022 (HyperDomainNet).
    """
    n = source.shape[0]
    if n < 2:
        return adapted.new_zeros(())
    return _mean_of_pairs((source @ source.T - adapted @ adapted.T).square())


def diversity_loss(source: Tensor, adapted: Tensor) -> Tensor:
    """relu(1 - div(G_t) / div(G_s))^2, div = mean_{i>j} (1 - cos(E(G_i), E(G_j))): [N, D] each.

    The retention that `measures` reports, of one batch, and only its loss counts: in-domain consistency holds every
    pair where it was, so the same weight that keeps variety there also keeps pictures from changing at all.
    Source  our own; docs/decisions/0005
    """
    n = source.shape[0]
    if n < 2:
        return adapted.new_zeros(())
    before, after = (_mean_of_pairs(1 - e @ e.T) for e in (source, adapted))
    return F.relu((before - after) / before.clamp_min(1e-3)).square()


def _mean_of_pairs(square: Tensor) -> Tensor:
    """Mean over i < j of a [n, n]."""
    n = len(square)
    return square.triu(1).sum() * (2 / (n * (n - 1)))


def decay_loss(tensors: Mapping[str, Tensor]) -> Tensor:
    """Mean of squares of everything trained: a change must earn its size.

    The inner half of a low-rank change does not count: it starts at unit variance, and the outer half starts at 0.
    Source  Li et al. 2018 (L2 towards the starting point)
    """
    counted = [t for name, t in tensors.items() if not name.endswith(DOWN)]
    squares = torch.stack([t.square().sum() for t in counted]).sum()
    return squares / sum(t.numel() for t in counted)


def gamut_loss(images: Tensor) -> Tensor:
    """How far pictures leave [-1, 1], mean of squares: what a saved picture would lose by clamping."""
    return F.relu(images.abs() - 1).square().mean()
