# SPDX-License-Identifier: GPL-3.0-or-later
"""A preview of a material without a renderer. bpy and numpy alone: headless/library.py loads it by its path."""

from __future__ import annotations

from collections.abc import Mapping

import bpy
import numpy as np

PREVIEW_PX = 256
LIGHT = np.array((-0.45, 0.5, 0.75)) / np.linalg.norm((-0.45, 0.5, 0.75))
AMBIENT = 0.28
RELIEF = ("normal", "roughness")


def pixels(image: bpy.types.Image) -> np.ndarray:
    """float32 [H, W, 3], bottom row first, as stored."""
    values = np.empty(image.size[0] * image.size[1] * 4, np.float32)
    image.pixels.foreach_get(values)
    return values.reshape(image.size[1], image.size[0], 4)[..., :3]


def ball(color: np.ndarray, normal: np.ndarray | None, roughness: np.ndarray | None) -> np.ndarray:
    """A lit ball of the material, float32 [P, P, 4], bottom row first, without a renderer, which would want a display.

    color, normal, roughness  [H, W, 3] in 0..1. The texture goes round the front once in each direction.
    Source  Lambert, and Blinn's highlight with an exponent of 2 / roughness^4 - 2
    """
    y, x = (np.mgrid[:PREVIEW_PX, :PREVIEW_PX] + 0.5) / PREVIEW_PX * 2.1 - 1.05
    r2 = x * x + y * y
    z = np.sqrt(np.clip(1 - r2, 0, 1))
    surface = np.stack([x, y, z], axis=-1)
    u, v = np.arctan2(x, np.maximum(z, 1e-6)) / np.pi + 0.5, np.arcsin(np.clip(y, -1, 1)) / np.pi + 0.5

    def at(picture: np.ndarray) -> np.ndarray:
        # Four taps for each pixel: a large texture must not glitter.
        h, w = picture.shape[:2]
        step = 0.25 / PREVIEW_PX
        taps = ((step, step), (-step, step), (step, -step), (-step, -step))
        found = [picture[(((v + dv) % 1) * h).astype(int) % h, (((u + du) % 1) * w).astype(int) % w] for du, dv in taps]
        return np.mean(found, axis=0)

    if normal is not None:
        n = at(normal) * 2 - 1
        east = np.stack([z, np.zeros_like(z), -x], axis=-1) / np.maximum(np.hypot(x, z), 1e-6)[..., None]
        north = np.cross(surface, east)
        surface = n[..., :1] * east + n[..., 1:2] * north + np.maximum(n[..., 2:], 0.05) * surface
        surface /= np.linalg.norm(surface, axis=-1, keepdims=True)
    light = np.clip(surface @ LIGHT, 0, 1)[..., None]
    half = LIGHT + np.array((0, 0, 1.0))
    rough = np.clip(at(roughness)[..., :1] if roughness is not None else 0.6, 0.15, 1)
    power = np.maximum(2 / rough**4 - 2, 1)
    shine = 0.04 * (power + 2) / 8 * np.clip(surface @ (half / np.linalg.norm(half)), 0, 1)[..., None] ** power
    linear = at(color) ** 2.2 * (AMBIENT + 0.95 * light) + shine * light
    edge = np.clip((1 - np.sqrt(r2)) * PREVIEW_PX / 2.1 + 0.5, 0, 1)[..., None]
    return np.concatenate([np.clip(linear, 0, 1) ** (1 / 2.2), edge], axis=-1).astype(np.float32)


def show(material: bpy.types.Material, maps: Mapping[str, bpy.types.Image]) -> None:
    """Give `material` a preview of a ball made of `maps` (color, and normal and roughness where they are there)."""
    picture = ball(pixels(maps["color"]), *(pixels(maps[name]) if name in maps else None for name in RELIEF))
    preview = material.preview_ensure()
    preview.image_size = picture.shape[1], picture.shape[0]
    preview.image_pixels_float.foreach_set(picture.ravel())
