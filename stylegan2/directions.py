"""Edit directions from the weights alone: which steps in w change a generator's styles most.

A step n in w changes the styles of the layers it drives by A n, where A stacks the weights of their affine layers. The
unit vectors that maximise |A n|, each orthogonal to those before it, are the eigenvectors of A^T A. No data, no
training.

Source  Shen and Zhou 2021 (SeFA), section 3.2, equations 4 to 8
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .errors import ShapeError
from .latents import z_from_seed
from .networks import Generator

SAMPLES = 512
"""Latents whose spread says how long a step of 1 is."""

DIGITS = 6
"""Decimals of a direction's entries: what linear algebra libraries agree on, so that pictures do too."""


@dataclass(frozen=True, kw_only=True)
class Directions:
    """vectors    [K, w_dim] float32, of length 1, orthogonal; d0 changes the styles most
    strengths  [K] |A n| of each: how much the styles change for a step of length 1
    spread     [K] standard deviation of w along each: an amount of 1 moves w so far, 2 or 3 as far as rare seeds lie
    layers     indices of the w vectors that they move
    """

    vectors: Tensor
    strengths: Tensor
    spread: Tensor
    layers: tuple[int, ...]

    def step(self, index: int, amount: float, num_ws: int) -> Tensor:
        """What direction `index` adds to ws at `amount`: [num_ws, w_dim]. Raises ShapeError"""
        if not 0 <= index < len(self.vectors):
            raise ShapeError(f"This generator has the directions d0 to d{len(self.vectors) - 1}, not d{index}.")
        step = torch.zeros(num_ws, self.vectors.shape[1])
        step[list(self.layers)] = amount * self.spread[index] * self.vectors[index]
        return step


@torch.no_grad()
def sefa(generator: Generator, *, count: int | None = None, layers: Sequence[int] | None = None) -> Directions:
    """The `count` strongest directions (None = all w_dim) of the layers that the w vectors `layers` drive (None = all).

    The sign is the one that makes a direction's largest entry positive: the same on every machine.
    Raises  ShapeError
    """
    chosen = tuple(range(generator.num_ws) if layers is None else layers)
    if not chosen or not set(chosen) <= set(range(generator.num_ws)):
        raise ShapeError(f"This generator has the layers 0 to {generator.num_ws - 1}, not {list(chosen)}.")
    driven = [layer for layer in generator.layers() if layer.w_index in chosen]
    affines = [generator.get_parameter(f"synthesis.{layer.name}.affine.weight") for layer in driven]
    gain = generator.config.w_dim**-0.5
    a = gain * torch.cat([weight.detach().double().cpu() for weight in affines])
    values, vectors = torch.linalg.eigh(a.t() @ a)
    values, vectors = values.flip(0)[:count], vectors.t().flip(0)[:count]
    largest = vectors.gather(1, vectors.abs().argmax(1, keepdim=True))
    vectors = (vectors * largest.sign()).round(decimals=DIGITS)
    spread = (_samples(generator) @ vectors.t()).std(0)
    return Directions(
        vectors=vectors.float(),
        strengths=values.clamp_min(0).sqrt().float(),
        spread=spread.float(),
        layers=chosen,
    )


def _samples(generator: Generator) -> Tensor:
    """w of the seeds 0 to `SAMPLES` - 1, of the first class where there are classes: [SAMPLES, w_dim] float64."""
    config, device = generator.config, generator.mapping.w_avg.device
    z = torch.stack([z_from_seed(seed, config.z_dim) for seed in range(SAMPLES)]).to(device)
    labels = torch.eye(1, config.c_dim, device=device).expand(len(z), -1) if config.c_dim else None
    return generator.mapping(z, labels).double().cpu()
