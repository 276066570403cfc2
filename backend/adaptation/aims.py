"""What a CLIP is to be steered to: directions and goals in its space, from texts, pictures or both.

Text       D_k = E(target_k) - E(source), in every template; dT = normalise(mean over templates of D), with
           D = sum_k w_k D_k / sum_k w_k - sum_l v_l (E(negative_l) - E(source))
Pictures   dI = normalise(mean E(pictures) - mean E(source pictures, or the generator's own))
Both       normalise(dT + image_weight * dI)

Source  Gal et al. 2021 (the directional loss; few pictures as target); templates as in Radford et al. 2021
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from ..errors import PromptError
from ..textures.pictures import read_picture
from .bias import project_out
from .clip import Clip, unit
from .settings import AdaptSettings

SMALLEST_DIFFERENCE = 1e-4
CANCELLED = 0.1
"""Negatives may take away this much of the way to the target, and no more: 1 - CANCELLED."""


@dataclass(frozen=True, kw_only=True)
class Aim:
    """direction  [D], unit
    goals      [K, D], where the target itself lies: the mean over templates of each text, each picture
    weights    [K], sum 1
    parts      [P, D], unit: the texts' direction in the wordings for parts of things; P = 0 without texts
    """

    direction: Tensor
    goals: Tensor
    weights: Tensor
    parts: Tensor


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """The target's and the source's pictures, each [1, 3, H, W] in [-1, 1]; an empty source = the generator's own."""

    target: list[Tensor] = field(default_factory=list)
    source: list[Tensor] = field(default_factory=list)

    @classmethod
    def read(cls, settings: AdaptSettings, device: torch.device) -> Pictures:
        """Raises NotFound, BadRequest for files that are no usable pictures."""
        return cls(target=_read(settings.images, device), source=_read(settings.source_images, device))


def _read(paths: Sequence[Path], device: torch.device) -> list[Tensor]:
    pixels = [torch.tensor(read_picture(path), device=device) for path in paths]
    return [p.permute(2, 0, 1)[None].float() / 127.5 - 1 for p in pixels]


def find_aim(clip: Clip, settings: AdaptSettings, pictures: Pictures, own: Tensor) -> Aim:
    """The aim of these settings as this CLIP sees it.

    own     [N, 3, H, W], pictures of the generator that is to be adapted
    Raises  PromptError where the CLIP sees no difference, or negatives cancel the target
    """
    direction, goals, weights, parts = torch.zeros((), device=clip.device), [], [], torch.zeros(0, 1)
    if settings.text_targets:
        direction = _text_direction(clip, settings)
        parts = unit(_differences(clip, settings, clip.part_templates)[1])
        total = sum(weight for _, weight in settings.text_targets)
        goals += [clip.embed_prompt(text).mean(0) for text, _ in settings.text_targets]
        weights += [weight / total for _, weight in settings.text_targets]
    if pictures.target:
        seen = _embed(clip, pictures.target)
        before = _embed(clip, pictures.source) if pictures.source else clip.embed_images(own)
        difference = seen.mean(0) - before.mean(0)
        if difference.norm() < SMALLEST_DIFFERENCE:
            raise PromptError(f"To the CLIP {clip.name!r} the pictures look like the source already; choose others.")
        direction = unit(direction + settings.image_weight * unit(difference))
        goals += list(seen)
        weights += [settings.image_weight / len(seen)] * len(seen)
    direction = project_out(direction, clip, settings.source, settings.keep_fixed)
    share = torch.tensor(weights, device=clip.device)
    return Aim(direction=direction, goals=torch.stack(goals), weights=share / share.sum(), parts=parts)


@torch.no_grad()
def _embed(clip: Clip, pictures: Sequence[Tensor]) -> Tensor:
    return torch.cat([clip.embed_images(picture) for picture in pictures])


def _differences(clip: Clip, settings: AdaptSettings, templates: Sequence[str]) -> tuple[Tensor, Tensor]:
    """([K, D] towards the targets, [K, D] the same without the negatives' share), in each of K templates."""

    def embedded(text: str) -> Tensor:
        return clip.embed_prompt(text, templates)

    source, total = embedded(settings.source), sum(weight for _, weight in settings.text_targets)
    wanted = torch.stack([weight / total * (embedded(text) - source) for text, weight in settings.text_targets]).sum(0)
    left = wanted
    for text, weight in settings.negatives:
        left = left - weight * (embedded(text) - source)
    return wanted, left


def _text_direction(clip: Clip, settings: AdaptSettings) -> Tensor:
    wanted, left = (d.mean(0) for d in _differences(clip, settings, clip.templates))
    if wanted.norm() < SMALLEST_DIFFERENCE:
        target = " and ".join(repr(text) for text, _ in settings.text_targets)
        raise PromptError(
            f"To the CLIP {clip.name!r} {settings.source!r} and {target} mean the same; choose words further apart."
        )
    if left @ unit(wanted) < CANCELLED * wanted.norm():
        negatives = ", ".join(repr(text) for text, _ in settings.negatives)
        raise PromptError(
            f"To the CLIP {clip.name!r} the negative {negatives} cancels the target; give it less weight or choose a "
            "negative that the target is not."
        )
    return unit(left)


def text_direction(clip: Clip, source: str, target: str) -> Tensor:
    """dT = normalise(mean over templates of E_T(target) - E_T(source)): [D], of a single pair of prompts.

    Raises  PromptError if the CLIP sees no difference between the two
    """
    return _text_direction(clip, AdaptSettings(source=source, target=target))
