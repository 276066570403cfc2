"""Up-sampling by two with a FIR filter, for images and inside a convolution; zero or circular borders.

All follow one picture: the signal is continued beyond its border (by zeros or by its own period), zeros are put
between its samples, and the filters run over that. So circular results are periodic exactly, in both phases.

Source  Karras et al. 2020, section 4.2 and the code beside it; Zhang 2019 for the filter
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .. import native
from .padding import pad
from .steady import convolution

PHASES = ((2, 0), (1,))
"""Along one axis: which taps of a 3-tap kernel the even and the odd samples of the up-sampled signal see, in order."""


def normalise_taps(taps: tuple[float, ...]) -> tuple[float, ...]:
    """Taps with sum 1."""
    total = sum(taps)
    return tuple(t / total for t in taps)


def upsample(x: Tensor, taps: tuple[float, ...], tile: str, impl: str = "auto") -> Tensor:
    """[N, C, H, W] -> [N, C, 2H, 2W], mean brightness kept.

    taps  four, sum 1. Per axis, with zeros between the samples: out[n] = 2 sum_j taps[j] u[n + 1 - j], u[2i] = x[i]
    """
    x = pad(x, 1, tile)
    if _worthwhile(x, impl):
        return upfirdn2d(x, tuple(2 * t for t in taps), up=2, padding=(0, -1, 0, -1), impl=impl)
    for dim in (3, 2):
        n = x.shape[dim] - 2
        before, here, after = (x.narrow(dim, k, n) for k in (0, 1, 2))
        even = 2 * taps[3] * before + 2 * taps[1] * here
        odd = 2 * taps[2] * here + 2 * taps[0] * after
        x = interleave(even, odd, dim)
    return x


def phases(weight: Tensor) -> list[Tensor]:
    """The kernels of `up_convolve`'s phases, for its forward pass alone: 2x2, 2x1, 1x2 and 1x1 taps of [O, I, 3, 3]."""
    taps = weight.detach().flatten(2).unbind(2)  # one by one: a turned copy of all, cut up, takes five times as long
    return [
        torch.stack([taps[3 * i + j] for i in rows for j in columns], 2).unflatten(2, (len(rows), len(columns)))
        for rows in PHASES
        for columns in PHASES
    ]


def up_convolve(
    x: Tensor,
    weight: Tensor,
    taps: tuple[float, ...],
    padding: tuple[int, int],
    kernels: list[Tensor] | None = None,
) -> Tensor:
    """Up-sample by two, convolve with a 3x3 kernel, filter: [N, I, H, W] -> [N, O, 2H, 2W].

    x        with the sample beyond each border already there along an axis where `padding` is 0; H, W count without it
    weight   [O, I, 3, 3], in the orientation of NVlabs' and rosinality's checkpoints
    padding  rows and columns of zeros that are beyond x on each side: 1 or 0
    kernels  `phases(weight)`, where they are at hand

    Per axis, y[2i + k] += x[i] weight[k] (a transposed convolution), then the filter on y, with gain 4 for the zeros
    that were put in. Beyond the border one sample of x is all that the four taps ever reach.
    """
    return fir(_Scattered.apply(x, weight, padding, kernels or phases(weight)), taps, gain=4.0)


