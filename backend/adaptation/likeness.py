"""How alike two textures look to a CLIP: the loss by which a projection finds its material."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import torch
from torch import Tensor

from .clip import Clip

EMBEDDING, MOMENTS = 0.3, 0.02
"""Weights of the embedding's angle and of the tokens' moments, measured on the built-in pair (docs/LOG.md)."""


def material_loss(clip: Clip, target: Tensor) -> Callable[[Tensor], Tensor]:
    """images [1, 3, H, W] -> a number: how far their material is from that of `target`, wherever its parts lie.

    The angle between the embeddings, and, where the CLIP is a transformer, the means and deviations of its tokens over
    the picture after each block.
    """
    with torch.no_grad():
        embedding, moments = _seen(clip, target)

    def loss(images: Tensor) -> Tensor:
        now, now_moments = _seen(clip, images)
        differences = [(a - b).square().mean() for a, b in zip(now_moments, moments, strict=True)]
        return EMBEDDING * (1 - (now * embedding).sum()) + MOMENTS * sum(differences, start=now.new_zeros(()))

    return loss


def cosine(clip: Clip, a: Tensor, b: Tensor) -> float:
    """The cosine between the embeddings of two pictures [1, 3, H, W]; 1 = the CLIP sees no difference."""
    with torch.no_grad():
        return float((clip.embed_images(a) * clip.embed_images(b)).sum())


def _seen(clip: Clip, images: Tensor) -> tuple[Tensor, list[Tensor]]:
    """The embedding [1, D] of one picture, and [2 * width] moments of the tokens after each block."""
    found: list[Tensor] = []
    blocks = getattr(getattr(clip.model.visual, "transformer", None), "resblocks", ())
    # The CLIP is shared with whoever else loads it, so nothing of ours stays hooked to it.
    with contextlib.ExitStack() as hooks:
        for block in blocks:
            hooks.enter_context(block.register_forward_hook(lambda _block, _inputs, tokens: found.append(tokens)))
        embedding = clip.embed_images(images)
    return embedding, [_moments(tokens) for tokens in found]


def _moments(tokens: Tensor) -> Tensor:
    """Of one picture's tokens, in either order of the batch, without the class token, which comes first."""
    places = tokens.float().reshape(-1, tokens.shape[-1])[1:]
    return torch.cat([places.mean(0), places.std(0)])
