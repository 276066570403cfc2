"""Periodic scalar fields on the unit torus: the vocabulary that materials are written in.

Every function returns float32 [n, size, size] on the CPU or the device of its generator, and is exactly periodic.
`rng` is a torch.Generator; all randomness comes from it.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Generator, Tensor


def uniform(rng: Generator, n: int, low: float, high: float) -> Tensor:
    """[n, 1, 1] numbers in [low, high): one parameter for each picture, ready to broadcast over a field."""
    return torch.rand(n, 1, 1, generator=rng, device=rng.device) * (high - low) + low


def coordinates(size: int, device: torch.device | str = "cpu") -> tuple[Tensor, Tensor]:
    """(y, x), each [size, size] in [0, 1): pixel centres."""
    line = (torch.arange(size, device=device) + 0.5) / size
    y, x = torch.meshgrid(line, line, indexing="ij")
    return y, x


def noise(
    rng: Generator,
    n: int,
    size: int,
    *,
    beta: float = 1.0,
    low: float = 1.0,
    high: float = 1e9,
    stretch: float = 1.0,
    angle: Tensor | float = 0.0,
) -> Tensor:
    """Gaussian noise with a power-law spectrum, zero mean, unit variance.

    beta     amplitude falls as frequency ** -beta (0 white, 1 cloudy, 2 smooth)
    low, high  band in cycles per picture
    stretch  > 1 draws the noise out along `angle` (radians; 0 = along x): wood grain, brushed metal
    """
    device = rng.device
    spectrum = torch.fft.rfft2(torch.randn(n, size, size, generator=rng, device=device))
    fy = torch.fft.fftfreq(size, 1 / size, device=device)[:, None]
    fx = torch.fft.rfftfreq(size, 1 / size, device=device)[None, :]
    angle = torch.as_tensor(angle, device=device)
    along = fx * torch.cos(angle) + fy * torch.sin(angle)
    across = fy * torch.cos(angle) - fx * torch.sin(angle)
    radius = torch.sqrt((along * stretch) ** 2 + across**2)
    gain = radius.clamp_min(0.5) ** -beta * ((radius >= low) & (radius <= high))
    field = torch.fft.irfft2(spectrum * gain, s=(size, size))
    return field / field.flatten(1).std(dim=1).clamp_min(1e-6)[:, None, None]


def cells(rng: Generator, n: int, size: int, *, count: int, jitter: float = 0.9) -> tuple[Tensor, Tensor, Tensor]:
    """`worley` over random points, one in each cell of a count x count grid; jitter 0 = all in the middle."""
    points = 0.5 + (torch.rand(n, count, count, 2, generator=rng, device=rng.device) - 0.5) * jitter
    return worley(points, torch.rand(n, count, count, generator=rng, device=rng.device), size)


def worley(points: Tensor, ids: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Worley noise over a jittered grid of points [n, count, count, 2], (y, x) in their cells: (F1, F2, id).

    F1, F2  distance to the nearest and second nearest point, in cell widths
    id      the number of the nearest point, of ids [n, count, count]
    Source  Worley 1996
    """
    count = points.shape[1]
    y, x = (c * count for c in coordinates(size, points.device))
    cy, cx = y.floor().long(), x.floor().long()
    distances, names = [], []
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            iy, ix = (cy + dy) % count, (cx + dx) % count
            point = points[:, iy, ix]
            distances.append(torch.hypot(cy + dy + point[..., 0] - y, cx + dx + point[..., 1] - x))
            names.append(ids[:, iy, ix])
    nearest, order = torch.stack(distances).topk(2, dim=0, largest=False)
    return nearest[0], nearest[1], torch.stack(names).gather(0, order[:1])[0]


def warp(field: Tensor, dy: Tensor, dx: Tensor) -> Tensor:
    """`field` [n, S, S] or [n, C, S, S] sampled at positions moved by (dy, dx) [n, S, S], in picture widths.

    Bilinear, wrapping around.
    """
    stacked = field if field.dim() == 4 else field[:, None]
    size = stacked.shape[-1]
    y, x = coordinates(size, field.device)
    py, px = (y + dy) * size - 0.5, (x + dx) * size - 0.5
    y0, x0 = py.floor(), px.floor()
    fy, fx = (py - y0)[:, None], (px - x0)[:, None]
    flat = stacked.flatten(2)

    def at(iy: Tensor, ix: Tensor) -> Tensor:
        index = (iy.long() % size) * size + ix.long() % size
        return flat.gather(2, index.flatten(1)[:, None].expand(-1, flat.shape[1], -1)).view_as(stacked)

    top = at(y0, x0) * (1 - fx) + at(y0, x0 + 1) * fx
    bottom = at(y0 + 1, x0) * (1 - fx) + at(y0 + 1, x0 + 1) * fx
    out = top * (1 - fy) + bottom * fy
    return out if field.dim() == 4 else out[:, 0]


def blur(field: Tensor, sigma: float) -> Tensor:
    """Wrap-around Gaussian blur, sigma in picture widths."""
    size = field.shape[-1]
    fy = torch.fft.fftfreq(size, 1 / size, device=field.device)[:, None]
    fx = torch.fft.rfftfreq(size, 1 / size, device=field.device)[None, :]
    gain = torch.exp(-2 * (math.pi * sigma) ** 2 * (fx**2 + fy**2))
    return torch.fft.irfft2(torch.fft.rfft2(field) * gain, s=(size, size))


def smoothstep(low: Tensor | float, high: Tensor | float, x: Tensor) -> Tensor:
    """0 below `low`, 1 above `high`, a cubic between; `low` > `high` falls instead of rising."""
    t = ((x - low) / (high - low)).clamp(0, 1)
    return t * t * (3 - 2 * t)


def ridges(field: Tensor, width: float) -> Tensor:
    """1 where `field` crosses zero, falling to 0 at |field| = width: veins and cracks."""
    return (1 - field.abs() / width).clamp_min(0)


def gradient(field: Tensor) -> tuple[Tensor, Tensor]:
    """Wrap-around central differences (dy, dx), per picture width."""
    half = field.shape[-1] / 2
    dy = (field.roll(-1, -2) - field.roll(1, -2)) * half
    dx = (field.roll(-1, -1) - field.roll(1, -1)) * half
    return dy, dx


def downsample(pictures: Tensor, factor: int) -> Tensor:
    """Box-filter [n, C, S, S] down by a whole factor: the anti-aliasing of every render here."""
    return F.avg_pool2d(pictures, factor) if factor > 1 else pictures
