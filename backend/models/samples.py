"""Pictures to judge a model by: of a generator, and fresh renders; the same at every call, and in no training set."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ...stylegan2.inputs import draw_inputs
from ...stylegan2.latents import kind_of, z_from_seed
from ...stylegan2.networks import Generator
from .procedural.captions import Attributes
from .procedural.stream import draw_attributes, render

AT_ONCE = 16


@torch.no_grad()
def generated(
    generator: Generator, seeds: Sequence[int], *, grid: tuple[int, int] = (4, 4), tile: str = "xy", psi: float = 1.0
) -> Tensor:
    """One picture a seed, [len(seeds), 3, H, W] in [-1, 1], H, W = grid * resolution / 4; see `labels_of`."""
    device, made = generator.mapping.w_avg.device, []
    for start in range(0, len(seeds), AT_ONCE):
        some = seeds[start : start + AT_ONCE]
        z = torch.stack([z_from_seed(seed, generator.config.z_dim) for seed in some]).to(device)
        ws = generator.map(z, psi=psi, labels=labels_of(generator, some))
        inputs = draw_inputs(generator.config, some, grid).to(device)
        made.append(generator.synthesize(ws, inputs, tile=tile).clamp(-1, 1))
    return torch.cat(made)


def labels_of(generator: Generator, seeds: Sequence[int]) -> Tensor | None:
    """One-hot classes [len(seeds), c_dim], which take turns with the seeds; None for a generator without classes."""
    c_dim = generator.config.c_dim
    return torch.eye(c_dim)[torch.tensor(seeds) % c_dim].to(generator.mapping.w_avg.device) if c_dim else None


def kinds_of(generator: Generator, seeds: Sequence[int]) -> Tensor:
    """Which kind of picture each seed is, [len(seeds)] indices; of a generator whose latents fall into kinds."""
    z = torch.stack([z_from_seed(seed, generator.config.z_dim) for seed in seeds])
    return kind_of(z, generator.config.kinds)


def renders(
    n: int, size: int, seed: int, *, weathered: float = 0.0, tinted: float = 0.0
) -> tuple[Tensor, list[Attributes]]:
    """n renders [n, 3, size, size] in [-1, 1] of random families, as 8-bit pictures hold them."""
    rng = torch.Generator().manual_seed(seed)
    attributes = draw_attributes(n, rng, weathered=weathered, tinted=tinted)
    made = [render(attributes[i : i + 64], size=size, rng=rng) for i in range(0, n, 64)]
    return (torch.cat(made) * 255).round() / 127.5 - 1, attributes


def as_pixels(images: Tensor) -> np.ndarray:
    """Images [N, 3, H, W] in [-1, 1] -> uint8 [N, H, W, 3]."""
    return ((images.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()
