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
        x = torch.stack([even, odd], dim + 1).flatten(dim, dim + 1)
    return x


def fir(x: Tensor, taps: tuple[float, ...], gain: float) -> Tensor:
    """Four taps along both axes without padding: [N, C, H + 3, W + 3] -> [N, C, H, W], one depthwise convolution."""
    f = torch.tensor(taps[::-1], dtype=x.dtype, device=x.device)  # conv2d correlates; a filter is convolved
    c = x.shape[1]
    return F.conv2d(x, (gain * f[:, None] * f).expand(c, 1, 4, 4), groups=c)


def up_convolve(x: Tensor, weight: Tensor, taps: tuple[float, ...], tile: str) -> Tensor:
    """Up-sample by two, convolve with a 3x3 kernel, filter: [N, I, H, W] -> [N, O, 2H, 2W].

    weight  [O, I, 3, 3], in the orientation of NVlabs' and rosinality's checkpoints

    Per axis, y[2i + k] += x[i] weight[k] (a transposed convolution), then the filter on y, with gain 4 for the zeros
    that were put in. Beyond the border one sample of x is all that the four taps ever reach.
    """
    x = pad(x, 1, tile)
    y = F.conv_transpose2d(x, weight.transpose(0, 1), stride=2)
    return fir(y[:, :, 1:-1, 1:-1], taps, gain=4.0)
