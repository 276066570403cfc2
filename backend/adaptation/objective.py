"""What a step descends: the weighted losses of every CLIP on one batch of pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .aims import Aim
from .clip import Clip
from .losses import decay_loss, directional_loss, diversity_loss, gamut_loss, in_domain_loss, patch_loss, target_loss
from .reading import Reading
from .settings import AdaptSettings
from .views import draw_view, patches

Pair = tuple[Tensor, Tensor]
"""Embeddings [N, D] of the source's pictures and of the adapted ones."""


@dataclass(frozen=True, kw_only=True)
class Objective:
    """clips, weights, aims, readings  one of each for every CLIP; tile: the axes on which pictures wrap."""

    settings: AdaptSettings
    clips: Sequence[Clip]
    weights: Sequence[float]
    aims: Sequence[Aim]
    readings: Sequence[Reading | None]
    tile: str

    def __call__(
        self, source: Tensor, adapted: Tensor, tensors: Mapping[str, Tensor], rng: torch.Generator
    ) -> tuple[Tensor, float]:
        """(loss, direction score) of pictures [N, 3, H, W] of the same latents; `tensors` are what is trained."""
        s = self.settings
        view = draw_view(source, self.tile, rng)
        whole = (view.of(source), view.of(adapted))
        parts = patches((source, adapted), s.patch_size, self.tile, rng) if s.patch else None
        seen = [(_embed_pair(clip, *whole), _embed_pair(clip, *parts) if parts else None) for clip in self.clips]
        with torch.autocast(adapted.device.type, enabled=False):  # mixed precision ends at the embeddings
            return self._losses(seen, adapted, tensors)

    def _losses(
        self, seen: Sequence[tuple[Pair, Pair | None]], adapted: Tensor, tensors: Mapping[str, Tensor]
    ) -> tuple[Tensor, float]:
        """From what every CLIP saw of the whole pictures and of patches, float32."""
        s = self.settings
        loss, along = s.gamut * gamut_loss(adapted), 0.0
        if s.decay:
            loss = loss + s.decay * decay_loss(tensors)
        for (whole, parts), weight, aim, reading in zip(seen, self.weights, self.aims, self.readings, strict=True):
            before, after = whole
            directional = directional_loss(before, after, aim.direction)
            part = s.directional * directional + s.in_domain * in_domain_loss(before, after)
            if s.contrast and reading:
                part = part + s.contrast * s.text_share * reading.loss(before, after)
            if s.diversity:
                part = part + s.diversity * diversity_loss(before, after)
            if s.global_loss:
                part = part + s.global_loss * target_loss(after, aim.goals, aim.weights)
            if parts:
                part = part + s.patch * patch_loss(*parts, aim.parts)
            loss = loss + weight * part
            along += weight * (1 - directional.item())
        return loss, along / sum(self.weights)


def _embed_pair(clip: Clip, source: Tensor, adapted: Tensor) -> Pair:
    with torch.no_grad():
        before = clip.embed_images(source)
    return before, clip.embed_images(adapted)
