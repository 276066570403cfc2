"""The generator that a training keeps: an exponential average of the trained one's weights."""

from __future__ import annotations

import copy

import torch

from ..networks import Generator


@torch.no_grad()
def follow(average: Generator, generator: Generator, *, batch: int, seen: int, half_life: float) -> None:
    """Move the average towards the generator after a step of `batch` images, of `seen` in all; half_life in images.

    Early on the half-life is a twentieth of what was seen. Source: Karras et al. 2020b, appendix
    """
    keep = 0.5 ** (batch / min(half_life, 0.05 * seen + 1))
    torch._foreach_lerp_(list(average.parameters()), list(generator.parameters()), 1 - keep)


@torch.no_grad()
def finished(average: Generator) -> Generator:
    """A copy with its mean latent, ready to be saved."""
    generator = copy.deepcopy(average).eval()
    z = torch.randn(10_000, generator.config.z_dim, generator=torch.Generator().manual_seed(0))
    w_avg = generator.mapping.w_avg
    c_dim = generator.config.c_dim
    labels = torch.eye(c_dim)[torch.arange(len(z)) % c_dim].to(w_avg) if c_dim else None
    w_avg.copy_(generator.mapping(z.to(w_avg), labels).mean(0))
    return generator
