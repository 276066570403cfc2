"""What follows a modulated convolution: demodulation, noise, bias, leaky ReLU, gain and clamp."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .. import native

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
    impl: str = "auto",
) -> Tensor:
    """clamp(sqrt(2) * leaky_relu(d x + strength noise + bias)).

    x         [N, C, H, W], a convolution's result; overwritten where no gradient is needed
    d         [N, C]; None = the convolution's kernel carries both d and the gain sqrt(2)
    bias      [C]
    noise     [N or 1, 1, H, W], or None
    strength  []
    out       where to put the result where no gradient is needed; None = in x
    impl      auto | native | torch: one pass over x, or one for each step
    The gain is folded into the summands, since a leaky ReLU lets positive factors through.
    With and without gradients the bits are the same, so that an adapted generator can be compared with its frozen twin.
    """
    scale, bias, strength = None if d is None else GAIN * d, GAIN * bias, GAIN * strength
    if not native.use(x, impl):
        return _finish(x, scale, bias, noise, strength, clamp, out)
    x, limit = _dense(x), math.inf if clamp is None else clamp
    # under autocast the convolution comes in 16 bits, and what is beside it does not
    bias, strength = bias.to(x.dtype), strength.to(x.dtype)
    scale, noise = (None if t is None else t.to(x.dtype) for t in (scale, noise))
    scale, noise = None if scale is None else scale.contiguous(), None if noise is None else noise.contiguous()
    if torch.is_grad_enabled():
        return _Finish.apply(x, scale, bias.contiguous(), noise, strength, limit)
    # the layout of x decides the bits, so that a place of another layout gets a copy
    here = x if out is None or _format(out) != _format(x) else out
    torch.ops.latent_loom.finish.out(x, scale, bias.contiguous(), noise, strength, limit, out=here)
    return here if out is None or here is out else out.copy_(here)


def _finish(
    x: Tensor,
    scale: Tensor | None,
    bias: Tensor,
    noise: Tensor | None,
    strength: Tensor,
    clamp: float | None,
    out: Tensor | None = None,
) -> Tensor:
    """The pure-PyTorch twin: clamp(leaky_relu(scale x + strength noise + bias))."""
    bias = bias[:, None, None]
    if torch.is_grad_enabled():
        x = x + bias if scale is None else torch.addcmul(bias, x, scale[:, :, None, None])
        if noise is not None:
            x = x + strength * noise
        x = F.leaky_relu(x, SLOPE)
        return x if clamp is None else x.clamp(-clamp, clamp)
    x = x.add_(bias) if scale is None else torch.addcmul(bias, x, scale[:, :, None, None], out=x)
    if noise is not None:
        x = x.add_(strength * noise)
    x = F.leaky_relu_(x, SLOPE)
    x = x if clamp is None else x.clamp_(-clamp, clamp)
    return x if out is None else out.copy_(x)


class _Finish(torch.autograd.Function):
    """The native kernel and its gradient; gradients of that gradient go through the twin."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, scale: Tensor | None, bias: Tensor, noise: Tensor | None, strength: Tensor, limit: float
    ) -> Tensor:
        y = torch.empty_like(x)
        torch.ops.latent_loom.finish.out(x, scale, bias, noise, strength, limit, out=y)
        ctx.save_for_backward(x, scale, bias, noise, strength, y)
        ctx.limit = limit
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        (g,), (x, scale, bias, noise, strength, y) = gradients, ctx.saved_tensors
        inputs, needed = (x, scale, bias, noise, strength), ctx.needs_input_grad[:5]
        if torch.is_grad_enabled():
            with torch.enable_grad():
                again = _finish(x, scale, bias, noise, strength, ctx.limit)
            chosen = [t for t, wanted in zip(inputs, needed, strict=True) if wanted]
            found = iter(torch.autograd.grad(again, chosen, g, create_graph=True, allow_unused=True))
            return (*(next(found) if wanted else None for wanted in needed), None)
        g = g.contiguous(memory_format=_format(x))
        gx, g_scale, g_bias, g_noise = torch.ops.latent_loom.finish_backward(g, y, x, scale, ctx.limit)
        of_noise = of_strength = None
        if noise is not None:
            g_noise = g_noise if noise.shape == g_noise.shape else g_noise.sum(0, keepdim=True)
            of_noise, of_strength = strength * g_noise, (noise * g_noise).sum().reshape(strength.shape)
        return gx, g_scale if scale is not None else None, g_bias, of_noise, of_strength, None


def _format(x: Tensor) -> torch.memory_format:
    last = x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
    return torch.channels_last if last else torch.contiguous_format


def _dense(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=_format(x))
