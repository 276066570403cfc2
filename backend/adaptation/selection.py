"""Adaptive layer selection: which convolutions does the way to the target go through?

A few steps of gradient descent on W+ alone, towards the target of this very run; the vectors that moved most drive the
layers that are trained. Vector i drives one convolution and perhaps a colour layer; the convolution is selected, never
the colour layer, and the last vector, which drives a colour layer alone, selects nothing.

Source  Gal et al. 2021, section 4.2
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ..errors import BadRequest
from .aims import Aim
from .clip import Clip
from .losses import target_loss
from .methods import convolutions
from .settings import AdaptSettings
from .subject import CodedSubject, Layer, Subject

PICTURES = 8
STEPS = 1
RATE = 0.01


def how_many(subject: Subject, settings: AdaptSettings) -> int:
    """How many convolutions train: two thirds where the settings do not say."""
    return settings.top_layers or max(1, round(len(convolutions(subject)) * 2 / 3))


def chosen_by_codes(subject: Subject, moved: Tensor, k: int) -> list[Layer]:
    """The k convolutions whose latent vectors moved most, in the order in which they run. moved [codes]."""
    layers = convolutions(subject)
    ranked = sorted(layers, key=lambda layer: -moved[layer.code].item())
    best = {layer.name for layer in ranked[:k]}
    return [layer for layer in layers if layer.name in best]


def select_layers(
    subject: CodedSubject,
    settings: AdaptSettings,
    clips: Sequence[Clip],
    weights: Sequence[float],
    aims: Sequence[Aim],
    tensors: Mapping[str, Tensor],
    rng: torch.Generator,
) -> list[Layer]:
    """The convolutions to train now; all of them, without any work, where that is how many there are."""
    k = how_many(subject, settings)
    if k == len(convolutions(subject)):
        return convolutions(subject)
    if not subject.codes:
        raise BadRequest("This generator's layers cannot be told apart by its latents; choose the method full.")
    drawn = subject.draw(PICTURES, rng, psi=settings.psi)
    frozen, moved = {name: t.detach() for name, t in tensors.items()}, torch.zeros(subject.codes)
    for first in range(0, PICTURES, settings.batch):  # pictures do not know of each other: a part at a time, for memory
        part = subject.some(drawn, slice(first, first + settings.batch))
        start = subject.codes_of(part)
        codes = start.clone()
        for _ in range(STEPS):
            codes.requires_grad_(True)
            pictures = subject.training_pictures(subject.with_codes(part, codes), frozen)
            loss = torch.zeros((), device=codes.device)
            for clip, weight, aim in zip(clips, weights, aims, strict=True):
                loss = loss + weight * target_loss(clip.embed_images(pictures), aim.goals, aim.weights)
            (gradient,) = torch.autograd.grad(loss * len(codes) / PICTURES, codes)
            codes = (codes - RATE * gradient).detach()
        moved += (codes - start).abs().mean(-1).sum(0).cpu() / PICTURES
    return chosen_by_codes(subject, moved, k)
