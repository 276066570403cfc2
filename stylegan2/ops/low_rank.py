"""A low-rank change of a convolution's weight, W + B A, trained without the gradient of the whole weight.

The values are those of the dense sum, bit for bit what the folded generator gives. Only the gradient is taken apart:

    dL/dB = sum_pixels g (A * x)^T        dL/dA = the weight gradient of A * x for the output gradient B^T g

so the backward pass costs two convolutions with r output channels where the dense weight's would need O.

Source  Hu et al. 2021 (LoRA), section 4.1, here for modulated convolutions
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .modulation import convolve, convolve_backward
from .padding import wrap, zero_padding
from .resample import scattered_gradient

LARGE = 2**20
"""Numbers of one picture's input from which `_by_windows` is the quicker way (measured: docs/LOG.md)."""


@dataclass(frozen=True)
class LowRank:
    """up = B [O, r], down = A [r, I, k, k]."""

    up: Tensor
    down: Tensor

    def added_to(self, weight: Tensor) -> Tensor:
        """weight [O, I, k, k] + B A."""
        return weight + dense(self.up, self.down)

    def traced(self, y: Tensor, x: Tensor, s: Tensor, *, tile: str, up_taps: tuple[float, ...] | None) -> Tensor:
        """y, the convolution of x with the detached sum, with the gradients of A and B; others as in `modulation`."""
        return _Traced.apply(y, x, s, self.up, self.down, tile, up_taps)


def dense(up: Tensor, down: Tensor) -> Tensor:
    """B A of B [O, r] and A [r, ...]: [O, ...]."""
    return (up @ down.reshape(len(down), -1)).view(len(up), *down.shape[1:])


class _Traced(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, y: Tensor, x: Tensor, s: Tensor, up: Tensor, down: Tensor, tile: str, up_taps: Any) -> Tensor:
        ctx.save_for_backward(x, s, up, down)
        ctx.geometry = (tile, up_taps)
        ctx.mark_dirty(y)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        given, (x, s, up, down) = gradients[0], ctx.saved_tensors
        tile, up_taps = ctx.geometry
        g, x, s, up, down = (t.float() for t in (given, x, s, up, down))  # what mixed precision made of them
        scaled = wrap(x * s[:, :, None, None], 1, tile)
        return given, None, None, *thin_gradients(g, scaled, up, down, up_taps, tile), None, None


def thin_gradients(
    g: Tensor, scaled: Tensor, up: Tensor, down: Tensor, up_taps: tuple[float, ...] | None, tile: str
) -> tuple[Tensor, Tensor]:
    """Gradients of B and A from g, that of the convolution's result; `scaled` is its input."""
    padding = zero_padding(tile)
    thin = convolve(scaled, down, up_taps, padding)
    # the operand with few rows first: libraries take several times as long for the same product the other way round
    d_up = torch.bmm(thin.flatten(2), g.flatten(2).transpose(1, 2)).sum(0).t()
    g_thin = F.conv2d(g, up.t()[:, :, None, None])
    if scaled.device.type == "cpu" and scaled[0].numel() >= LARGE:
        return d_up, _by_windows(g_thin, scaled, up_taps, padding)
    return d_up, convolve_backward(g_thin, scaled, down, up_taps, padding, (False, True))[1]


def _by_windows(g: Tensor, x: Tensor, up_taps: tuple[float, ...] | None, padding: tuple[int, int]) -> Tensor:
    """The gradient [r, I, 3, 3] of A, as of `convolve_backward`, from g [N, r, H', W'] and the input x [N, I, H, W].

    One product of x with the 3x3 windows of g, of which there are few channels: for large maps, libraries for
    processors take three times as long for the gradient of a kernel with few outputs. Picture by picture, for memory.
    """
    py, px = padding
    stride, around = 1, (2 - py, 2 - px)
    if up_taps is not None:
        stride, around = 2, (1 - py, 1 - px)
        g = scattered_gradient(g, up_taps, padding)
    total = x.new_zeros(9 * g.shape[1], x.shape[1])
    for one, seen in zip(g, x, strict=True):
        windows = F.unfold(one[None], 3, padding=around, stride=stride)[0]
        total.addmm_(windows, seen.flatten(1).t())
    kernel = total.view(g.shape[1], 3, 3, -1).permute(0, 3, 1, 2)
    return kernel.flip(2, 3) if up_taps is None else kernel
