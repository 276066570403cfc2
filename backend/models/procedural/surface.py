"""A surface before it is photographed, and the photograph: height and albedo -> shaded picture."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from . import fields


@dataclass
class Surface:
    """n square, periodic surfaces.

    height  [n, S, S]     0 low, 1 high (not clipped)
    albedo  [n, 3, S, S]  sRGB 0..1
    relief  [n, 1, 1]     how deep a height of 1 is, in picture widths
    gloss   [n, S, S]     0 matt, 1 mirror-like: strength of the highlight
    """

    height: Tensor
    albedo: Tensor
    relief: Tensor
    gloss: Tensor

    def mixed(self, colour: Tensor, mask: Tensor) -> Tensor:
        """The albedo with `colour` ([n, 3, 1, 1] or [n, 3, S, S]) laid over it where mask [n, S, S] is 1."""
        return torch.lerp(self.albedo, colour.expand_as(self.albedo), mask.clamp(0, 1)[:, None])


def colour(rng: Generator, n: int, *choices: tuple[float, float, float], spread: float = 0.06) -> Tensor:
    """[n, 3, 1, 1]: for each picture one of `choices` (sRGB), jittered in lightness and hue by about `spread`."""
    palette = torch.tensor(choices, device=rng.device)
    pick = torch.randint(len(choices), (n,), generator=rng, device=rng.device)
    base = palette[pick]
    light = torch.randn(n, 1, generator=rng, device=rng.device) * spread * 2
    hue = torch.randn(n, 3, generator=rng, device=rng.device) * spread * 0.6
    return (base * (1 + light + hue)).clamp(0.01, 0.98)[:, :, None, None]


def ramp(low: Tensor, high: Tensor, t: Tensor) -> Tensor:
    """Colours [n, 3, 1, 1] mixed by a field t [n, S, S] into [n, 3, S, S]."""
    return torch.lerp(low.expand(-1, -1, *t.shape[-2:]), high.expand(-1, -1, *t.shape[-2:]), t.clamp(0, 1)[:, None])


def photograph(rng: Generator, surface: Surface) -> Tensor:
    """Light a surface from above left, darken its hollows, add grain: sRGB [n, 3, S, S] in [0, 1].

    Lambert's cosine with a Blinn highlight, ambient occlusion as the depth below the blurred height. The light's
    direction varies by some 25 degrees, as it would between photographs of one shoot.
    """
    n = surface.height.shape[0]
    depth = surface.height * surface.relief
    dy, dx = fields.gradient(depth)
    azimuth = fields.uniform(rng, n, -2.6, -2.1)
    elevation = fields.uniform(rng, n, 0.75, 1.05)
    lx, ly, lz = elevation.cos() * azimuth.cos(), elevation.cos() * azimuth.sin(), elevation.sin()
    norm = torch.sqrt(dx**2 + dy**2 + 1)
    lambert = ((-dx * lx - dy * ly + lz) / norm).clamp_min(0) / lz
    half = torch.sqrt(lx**2 + ly**2 + (lz + 1) ** 2)
    highlight = ((-dx * lx - dy * ly + lz + 1) / (norm * half)).clamp(0, 1) ** 40
    hollow = (fields.blur(depth, 0.02) - depth) * 14 + (fields.blur(depth, 0.06) - depth) * 6
    occlusion = torch.exp(-hollow.clamp_min(0))
    light = (0.3 + 0.7 * lambert) * occlusion
    picture = surface.albedo * light[:, None] ** 0.8 + (highlight * surface.gloss * 0.55)[:, None]
    exposure = 1 + torch.randn(n, 1, 1, 1, generator=rng, device=rng.device) * 0.06
    grain = torch.randn(picture.shape, generator=rng, device=rng.device) * 0.012
    return (picture * exposure + grain).clamp(0, 1)
