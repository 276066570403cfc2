"""Modulated convolution with one shared kernel: the style scales the input, demodulation scales the output.

The published form gives every item of a batch a kernel of its own, which needs a grouped convolution. A convolution is
linear, so scaling its input channels by s and its output channels by d is the same arithmetic with one kernel for all.

Source  Karras et al. 2020, section 2.2, equations 1 and 3
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from .padding import pad
from .resample import up_convolve


def demodulation(weight: Tensor, s: Tensor, eps: float) -> Tensor:
    """d = 1 / sqrt(sum_{i,k} (w_{oik} s_i)^2 + eps).

    weight  [O, I, k, k]
    s       [N, I]
    returns [N, O]
    """
    energy = weight.square().sum((2, 3))
    return (s.square() @ energy.t() + eps).rsqrt()


def modulated_convolve(
    x: Tensor, weight: Tensor, s: Tensor, *, tile: str, up_taps: tuple[float, ...] | None = None
) -> Tensor:
    """Convolve `x` scaled by the style; not yet demodulated.

    x        [N, I, H, W]
    weight   [O, I, k, k], k odd
    s        [N, I]
    up_taps  filter of an up-sampling convolution (twice the size); None = the same size
    """
    x = x * s[:, :, None, None]
    if up_taps is not None:
        return up_convolve(x, weight, up_taps, tile)
    k = weight.shape[-1]
    if tile == "none" or k == 1:
        return F.conv2d(x, weight, padding=k // 2)
    return F.conv2d(pad(x, k // 2, tile), weight)
