"""A styled convolution for training with little memory: what goes in and what comes out are all that is kept.

The result z of one layer is what goes into the next, so each layer adds one map to what is kept. A leaky ReLU can be
undone: from z both its sign and the value before it are known again. The input scaled by the style and the dense weight
of a low-rank change are cheap beside the convolution, and are made once more in the backward pass, which goes picture
by picture where pictures are large. Once differentiable.

Source  Bulò et al. 2018 (in-place activated batch norm) has the trick with the leaky ReLU
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from .activation import GAIN, SLOPE, finish
from .low_rank import LowRank, thin_gradients
from .modulation import convolve, convolve_backward, demodulation_by, energy
from .padding import unwrap, wrap, zero_padding

AT_ONCE_BYTES = {"cpu": 2**20, "cuda": 64 * 2**20}
"""Of float32 maps that are worked on together."""


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """What of a layer is no tensor: as in `modulated_convolve`, `demodulation` and `finish`."""

    tile: str
    up_taps: tuple[float, ...] | None
    eps: float
    clamp: float | None


def styled_convolve(
    x: Tensor,
    s: Tensor,
    weight: Tensor,
    update: LowRank | None,
    bias: Tensor,
    noise: Tensor | None,
    strength: Tensor,
    geometry: Geometry,
) -> Tensor:
    """A modulated convolution of x [N, I, H, W] with the style s [N, I], demodulated, and `activation.finish`."""
    up, down = (None, None) if update is None else (update.up, update.down)
    z: Tensor = _Layer.apply(x, s, weight, up, down, bias, noise, strength, geometry)
    return z


class _Layer(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, s: Tensor, weight: Tensor, up: Any, down: Any, bias: Tensor, noise: Any, strength: Tensor,
        geometry: Geometry,
    ) -> Tensor:  # fmt: skip
        g = geometry
        dense = weight if up is None else LowRank(up, down).added_to(weight)
        e = energy(dense)
        d = demodulation_by(e, s, g.eps)
        y = convolve(_scaled(x, s, g), dense, g.up_taps, zero_padding(g.tile))
        ctx.computed_in, ctx.geometry = y.dtype, g
        z = finish(y, d, bias, noise, strength, g.clamp)
        ctx.save_for_backward(x, s, weight, up, down, bias, noise, strength, e, d, z)
        return z

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        """The gradients of every tensor that wants one. Sums are float32, whatever mixed precision made of the maps."""
        (x, s, weight, up, down, bias, noise, strength, e, d, z), g = ctx.saved_tensors, ctx.geometry
        wants_weight, wants_thin = ctx.needs_input_grad[2], any(ctx.needs_input_grad[3:5])
        gy, g_d, g_bias, g_strength = _finish_backward(gradients[0], z, d, bias, noise, strength, g.clamp)
        g_up: Any = None
        g_down: Any = None
        # the gradient of the input needs no more than its shape and format
        scaled = _scaled(x, s, g) if wants_weight or wants_thin or g.tile != "none" else x
        if wants_thin:
            g_up, g_down = thin_gradients(gy, scaled.float(), up.float(), down.float(), g.up_taps, g.tile)
        dense = weight if up is None else LowRank(up, down).added_to(weight)
        if not wants_weight and wants_thin and g.tile == "none":
            scaled = x
        given, seen, kernel = (t.to(ctx.computed_in) for t in (gy, scaled, dense))
        del gy, scaled
        wanted = (True, wants_weight)
        gx, g_weight = convolve_backward(given, seen, kernel, g.up_taps, zero_padding(g.tile), wanted)
        del given, seen
        gx, g_s = _scaled_backward(gx, x, s, g.tile)
        of_s, of_energy = _demodulation_backward(g_d, d, e, s)
        if wants_weight or wants_thin:
            of_dense = dense.float() * (2 * of_energy)[:, :, None, None]
        if wants_weight:
            g_weight = g_weight.float().add_(of_dense)
        if wants_thin:
            g_up += of_dense.flatten(1) @ down.flatten(1).t()
            g_down += (up.t() @ of_dense.flatten(1)).view_as(down)
        return gx, g_s + of_s, g_weight, g_up, g_down, g_bias, None, g_strength, None


def _parts(maps: Tensor) -> list[slice]:
    """Pictures that are worked on together: on a processor as many as stay in its cache, on a GPU, where each piece of
    work has its price, more."""
    count, room = len(maps), AT_ONCE_BYTES["cuda" if maps.device.type == "cuda" else "cpu"]
    each = max(1, min(count, room // max(1, 4 * maps[0].numel()))) if count else 1
    return [slice(first, first + each) for first in range(0, count, each)]


def _scaled(x: Tensor, s: Tensor, g: Geometry) -> Tensor:
    """The convolution's input."""
    return wrap(x * s[:, :, None, None], 1, g.tile)


def _scaled_backward(g: Tensor, x: Tensor, s: Tensor, tile: str) -> tuple[Tensor, Tensor]:
    """Gradients of x and s; g, that of `_scaled`'s result, is overwritten."""
    g = unwrap(g, 1, tile)
    g_s = torch.cat([(g[part].float() * x[part]).sum((2, 3)) for part in _parts(x)])
    return g.mul_(s.to(g.dtype)[:, :, None, None]).to(x.dtype), g_s


def _demodulation_backward(g_d: Tensor, d: Tensor, energy: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of s [N, I] and of the energy [O, I]. d = u^-1/2, so that dd/du = -d^3 / 2."""
    s = s.float()
    g_u = -0.5 * d.float().pow(3) * g_d
    return 2 * s * (g_u @ energy.float()), g_u.t() @ s.square()


def _finish_backward(
    g: Tensor, z: Tensor, d: Tensor, bias: Tensor, noise: Tensor | None, strength: Tensor, clamp: float | None
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Gradients of y, d [N, O], bias [O] and strength, from the result z and its gradient g; float32.

    With p = GAIN (d y + strength noise + bias) before the leaky ReLU and q the gradient of p, that of d is
    sum q GAIN y = (sum q p - GAIN bias sum q - GAIN strength sum q noise) / d.
    """
    gy = torch.empty_like(z, dtype=torch.float32)
    each, along, on_noise = [], [], []
    for part in _parts(z):
        q, result = gy[part], z[part].float()
        torch.ops.aten.leaky_relu_backward.grad_input(g[part].float(), result, SLOPE, False, grad_input=q)
        if clamp is not None:
            q.masked_fill_(result.abs() >= clamp, 0)
        each.append(q.sum((2, 3)))
        along.append(F.leaky_relu(result, 1 / SLOPE).mul_(q).sum((2, 3)))
        if noise is not None:
            own = (noise[part] if len(noise) > 1 else noise.expand(len(q), -1, -1, -1)).float()
            on_noise.append((own.flatten(2) @ q.permute(0, 2, 3, 1).flatten(1, 2))[:, 0])
        q.mul_(GAIN * d[part, :, None, None])
    sums, of_d = torch.cat(each), torch.cat(along)
    of_d = of_d - GAIN * bias * sums
    of_strength = None
    if noise is not None:
        seen = torch.cat(on_noise)
        of_d, of_strength = of_d - GAIN * strength * seen, GAIN * seen.sum()
    return gy, of_d / d, GAIN * sums.sum(0), of_strength
