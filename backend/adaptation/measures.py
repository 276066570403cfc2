"""What a style did, on fixed latents: the measures that are reported with it.

With e the unit CLIP embedding of a picture, s and t the source's and the adapted generator's pictures of one latent:

    quality    mean over pictures and templates of e(t) . e(target), of several targets by weight
    direction  mean of cos(e(t) - e(s), dT)
    retention  diversity(t) / diversity(s), where diversity = mean over pairs of 1 - e_i . e_j
    pinned     spread over the pixels of the mean change / mean spread of each change: n^-.5 for changes at independent
               places, 1 for a change at the same place every time
    structure  mean correlation of the luminance's edges between s and t
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from ...stylegan2.inputs import SynthesisInputs, draw_inputs
from ...stylegan2.latents import z_from_seed
from ...stylegan2.networks import Generator
from .aims import Aim
from .clip import Clip
from .losses import image_direction

FIRST_SEED = 1_000_000
"""Fixed latents lie far from the seeds that people type."""


@dataclass(frozen=True, kw_only=True)
class Measures:
    quality: float
    direction: float
    retention: float
    pinned: float
    structure: float

    def as_dict(self) -> dict[str, float]:
        return {name: round(value, 4) for name, value in asdict(self).items()}


@torch.no_grad()
def fixed_latents(
    generator: Generator, count: int, psi: float = 1.0, class_index: int | None = None
) -> tuple[Tensor, SynthesisInputs]:
    """(ws [count, L, w_dim], inputs): the same at every call. A conditional generator's classes take turns, unless one
    is given."""
    seeds = range(FIRST_SEED, FIRST_SEED + count)
    z = torch.stack([z_from_seed(seed, generator.config.z_dim) for seed in seeds])
    device, c_dim = generator.mapping.w_avg.device, generator.config.c_dim
    by_turns = [n % c_dim if c_dim else None for n in range(count)]
    labels = generator.labels(by_turns if class_index is None else [class_index] * count)
    ws = generator.map(z.to(device), psi=psi, labels=labels)
    return ws, draw_inputs(generator.config, list(seeds)).to(device)


def diversity(embeddings: Tensor) -> float:
    """mean_{i<j} (1 - e_i . e_j) of unit vectors [N, D]."""
    n = embeddings.shape[0]
    similarity = embeddings @ embeddings.T
    return 1 - ((similarity.sum() - similarity.diagonal().sum()) / (n * (n - 1))).item()


def pinned_score(source: Tensor, adapted: Tensor) -> float:
    """0 to 1 for images [N, 3, H, W]: how much the change sits at one fixed place in every picture."""
    change = (adapted - source).abs().mean(1)
    change = change / change.mean((1, 2), keepdim=True).clamp_min(1e-6)
    return (change.mean(0).std() / change.std((1, 2)).mean().clamp_min(1e-6)).item()


def structure_score(source: Tensor, adapted: Tensor) -> float:
    """Mean correlation of the gradient magnitudes of luminance, images [N, 3, H, W]."""

    def edges(images: Tensor) -> Tensor:
        grey = images.mean(1)
        dx, dy = grey.diff(dim=2)[:, :-1], grey.diff(dim=1)[:, :, :-1]
        magnitude = torch.hypot(dx, dy).flatten(1)
        centred = magnitude - magnitude.mean(1, keepdim=True)
        return centred / centred.norm(dim=1, keepdim=True).clamp_min(1e-6)

    return (edges(source) * edges(adapted)).sum(1).mean().item()


@torch.no_grad()
def measure(clip: Clip, source: Tensor, adapted: Tensor, aim: Aim) -> Measures:
    """All measures of a pair of picture sets [N, 3, H, W] of the same latents, seen by one CLIP with its own aim."""
    source, adapted = source.clamp(-1, 1), adapted.clamp(-1, 1)
    before, after = clip.embed_images(source), clip.embed_images(adapted)
    return Measures(
        quality=((after @ aim.goals.T) @ aim.weights).mean().item(),
        direction=(image_direction(before, after) @ aim.direction).mean().item(),
        retention=diversity(after) / max(diversity(before), 1e-6),
        pinned=pinned_score(source, adapted),
        structure=structure_score(source, adapted),
    )
