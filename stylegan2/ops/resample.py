"""Up-sampling by two with a FIR filter, for images and inside a convolution; zero or circular borders.

All follow one picture: the signal is continued beyond its border (by zeros or by its own period), zeros are put
between its samples, and the filters run over that. So circular results are periodic exactly, in both phases.

Source  Karras et al. 2020, section 4.2 and the code beside it; Zhang 2019 for the filter
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .padding import pad


def normalise_taps(taps: tuple[float, ...]) -> tuple[float, ...]:
    """Taps with sum 1."""
    total = sum(taps)
    return tuple(t / total for t in taps)


def upsample(x: Tensor, taps: tuple[float, ...], tile: str) -> Tensor:
    """[N, C, H, W] -> [N, C, 2H, 2W], mean brightness kept.

    taps  four, sum 1. Per axis, with zeros between the samples: out[n] = 2 sum_j taps[j] u[n + 1 - j], u[2i] = x[i]
    """
    x = pad(x, 1, tile)
    for dim in (3, 2):
        n = x.shape[dim] - 2
        before, here, after = (x.narrow(dim, k, n) for k in (0, 1, 2))
        even = 2 * taps[3] * before + 2 * taps[1] * here
        odd = 2 * taps[2] * here + 2 * taps[0] * after
        x = interleave(even, odd, dim)
    return x


def up_convolve(x: Tensor, weight: Tensor, taps: tuple[float, ...], padding: tuple[int, int]) -> Tensor:
    """Up-sample by two, convolve with a 3x3 kernel, filter: [N, I, H, W] -> [N, O, 2H, 2W].

    x        with the sample beyond each border already there along an axis where `padding` is 0; H, W count without it
    weight   [O, I, 3, 3], in the orientation of NVlabs' and rosinality's checkpoints

    Per axis, y[2i + k] += x[i] weight[k], then the filter on y. The even samples of y see weight[0] and weight[2], the
    odd ones weight[1] alone, so that y is four convolutions with 2x2, 2x1, 1x2 and 1x1 taps: nothing is multiplied by
    the zeros between the samples, and each runs at the speed of a plain convolution.
    """
    rows = (weight[:, :, [2, 0]], weight[:, :, [1]])
    kernels = [kernel for row in rows for kernel in (row[..., [2, 0]], row[..., [1]])]
    even_even, even_odd, odd_even, odd_odd = (F.conv2d(x, kernel, padding=padding) for kernel in kernels)
    return weave(even_even, even_odd, odd_even, odd_odd, taps)


def weave(even_even: Tensor, even_odd: Tensor, odd_even: Tensor, odd_odd: Tensor, taps: tuple[float, ...]) -> Tensor:
    """Put the four phases of y (rows, columns) into each other and filter: -> [N, C, 2H, 2W].

    even samples are y[0], y[2], ... y[2H]: H + 1; odd ones y[-1], y[1], ... y[2H + 1]: H + 2
    out[n] = 2 sum_j taps[3 - j] y[n - 1 + j] along each axis; 2 for the zeros that were put in
    """
    even = _weave(even_even, even_odd, taps, 3)
    odd = _weave(odd_even, odd_odd, taps, 3)
    return _weave(even, odd, taps, 2)


def _weave(even: Tensor, odd: Tensor, taps: tuple[float, ...], dim: int) -> Tensor:
    n = even.shape[dim] - 1
    e0, e1 = (even.narrow(dim, k, n) for k in (0, 1))
    o0, o1, o2 = (odd.narrow(dim, k, n) for k in (0, 1, 2))
    a, b, c, d = (2 * t for t in reversed(taps))
    first = (a * o0).add_(e0, alpha=b).add_(o1, alpha=c).add_(e1, alpha=d)
    second = (a * e0).add_(o1, alpha=b).add_(e1, alpha=c).add_(o2, alpha=d)
    return interleave(first, second, dim)


def interleave(even: Tensor, odd: Tensor, dim: int) -> Tensor:
    """even[0], odd[0], even[1], ... along `dim`, in the memory format of `even`."""
    shape = list(even.shape)
    shape[dim] *= 2
    format = torch.channels_last if even.is_contiguous(memory_format=torch.channels_last) else torch.contiguous_format
    out = torch.empty(shape, dtype=even.dtype, device=even.device, memory_format=format)
    rows = (slice(None),) * dim
    out[(*rows, slice(0, None, 2))] = even
    out[(*rows, slice(1, None, 2))] = odd
    return out
