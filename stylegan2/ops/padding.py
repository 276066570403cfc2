"""Padding that is circular along the axes that tile, and zero along the others; rows and their neighbours."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def pad(x: Tensor, p: int, tile: str) -> Tensor:
    """`p` more pixels on each of the four sides.

    x     [N, C, H, W]; along a tiled axis p may exceed the size: the signal is periodic, however short
    tile  none | x | y | xy; "x" wraps along the width
    """
    x = wrap(x, p, tile)
    px, py = (0 if "x" in tile else p), (0 if "y" in tile else p)
    return F.pad(x, (px, px, py, py)) if px or py else x


def wrap(x: Tensor, p: int, tile: str) -> Tensor:
    """`p` more pixels on both sides of the tiled axes alone; a convolution pads the others with zeros by itself."""
    for axis, dim in (("x", 3), ("y", 2)):
        if axis in tile:
            x = _wrap(x, p, dim)
    return x


def unwrap(g: Tensor, p: int, tile: str) -> Tensor:
    """The gradient of `wrap`'s input from that of its result, which is overwritten; p at most the input's size."""
    for axis, dim in (("y", 2), ("x", 3)):
        if axis in tile:
            n = g.shape[dim] - 2 * p
            before, g, after = g.split([p, n, p], dim)
            g.narrow(dim, n - p, p).add_(before)
            g.narrow(dim, 0, p).add_(after)
    return g


def zero_padding(tile: str) -> tuple[int, int]:
    """What is left to a convolution after `wrap(x, 1, tile)`: rows and columns of zeros on each side."""
    return int("y" not in tile), int("x" not in tile)


def rows_around(strips: Sequence[Tensor], index: int, p: int, tile: str) -> Tensor:
    """A strip with the `p` rows above and below it: of its neighbours, around the edge, or zeros beyond it.

    strips  a picture cut along its height, [N, C, h_i, W], each at least p high
    """
    last = len(strips) - 1
    above, here, below = (strips[(index + k) % len(strips)] for k in (-1, 0, 1))
    top, bottom = above.narrow(2, above.shape[2] - p, p), below.narrow(2, 0, p)
    if "y" not in tile:
        top = torch.zeros_like(top) if index == 0 else top
        bottom = torch.zeros_like(bottom) if index == last else bottom
    return torch.cat([top, here, bottom], 2)


def _wrap(x: Tensor, p: int, dim: int) -> Tensor:
    n = x.shape[dim]
    if p > n:
        return x.index_select(dim, torch.arange(-p, n + p, device=x.device) % n)
    # one cat keeps the memory format and has a cheap gradient; F.pad(mode="circular") has neither
    return torch.cat([x.narrow(dim, n - p, p), x, x.narrow(dim, 0, p)], dim)
