"""What a step descends: the weighted losses of every CLIP on one batch of pairs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

import torch
from torch import Tensor

from .aims import Aim
from .clip import Clip
from .losses import decay_loss, directional_loss, diversity_loss, gamut_loss, in_domain_loss, patch_loss, target_loss
from .reading import Reading
from .settings import AdaptSettings
from .views import Sides, View, draw_patches, draw_views

Pair = tuple[Tensor, Tensor]
"""Embeddings [N, D] of the source's pictures and of the adapted ones."""


@dataclass(frozen=True, kw_only=True)
class Views:
    """What the CLIPs are shown of one batch: for each of them a view, and one of patches where these count."""

    whole: Sequence[View]
    patches: Sequence[View] = ()

    @property
    def tensors(self) -> list[Tensor]:
        return [tensor for view in [*self.whole, *self.patches] for tensor in view.tensors]

    def filled(self, tensors: Iterable[Tensor]) -> Views:
        """The same with other numbers, in the order of `tensors`."""
        rest = iter(tensors)

        def of(view: View) -> View:
            return View(rows=next(rest), columns=next(rest), noise=None if view.noise is None else next(rest))

        return Views(whole=[of(view) for view in self.whole], patches=[of(view) for view in self.patches])


@dataclass(frozen=True, kw_only=True)
class Objective:
    """clips, weights, aims, readings  one of each for every CLIP; tile: the axes on which pictures wrap."""

    settings: AdaptSettings
    clips: Sequence[Clip]
    weights: Sequence[float]
    aims: Sequence[Aim]
    readings: Sequence[Reading | None]
    tile: str

    def draw(self, n: int, sides: Sides, rng: torch.Generator, device: torch.device) -> Views:
        """What the CLIPs are to see of n pictures of these sides."""
        s, sizes = self.settings, [clip.size for clip in self.clips]
        whole = draw_views(n, sides, sizes, self.tile, rng, device)
        parts = draw_patches(n, sides, sizes, s.patch_size, self.tile, rng, device) if s.patch else ()
        return Views(whole=whole, patches=parts)

    def __call__(
        self, source: Tensor, adapted: Tensor, tensors: Mapping[str, Tensor], views: Views
    ) -> tuple[Tensor, Tensor]:
        """(loss, direction score), scalars, of pictures [N, 3, H, W] of the same latents; `tensors` are what is
        trained. Nothing here waits for a GPU."""
        with torch.autocast(adapted.device.type, enabled=False):  # 16 bits would cut pixels to 8 of them
            shown = [(view.of(source), view.of(adapted)) for view in views.whole]
            parts = [(view.of(source), view.of(adapted)) for view in views.patches]
        whole = [_embed_pair(clip, *pair) for clip, pair in zip(self.clips, shown, strict=True)]
        of_parts = [_embed_pair(clip, *pair) for clip, pair in zip(self.clips, parts, strict=False)]
        with torch.autocast(adapted.device.type, enabled=False):  # mixed precision ends at the embeddings
            return self._losses(list(zip_longest(whole, of_parts)), adapted, tensors)

    def _losses(
        self, seen: Sequence[tuple[Pair, Pair | None]], adapted: Tensor, tensors: Mapping[str, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """From what every CLIP saw of the whole pictures and of patches, float32."""
        s = self.settings
        loss, along = s.gamut * gamut_loss(adapted), adapted.new_zeros(())
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
            along = along + weight * (1 - directional.detach())
        return loss, along / sum(self.weights)


def _embed_pair(clip: Clip, source: Tensor, adapted: Tensor) -> Pair:
    with torch.no_grad():
        before = clip.embed_images(source)
    return before, clip.embed_images(adapted)