class _Scattered(torch.autograd.Function):
    """y[-1] ... y[2H + 1] of `up_convolve`, along both axes; both gradients are those of a transposed convolution.

    The even samples of y see weight[0] and weight[2], the odd ones weight[1] alone, so that y is four convolutions with
    2x2, 2x1, 1x2 and 1x1 taps, put into each other. Each runs at the speed of a plain convolution; a transposed one
    takes twice as long on a processor.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, padding: tuple[int, int], kernels: list[Tensor]) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.padding = padding
        height, width = (2 * (n + 2 * p) - 1 for n, p in zip(x.shape[2:], padding, strict=True))
        format = torch.channels_last if x.is_contiguous(memory_format=torch.channels_last) else torch.contiguous_format
        shape = (len(x), len(weight), height, width)
        y = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=format)
        for k, kernel in enumerate(kernels):
            row, column = 1 - k // 2, 1 - k % 2  # y begins at -1, so that its even samples are odd places
            y[:, :, row::2, column::2] = convolution(x, kernel, padding)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        x, weight = ctx.saved_tensors
        g, padding = gradients[0], ctx.padding
        return *_scattered_backward(_reached(g, padding), x, weight, padding, ctx.needs_input_grad[:2]), None, None


def _scattered_backward(
    g: Tensor, x: Tensor, weight: Tensor, padding: tuple[int, int], wanted: Sequence[bool]
) -> tuple[Any, Any]:
    """Gradients of x and weight from that of what `_reached` leaves of y: those of the transposed convolution."""
    py, px = padding
    gx, gw, _ = torch.ops.aten.convolution_backward(
        g, x, weight.transpose(0, 1), None, [2, 2], [1 - py, 1 - px], [1, 1], True, [0, 0], 1, [*wanted, False]
    )
    return gx, None if gw is None else gw.transpose(0, 1)


def _reached(g: Tensor, padding: tuple[int, int]) -> Tensor:
    """Of the gradient of y, what samples within the border reach; what lies beyond came of zeros."""
    py, px = padding
    return g[:, :, py : g.shape[2] - py, px : g.shape[3] - px]


def scattered_gradient(g: Tensor, taps: tuple[float, ...], padding: tuple[int, int]) -> Tensor:
    """The gradient of y of `up_convolve` (what samples within the border reach of it), from that of its result: the
    turned filter over zeros beyond the border. As `_reached`, but nothing is made that is cut off."""
    (py, px), c = padding, g.shape[1]
    f = _square(taps, 4.0, g.dtype, g.device).expand(c, 1, -1, -1)
    return F.conv2d(g, f, groups=c, padding=(3 - py, 3 - px))


def up_convolve_backward(
    g: Tensor, x: Tensor, weight: Tensor, taps: tuple[float, ...], padding: tuple[int, int], wanted: Sequence[bool]
) -> tuple[Any, Any]:
    """Gradients of x and weight of `up_convolve`, as they are `wanted`, from that of its result."""
    return _scattered_backward(scattered_gradient(g, taps, padding), x, weight, padding, wanted)


def fir(x: Tensor, taps: tuple[float, ...], gain: float, impl: str = "auto") -> Tensor:
    """Four taps along both axes without padding: [N, C, H + 3, W + 3] -> [N, C, H, W]."""
    if _worthwhile(x, impl):
        return upfirdn2d(x, tuple(gain**0.5 * t for t in taps), impl=impl)
    c, turned = x.shape[1], taps[::-1]  # conv2d correlates; a filter is convolved
    return F.conv2d(x, _square(turned, gain, x.dtype, x.device).expand(c, 1, -1, -1), groups=c)


@functools.lru_cache(maxsize=64)
def _square(taps: tuple[float, ...], gain: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    """gain taps[i] taps[j]. Kept where it is needed: to bring it to a GPU at every step would wait for it."""
    with torch.inference_mode(False):  # a gradient may be asked for later
        f = torch.tensor(taps, dtype=dtype, device=device)
        return gain * f[:, None] * f


def _worthwhile(x: Tensor, impl: str) -> bool:
    """On a processor the special twins above beat the general native filter (measured: docs/LOG.md)."""
    return native.use(x, impl) and (impl == "native" or x.device.type != "cpu")


def upfirdn2d(
    x: Tensor,
    taps: tuple[float, ...],
    *,
    up: int = 1,
    down: int = 1,
    padding: tuple[int, int, int, int] = (0, 0, 0, 0),
    impl: str = "auto",
) -> Tensor:
    """Along both axes: `up` - 1 zeros after each sample, padding with zeros, a filter, every `down`-th sample.

    x        [N, C, H, W]
    taps     out[o] = sum_j taps[K - 1 - j] u[o down + j], u being what was padded
    padding  left, right, top, bottom; negative = cropping
    Source   Karras et al. 2020, the code beside it
    """
    if not native.use(x, impl):
        return _upfirdn2d(x, taps, up, down, padding)
    last = x.is_contiguous(memory_format=torch.channels_last)
    x = x.contiguous(memory_format=torch.channels_last if last and not x.is_contiguous() else torch.contiguous_format)
    if torch.is_grad_enabled():
        return _Upfirdn2d.apply(x, taps, up, down, padding)
    return torch.ops.latent_loom.upfirdn2d(x, taps, up, down, padding)


def _upfirdn2d(x: Tensor, taps: tuple[float, ...], up: int, down: int, padding: tuple[int, int, int, int]) -> Tensor:
    """The pure-PyTorch twin."""
    n, c, h, w = x.shape
    u = torch.zeros((n, c, h * up, w * up), dtype=x.dtype, device=x.device)
    u[:, :, ::up, ::up] = x
    f = _square(taps[::-1], 1.0, x.dtype, x.device)
    return F.conv2d(F.pad(u, padding), f.expand(c, 1, -1, -1), groups=c, stride=down)


class _Upfirdn2d(torch.autograd.Function):
    """The native kernel. Its gradient is the same operation with up and down exchanged and the filter turned round."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, taps: tuple[float, ...], up: int, down: int, padding: Any) -> Tensor:
        y = torch.ops.latent_loom.upfirdn2d(x, taps, up, down, padding)
        (h, w), (oh, ow), (left, _, top, _) = x.shape[2:], y.shape[2:], padding
        before_x, before_y = len(taps) - 1 - left, len(taps) - 1 - top
        after_x, after_y = w * up - ow * down + left - up + 1, h * up - oh * down + top - up + 1
        ctx.adjoint = (taps[::-1], down, up, (before_x, after_x, before_y, after_y))
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        taps, up, down, padding = ctx.adjoint
        return upfirdn2d(gradients[0], taps, up=up, down=down, padding=padding, impl="native"), None, None, None, None


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
