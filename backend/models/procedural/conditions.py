"""What happens to a material: moss, rust, snow, ... Each function changes a surface of any family."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor

from .fields import blur, cells, noise, ridges, smoothstep, uniform, warp
from .surface import Surface, colour, ramp

Condition = Callable[[Generator, Surface], Surface]


def _level(height: Tensor) -> Tensor:
    """Height with zero mean and unit variance per picture: where a hollow or a top is."""
    centred = height - height.mean((1, 2), keepdim=True)
    return centred / centred.std((1, 2), keepdim=True).clamp_min(1e-3)


def _patches(rng: Generator, surface: Surface, lean: float, share: tuple[float, float], soft: float = 0.35) -> Tensor:
    """A mask [n, S, S] covering about `share` of a surface; lean > 0 prefers its tops, < 0 its hollows."""
    n, size, _ = surface.height.shape
    where = (
        noise(rng, n, size, beta=1.1, low=1.5)
        + lean * _level(surface.height)
        + 0.25 * noise(rng, n, size, beta=0.5, low=8)
    )
    where = _level(where)
    # A normal variable exceeds -z with probability `share`.
    z = -torch.special.ndtri(uniform(rng, n, *share))
    return smoothstep(z - soft, z + soft, where)


def _size(surface: Surface) -> tuple[int, int]:
    return surface.height.shape[0], surface.height.shape[-1]


def mossy(rng: Generator, s: Surface) -> Surface:
    n, size = _size(s)
    mask = _patches(rng, s, -0.6, (0.3, 0.6))
    tufts = noise(rng, n, size, beta=0.3, low=10)
    green = colour(rng, n, (0.27, 0.4, 0.1), (0.36, 0.46, 0.13), (0.2, 0.33, 0.1))
    albedo = s.mixed(ramp(green * 0.6, green * 1.35, 0.5 + 0.25 * tufts), mask)
    return Surface(s.height + mask * (0.12 + 0.07 * tufts), albedo, s.relief.clamp_min(0.05), s.gloss * (1 - mask))


def rusty(rng: Generator, s: Surface) -> Surface:
    n, size = _size(s)
    mask = _patches(rng, s, 0.0, (0.35, 0.62), 0.5)
    mottle = noise(rng, n, size, beta=0.8, low=3)
    rust = colour(rng, n, (0.58, 0.27, 0.1), (0.48, 0.22, 0.1), (0.66, 0.34, 0.12))
    albedo = s.mixed(ramp(rust * 0.55, rust * 1.3, 0.5 + 0.3 * mottle), mask * 0.95)
    return Surface(s.height + mask * 0.04 * mottle, albedo, s.relief.clamp_min(0.03), s.gloss * (1 - mask))


def snowy(rng: Generator, s: Surface) -> Surface:
    n, size = _size(s)
    mask = _patches(rng, s, 0.9, (0.35, 0.62), 0.25)
    drift = noise(rng, n, size, beta=1.5)
    white = colour(rng, n, (0.92, 0.94, 0.97), (0.88, 0.91, 0.96), spread=0.015)
    albedo = s.mixed(ramp(white * 0.93, white * 1.03, 0.5 + 0.3 * drift), mask)
    height = torch.lerp(s.height, blur(s.height, 0.02) + 0.25 + 0.03 * drift, mask)
    return Surface(height, albedo, s.relief, s.gloss * (1 - mask))


def frosted(rng: Generator, s: Surface) -> Surface:
    n, size = _size(s)
    crystals = torch.stack([noise(rng, n, size, beta=0.4, low=8, stretch=6, angle=a) for a in (0.3, 1.35, 2.4)]).amax(0)
    mask = _patches(rng, s, 0.2, (0.6, 0.9), 0.9) * smoothstep(-0.3, 1.5, crystals)
    pale = colour(rng, n, (0.8, 0.88, 0.95), (0.74, 0.86, 0.95), spread=0.02)
    return Surface(
        s.height + 0.05 * crystals * mask, s.mixed(pale, 0.25 + 0.75 * mask), s.relief.clamp_min(0.025), s.gloss + 0.15
    )


def cracked(rng: Generator, s: Surface) -> Surface:
    n, size = _size(s)
    count = (3, 4, 5)[int(torch.randint(3, (1,), generator=rng, device=rng.device))]
    near, second, _ = cells(rng, n, size, count=count)
    dy, dx = noise(rng, n, size, low=3, high=30) * 0.018, noise(rng, n, size, low=3, high=30) * 0.018
    width = uniform(rng, n, 0.05, 0.11)
    crack = smoothstep(width, width * 0.3, warp(second - near, dy, dx))
    albedo = s.albedo * (1 - 0.85 * crack[:, None])
    return Surface(s.height - 0.5 * crack, albedo, s.relief.clamp_min(0.04), s.gloss * (1 - crack))


def wet(rng: Generator, s: Surface) -> Surface:
    n, size = _size(s)
    pool = _patches(rng, s, -0.8, (0.5, 0.85), 0.6)
    albedo = s.albedo ** (1 + 0.7 * pool[:, None]) * (1 - 0.4 * pool[:, None])
    height = torch.lerp(s.height, blur(s.height, 0.012), 0.6 * pool)
    ripple = 0.012 * noise(rng, n, size, beta=1.0, low=4)
    return Surface(height + ripple * pool, albedo, s.relief.clamp_min(0.05), s.gloss * (1 - pool) + 1.8 * pool)


def dusty(rng: Generator, s: Surface) -> Surface:
    n, size = _size(s)
    mask = 0.25 + 0.65 * _patches(rng, s, -0.4, (0.4, 0.7), 0.9)
    speck = noise(rng, n, size, beta=0.2, low=10)
    dust = colour(rng, n, (0.7, 0.64, 0.54), (0.64, 0.6, 0.54), spread=0.03)
    albedo = s.mixed(ramp(dust * 0.93, dust * 1.07, 0.5 + 0.25 * speck), mask)
    return Surface(torch.lerp(s.height, blur(s.height, 0.01), mask), albedo, s.relief, s.gloss * (1 - mask))


def burnt(rng: Generator, s: Surface) -> Surface:
    n, size = _size(s)
    mask = _patches(rng, s, 0.1, (0.35, 0.62), 0.7)
    char = noise(rng, n, size, beta=0.7, low=6)
    black = colour(rng, n, (0.07, 0.06, 0.055), (0.1, 0.08, 0.07), spread=0.02)
    edge = (mask * (1 - mask) * 4) ** 2
    albedo = s.mixed(colour(rng, n, (0.3, 0.17, 0.08)), edge * 0.7)
    albedo = torch.lerp(albedo, ramp(black * 0.6, black * 2.2, 0.4 + 0.25 * char), mask[:, None] ** 1.5)
    return Surface(s.height + 0.06 * char * mask, albedo, s.relief.clamp_min(0.03), s.gloss * (1 - mask))


def gilded(rng: Generator, s: Surface) -> Surface:
    n, size = _size(s)
    mask = _patches(rng, s, 0.6, (0.4, 0.7), 0.3)
    leaf = noise(rng, n, size, beta=1.0, low=3)
    gold = colour(rng, n, (0.86, 0.64, 0.2), (0.9, 0.7, 0.28), (0.8, 0.56, 0.16), spread=0.03)
    albedo = s.mixed(ramp(gold * 0.6, gold * 1.2, 0.5 + 0.25 * leaf + 0.1 * _level(s.height)), mask)
    return Surface(s.height + 0.02 * leaf * mask, albedo, s.relief.clamp_min(0.02), s.gloss * (1 - mask) + 0.9 * mask)


def painted(rng: Generator, s: Surface) -> Surface:
    n, size = _size(s)
    mask = _patches(rng, s, 0.2, (0.4, 0.7), 0.06)
    paint = colour(
        rng, n, (0.16, 0.36, 0.7), (0.78, 0.16, 0.14), (0.1, 0.55, 0.5), (0.85, 0.45, 0.6), (0.5, 0.25, 0.65)
    )
    streak = noise(rng, n, size, beta=0.6, low=4, stretch=5, angle=math.pi / 2)
    albedo = s.mixed(ramp(paint * 0.9, paint * 1.08, 0.5 + 0.2 * streak), mask)
    height = torch.lerp(s.height, blur(s.height, 0.008) + 0.06, mask)
    return Surface(height, albedo, s.relief.clamp_min(0.03), s.gloss * (1 - mask) + 0.25 * mask)


def scratched(rng: Generator, s: Surface) -> Surface:
    n, size = _size(s)
    lines = torch.zeros_like(s.height)
    for _ in range(4):
        field = noise(rng, n, size, beta=0.2, low=5, high=48, stretch=26, angle=uniform(rng, n, 0, math.pi))
        lines = torch.maximum(
            lines, ridges(field - 1.5, 0.6) * smoothstep(-0.2, 0.6, noise(rng, n, size, low=1, high=4))
        )
    bright = s.albedo.mean((1, 2, 3), keepdim=True)
    mark = torch.where(bright < 0.5, s.albedo * 0.3 + 0.65, s.albedo * 0.3)
    return Surface(s.height - 0.25 * lines, s.mixed(mark, 0.95 * lines), s.relief.clamp_min(0.02), s.gloss)


def muddy(rng: Generator, s: Surface) -> Surface:
    n, size = _size(s)
    mask = _patches(rng, s, -0.9, (0.35, 0.62), 0.25)
    smear = noise(rng, n, size, beta=1.1, low=3)
    mud = colour(rng, n, (0.3, 0.2, 0.12), (0.36, 0.25, 0.16), (0.25, 0.17, 0.11), spread=0.03)
    albedo = s.mixed(ramp(mud * 0.75, mud * 1.2, 0.5 + 0.25 * smear), mask)
    height = torch.lerp(s.height, blur(s.height, 0.03) + 0.1 + 0.06 * smear, mask)
    return Surface(height, albedo, s.relief.clamp_min(0.04), s.gloss * (1 - mask) + 0.35 * mask)


CONDITIONS: dict[str, Condition] = {
    "mossy": mossy,
    "rusty": rusty,
    "snowy": snowy,
    "frosted": frosted,
    "cracked": cracked,
    "wet": wet,
    "dusty": dusty,
    "burnt": burnt,
    "gilded": gilded,
    "painted": painted,
    "scratched": scratched,
    "muddy": muddy,
}
