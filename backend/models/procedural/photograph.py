"""The photograph of a surface: height and albedo -> shaded picture."""

from __future__ import annotations

import torch
from torch import Tensor

from . import fields
from .draws import Draw
from .surface import Surface


def photograph(draw: Draw, surface: Surface) -> Tensor:
    """Light a surface from above left, darken its hollows, add grain: sRGB [n, 3, S, S] in [0, 1].

    Lambert's cosine with a Blinn highlight, ambient occlusion as the depth below the blurred height. The light's
    direction varies by some 25 degrees, as it would between photographs of one shoot.
    """
    depth = surface.height * surface.relief
    dy, dx = fields.gradient(depth)
    azimuth = draw.uniform(-2.6, -2.1)
    elevation = draw.uniform(0.75, 1.05)
    lx, ly, lz = elevation.cos() * azimuth.cos(), elevation.cos() * azimuth.sin(), elevation.sin()
    norm = torch.sqrt(dx**2 + dy**2 + 1)
    lambert = ((-dx * lx - dy * ly + lz) / norm).clamp_min(0) / lz
    half = torch.sqrt(lx**2 + ly**2 + (lz + 1) ** 2)
    highlight = ((-dx * lx - dy * ly + lz + 1) / (norm * half)).clamp(0, 1) ** 40
    hollow = (fields.blur(depth, 0.02) - depth) * 14 + (fields.blur(depth, 0.06) - depth) * 6
    occlusion = torch.exp(-hollow.clamp_min(0))
    light = (0.3 + 0.7 * lambert) * occlusion
    picture = surface.albedo * light[:, None] ** 0.8 + (highlight * surface.gloss * 0.55)[:, None]
    return (picture * (1 + 0.06 * draw.exposure()) + 0.012 * draw.grain()).clamp(0, 1)
