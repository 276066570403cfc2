"""What follows a modulated convolution, for training with little memory: only the result is kept for the backward pass.

A leaky ReLU can be undone, so from the result z both the sign and the value before it are known again, and neither the
convolution's result nor the sums on the way need be kept. Once differentiable.

Source  Bulò et al. 2018 (in-place activated batch norm) has the trick
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from .activation import GAIN, SLOPE, finish


def finish_sparing(
    y: Tensor, d: Tensor, bias: Tensor, noise: Tensor | None, strength: Tensor, clamp: float | None
) -> Tensor:
    """`activation.finish`, its values and its gradients, in place of `y`."""
    return (
        _Finish.apply(y, d, bias, noise, strength, clamp)
        if torch.is_grad_enabled() and y.requires_grad
        else finish(y, d, bias, noise, strength, clamp)
    )


class _Finish(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, y: Tensor, d: Tensor, bias: Tensor, noise: Any, strength: Tensor, clamp: Any) -> Tensor:
        z = finish(y, d, bias, noise, strength, clamp)
        ctx.save_for_backward(z, d, bias, noise, strength)
        ctx.clamp = clamp
        ctx.mark_dirty(y)
        return z

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        """With p = GAIN (d y + strength noise + bias) before the leaky ReLU and g the gradient of p."""
        (g,), (z, d, bias, noise, strength) = gradients, ctx.saved_tensors
        dtype, g, z = g.dtype, g.float(), z.float()  # sums over pictures want more than 16 bits
        g = torch.where(z > 0, g, g * SLOPE)
        if ctx.clamp is not None:
            g = g.masked_fill_(z.abs() >= ctx.clamp, 0)
        each = g.sum((2, 3))
        along = (g * F.leaky_relu(z, 1 / SLOPE)).sum((2, 3)) - GAIN * bias * each  # sum of g (p - GAIN bias)
        d_strength = None
        if noise is not None:
            pixels = g.permute(0, 2, 3, 1).flatten(1, 2)
            on_noise = (noise.float().flatten(2).expand(len(g), -1, -1) @ pixels)[:, 0]
            along = along - GAIN * strength * on_noise
            d_strength = GAIN * on_noise.sum()
        return (g * (GAIN * d[:, :, None, None])).to(dtype), along / d, GAIN * each.sum(0), None, d_strength, None
