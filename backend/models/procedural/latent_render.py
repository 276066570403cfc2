"""Pictures that belong to latents: what a generator should make of a z and the inputs drawn beside it."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ....stylegan2.inputs import SynthesisInputs
from ....stylegan2.latents import KIND_NUMBERS, kind_of
from .captions import FAMILY_NAMES
from .draws import LatentDraw, half_of
from .families import FAMILIES
from .fields import downsample
from .photograph import photograph
from .stream import SUPERSAMPLING
from .surface import Surface

KINDS = len(FAMILY_NAMES)


@torch.no_grad()
def render_latents(z: Tensor, inputs: SynthesisInputs, size: int) -> Tensor:
    """Latents [n, z_dim] and a generator's inputs at its base grid -> pictures [n, 3, size, size] in [0, 1].

    The kind of a latent (`latents.kind_of`) is its family, its other numbers are the parameters, the inputs its fields.
    """
    pictures = torch.empty(len(z), 3, size, size, device=z.device)
    for rows, draw in _draws(z, inputs, size * SUPERSAMPLING):
        pictures[rows] = downsample(photograph(draw, _surface(z[rows], draw)), SUPERSAMPLING)
    return pictures


@torch.no_grad()
def surfaces_of(z: Tensor, inputs: SynthesisInputs, size: int) -> Iterator[tuple[Tensor, int, Surface]]:
    """The surfaces of latents by families and choices: their rows, the choice (0 or 1), and they themselves."""
    for rows, draw in _draws(z, inputs, size):
        yield rows, draw.half, _surface(z[rows], draw)


def _draws(z: Tensor, inputs: SynthesisInputs, size: int) -> Iterator[tuple[Tensor, LatentDraw]]:
    """Latents that one family can make together: their rows, and their randomness."""
    kinds, halves = kind_of(z, KINDS), half_of(z, KIND_NUMBERS)
    for group in (2 * kinds + halves).unique().tolist():
        rows = (2 * kinds + halves == group).nonzero()[:, 0]
        yield rows, LatentDraw(z[rows], inputs.items(rows), size, first=KIND_NUMBERS + 1, half=group % 2)


def _surface(z: Tensor, draw: LatentDraw) -> Surface:
    return FAMILIES[FAMILY_NAMES[int(kind_of(z[:1], KINDS))]](draw)
