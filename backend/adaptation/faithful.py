"""How small may the pictures be that a style is trained on?

A StyleGAN2 with skip connections adds up colours, and the sum up to any size is a picture; what the layers above would
add to it is missing. How much a CLIP misses differs from generator to generator, so it is asked:

    mean over latents of 1 - e(sum up to R) . e(whole) <= MISSED * mean over pairs of 1 - e(whole_i) . e(whole_j)

The smallest R of at least the CLIPs' own size at which all of them agree is taken, else the whole picture.

Source  Karras et al. 2020, section 4.1 (the sum of colours); the criterion is our own (decision 0021)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from ...stylegan2.config import GeneratorConfig
from .clip import Clip
from .measures import diversity
from .stylegan2 import Drawn, StyleGAN2Subject

MISSED = 0.1
"""Of the distance between two pictures, in the mean."""


def smallest_px(config: GeneratorConfig, clips: Sequence[Clip]) -> int:
    """The side of the smallest sums that have all the pixels these CLIPs take in; the whole picture's, if none has."""
    needed = max(clip.size for clip in clips)
    return min(config.resolution, max(4, 1 << (needed - 1).bit_length()))


@torch.no_grad()
def faithful_px(subject: StyleGAN2Subject, clips: Sequence[Clip], batches: Iterable[Drawn]) -> tuple[int, Tensor]:
    """The side of the smallest sums of colours on which these CLIPs can train a style; and the whole pictures
    [N, 3, R, R] of the latents by which that was judged."""
    config = subject.generator.config
    seen: dict[int, list[list[Tensor]]] = {}
    wholes: list[Tensor] = []
    for drawn in batches:
        for side, image in subject.sums(drawn, smallest_px(config, clips)):
            seen.setdefault(side, []).append([clip.embed_images(image.clamp(-1, 1)) for clip in clips])
        wholes.append(image)
    embeddings = {side: [torch.cat(of_clip) for of_clip in zip(*found, strict=True)] for side, found in seen.items()}
    whole = embeddings[config.resolution]
    enough = (side for side, parts in embeddings.items() if all(map(_shows, parts, whole)))
    return next(enough, config.resolution), torch.cat(wholes)


def _shows(part: Tensor, whole: Tensor) -> bool:
    """Whether one CLIP's embeddings of the sums tell what those of the whole pictures do."""
    return (1 - (part * whole).sum(-1).mean()).item() <= MISSED * diversity(whole)
