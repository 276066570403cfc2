"""Products and convolutions whose bits depend neither on the number of threads nor on the batch, on a processor.

A picture then has the same bits alone and among others, on one core and on many. Libraries choose their kernels by
shapes and threads, and so the order in which products are added up; here they are asked in ways that leave no choice.
Which ways those are was measured: docs/LOG.md.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

ROWS = 64
"""Up to which every row goes through a matrix by itself. More are for statistics, where bits do not matter."""
CHANNELS_OF_A_POINT = 128
"""Added up at once by a 1x1 convolution: oneDNN divides longer sums (256; 192 are whole) among its threads."""
SMALL = 20480
"""Elements up to which PyTorch gives a single picture, and no batch, to a convolution other than oneDNN's."""


def product(rows: Tensor, matrix: Tensor) -> Tensor:
    """rows [N, I] @ matrix [I, O] -> [N, O]."""
    if rows.device.type != "cpu" or len(rows) > ROWS:
        return rows @ matrix
    return torch.bmm(rows[:, None], matrix.expand(len(rows), -1, -1))[:, 0]


def convolution(x: Tensor, kernel: Tensor, padding: tuple[int, int] = (0, 0)) -> Tensor:
    """`conv2d` of x [N, I, H, W] and kernel [O, I, k, l]."""
    if x.device.type != "cpu":
        return F.conv2d(x, kernel, padding=padding)
    if kernel.shape[2:] == (1, 1) and x.shape[1] > CHANNELS_OF_A_POINT:
        parts = zip(*(t.split(CHANNELS_OF_A_POINT, 1) for t in (x, kernel)), strict=True)
        first, *rest = (convolution(part, taps, padding) for part, taps in parts)
        for other in rest:
            first = first.add_(other)
        return first
    if len(x) == 1 and x.numel() <= SMALL:
        return F.conv2d(torch.cat([x, x]), kernel, padding=padding)[:1]
    return F.conv2d(x, kernel, padding=padding)
