"""Padding that is circular along the axes that tile, and zero along the others."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def pad(x: Tensor, p: int, tile: str) -> Tensor:
    """`p` more pixels on each of the four sides.

    x     [N, C, H, W]; along a tiled axis p may exceed the size: the signal is periodic, however short
    tile  none | x | y | xy; "x" wraps along the width
    """
    if "x" in tile:
        x = _wrap(x, p, 3)
    if "y" in tile:
        x = _wrap(x, p, 2)
    px, py = (0 if "x" in tile else p), (0 if "y" in tile else p)
    return F.pad(x, (px, px, py, py)) if px or py else x


def _wrap(x: Tensor, p: int, dim: int) -> Tensor:
    n = x.shape[dim]
    if p > n:
        return x.index_select(dim, torch.arange(-p, n + p, device=x.device) % n)
    # one cat keeps the memory format and has a cheap gradient; F.pad(mode="circular") has neither
    return torch.cat([x.narrow(dim, n - p, p), x, x.narrow(dim, 0, p)], dim)
