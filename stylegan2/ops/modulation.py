"""Modulated convolution with one shared kernel: the style scales the input, demodulation scales the output.

The published form gives every item of a batch a kernel of its own, which needs a grouped convolution. A convolution is
linear, so scaling its input channels by s and its output channels by d is the same arithmetic with one kernel for all.

Source  Karras et al. 2020, section 2.2, equations 1 and 3
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .padding import wrap, zero_padding
from .resample import up_convolve, up_convolve_backward
from .steady import convolution, product


def demodulation(weight: Tensor, s: Tensor, eps: float) -> Tensor:
    """d = 1 / sqrt(sum_{i,k} (w_{oik} s_i)^2 + eps).

    weight  [O, I, k, k]
    s       [N, I]
    returns [N, O]
    """
    return demodulation_by(energy(weight), s, eps)


def energy(weight: Tensor) -> Tensor:
    """sum_k w_{oik}^2 of [O, I, k, k] -> [O, I]; as a norm it takes half the time of a sum of squares."""
    return torch.linalg.vector_norm(weight, dim=(2, 3)).square()


def demodulation_by(energy: Tensor, s: Tensor, eps: float) -> Tensor:
    """`demodulation` where the energy is at hand."""
    return (product(s.square(), energy.t()) + eps).rsqrt()


def modulated_convolve(
    x: Tensor, weight: Tensor, s: Tensor, *, tile: str, up_taps: tuple[float, ...] | None = None
) -> Tensor:
    """Convolve `x` scaled by the style; not yet demodulated.

    x        [N, I, H, W]
    weight   [O, I, 3, 3]
    s        [N, I]
    up_taps  filter of an up-sampling convolution (twice the size); None = the same size
    """
    return convolve(wrap(x * s[:, :, None, None], 1, tile), weight, up_taps, zero_padding(tile))


def convolve(
    x: Tensor,
    weight: Tensor,
    up_taps: tuple[float, ...] | None,
    padding: tuple[int, int],
    kernels: list[Tensor] | None = None,
) -> Tensor:
    """A 3x3 convolution, at the same size or up-sampling (see `up_convolve`).

    padding  rows and columns of zeros on each side; where it is 0, x has one pixel more there already
    """
    if up_taps is None:
        return convolution(x, weight, padding)
    return up_convolve(x, weight, up_taps, padding, kernels)


def convolve_backward(
    g: Tensor,
    x: Tensor,
    weight: Tensor,
    up_taps: tuple[float, ...] | None,
    padding: tuple[int, int],
    wanted: tuple[bool, bool],
) -> tuple[Any, Any]:
    """Gradients of x and weight of `convolve`, as they are `wanted` (else None), from that of its result.

    x  where the weight's gradient is not wanted, anything of its shape and memory format
    """
    if up_taps is not None:
        return up_convolve_backward(g, x, weight, up_taps, padding, wanted)
    gx, gw, _ = torch.ops.aten.convolution_backward(
        g, x, weight, None, [1, 1], list(padding), [1, 1], False, [0, 0], 1, [*wanted, False]
    )
    return gx, gw
