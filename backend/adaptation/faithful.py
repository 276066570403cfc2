"""How small may the pictures be that a style is trained on?

A StyleGAN2 with skip connections adds up colours, and the sum up to any size is a picture; what the layers above would
add to it is missing. How much a CLIP misses differs from generator to generator, so it is asked:

    mean over latents of 1 - e(sum up to R) . e(whole) <= MISSED * mean over pairs of 1 - e(whole_i) . e(whole_j)

The smallest R of at least the CLIPs' own size at which all of them agree is taken, else the whole picture.

Source  Karras et al. 2020, section 4.1 (the sum of colours); the criterion is our own (decision 0021)
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from .clip import Clip
from .measures import diversity
from .stylegan2 import StyleGAN2Subject

LATENTS = 16
MISSED = 0.1
"""Of the distance between two pictures, in the mean."""


@torch.no_grad()
def faithful_px(subject: StyleGAN2Subject, clips: Sequence[Clip]) -> int:
    """The side of the smallest sums of colours on which these CLIPs can train a style."""
    resolution, needed = subject.generator.config.resolution, max(clip.size for clip in clips)
    smallest = max(4, 1 << (needed - 1).bit_length())
    if smallest >= resolution:
        return resolution
    drawn = subject.fixed(LATENTS)
    seen: dict[int, list[list[torch.Tensor]]] = {}
    for n in range(LATENTS):  # one by one, for memory
        for side, image in subject.sums(subject.some(drawn, slice(n, n + 1)), smallest):
            seen.setdefault(side, []).append([clip.embed_images(image.clamp(-1, 1)) for clip in clips])
    embeddings = {side: [torch.cat(of_clip) for of_clip in zip(*found, strict=True)] for side, found in seen.items()}
    whole = embeddings.pop(resolution)
    for side, parts in embeddings.items():
        missed = [1 - (part * all_).sum(-1).mean().item() for part, all_ in zip(parts, whole, strict=True)]
        if all(m <= MISSED * diversity(all_) for m, all_ in zip(missed, whole, strict=True)):
            return side
    return resolution
