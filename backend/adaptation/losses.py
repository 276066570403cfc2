"""The losses of an adaptation, on unit CLIP embeddings in float32."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import PromptError
from .clip import Clip, unit

SAFE_NORM = 1e-2
"""Softens the norm of an image direction: two generators that agree give 0 / 0.01, not 0 / 0, and a useful gradient."""


def text_direction(clip: Clip, source: str, target: str) -> Tensor:
    """dT = normalise(mean over templates of E_T(target) - E_T(source)): [D].

    Source  Gal et al. 2021 (the directional CLIP loss), with the templates of Radford et al. 2021
    Raises  PromptError if the CLIP sees no difference between the two
    """
    difference = (clip.embed_prompt(target) - clip.embed_prompt(source)).mean(0)
    if difference.norm() < 1e-4:
        raise PromptError(
            f"To the CLIP {clip.name!r} {source!r} and {target!r} mean the same; choose words further apart."
        )
    return unit(difference)


def directional_loss(source: Tensor, adapted: Tensor, direction: Tensor) -> Tensor:
    """mean(1 - cos(E(G_t) - E(G_s), dT)): source, adapted [N, D], direction [D] unit.

    The image direction's norm is sqrt(|d|^2 + SAFE_NORM^2). Source: Gal et al. 2021.
    """
    d = adapted - source
    norm = torch.sqrt(d.square().sum(-1) + SAFE_NORM**2)
    return (1 - (d @ direction) / norm).mean()


def gamut_loss(images: Tensor) -> Tensor:
    """How far pictures leave [-1, 1], mean of squares: what a saved picture would lose by clamping."""
    return F.relu(images.abs() - 1).square().mean()


def in_domain_loss(source: Tensor, adapted: Tensor) -> Tensor:
    """In-domain angle consistency: pictures that differed before shall differ as much afterwards; [N, D] each.

    2 / (n (n-1)) * sum_{i>j} (cos(E(G_s,i), E(G_s,j)) - cos(E(G_t,i), E(G_t,j)))^2.
    Source: Alanov et al. 2022 (HyperDomainNet).
    """
    n = source.shape[0]
    if n < 2:
        return adapted.new_zeros(())
    pairs = torch.triu_indices(n, n, offset=1, device=source.device)
    change = (source @ source.T - adapted @ adapted.T)[pairs[0], pairs[1]]
    return change.square().mean()
