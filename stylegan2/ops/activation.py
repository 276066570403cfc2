"""What follows a modulated convolution: demodulation, noise, bias, leaky ReLU, gain and clamp."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

SLOPE = 0.2
GAIN = math.sqrt(2)  # keeps the variance of a unit Gaussian through a leaky ReLU, nearly


def leaky_relu(x: Tensor, bias: Tensor) -> Tensor:
    """sqrt(2) * leaky ReLU (x + bias) with slope 0.2; x [N, C], bias [C]."""
    return F.leaky_relu(x + bias, SLOPE) * GAIN


def finish(
    x: Tensor,
    d: Tensor | None,
    bias: Tensor,
    noise: Tensor | None,
    strength: Tensor,
    clamp: float | None,
    out: Tensor | None = None,
) -> Tensor:
    """clamp(sqrt(2) * leaky_relu(d x + strength noise + bias)).

    x         [N, C, H, W], a convolution's result; overwritten where no gradient is needed
    d         [N, C]; None = the convolution's kernel carries both d and the gain sqrt(2)
    bias      [C]
    noise     [N or 1, 1, H, W], or None
    strength  []
    out       where to put the result where no gradient is needed; None = in x
    The gain is folded into the summands, since a leaky ReLU lets positive factors through: one pass less.
    With and without gradients the bits are the same, so that an adapted generator can be compared with its frozen twin.
    """
    bias = GAIN * bias[:, None, None]
    if torch.is_grad_enabled():
        x = x + bias if d is None else torch.addcmul(bias, x, GAIN * d[:, :, None, None])
        if noise is not None:
            x = x + GAIN * strength * noise
        x = F.leaky_relu(x, SLOPE)
        return x if clamp is None else x.clamp(-clamp, clamp)
    x = x.add_(bias) if d is None else torch.addcmul(bias, x, GAIN * d[:, :, None, None], out=x)
    if noise is not None:
        x = x.add_(GAIN * strength * noise)
    x = F.leaky_relu_(x, SLOPE)
    x = x if clamp is None else x.clamp_(-clamp, clamp)
    return x if out is None else out.copy_(x)
