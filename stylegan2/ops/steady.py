"""Products and convolutions whose bits depend neither on the number of threads nor on the batch, on a processor.

A picture then has the same bits alone and among others, on one core and on many. Libraries choose their kernels by
shapes and threads, and so the order in which products are added up; here they are asked in ways that leave no choice.
Which ways those are was measured: docs/LOG.md. On processors with AVX2 and no AVX-512 it is not enough: there some of
oneDNN's kernels go by the threads whatever they are asked, and only the same number of threads gives the same bits.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

ROWS = 64
"""Up to which every row goes through a matrix by itself. More are for statistics, where bits do not matter."""
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
    # a 1x1 convolution is PyTorch's own with one thread and oneDNN's with more; a dilated one is always oneDNN's, and
    # dilation means nothing to a single tap
    dilation = 2 if kernel.shape[2:] == (1, 1) else 1
    if len(x) == 1 and x.numel() <= SMALL:
        return F.conv2d(torch.cat([x, x]), kernel, padding=padding, dilation=dilation)[:1]
    return F.conv2d(x, kernel, padding=padding, dilation=dilation)
