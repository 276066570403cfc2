"""Material maps guessed from a colour picture.

A colour picture does not say how deep, rough or sheltered a surface is. Each map here is a *heuristic*, documented as
such where it is made; what is promised is that the maps are seamless where the colour is, agree with each other (normal
and ambient occlusion come from the one height), stay moderate on any input, and vary smoothly when the colour does.

All maps but the colour are data: load them as Non-Color.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import BadRequest
from .filters import Wrap, blur, gradient, shift, wrap_of

PBR_MAPS = ("height", "normal", "roughness", "ao", "orm")


@dataclass(frozen=True, kw_only=True)
class PbrSettings:
    """relief     1 = the heuristic's own depth; 0 = flat; 2 = twice as steep
    normal     green channel: "opengl" = up (Blender, Unity), "directx" = down (Unreal)
    roughness  mean roughness, 0 = mirror .. 1 = chalk
    """

    relief: float = 1.0
    normal: str = "opengl"
    roughness: float = 0.65

    def __post_init__(self) -> None:
        if not 0 <= self.relief <= 5:
            raise BadRequest(f"The relief is {self.relief}; give a number from 0 (flat) to 5.")
        if self.normal not in ("opengl", "directx"):
            raise BadRequest(f"The normal map style is {self.normal!r}; choose 'opengl' or 'directx'.")
        if not 0 <= self.roughness <= 1:
            raise BadRequest(f"The roughness is {self.roughness}; give a number from 0 (mirror) to 1 (chalk).")


def pbr_maps(
    color: np.ndarray, *, tile: str = "xy", which: Sequence[str] = PBR_MAPS, settings: PbrSettings | None = None
) -> dict[str, np.ndarray]:
    """The maps named in `which` for `color` uint8 [H, W, 3]; `tile` says on which axes it is seamless.

    height     uint16 [H, W], 32768 = middle
    normal     uint8 [H, W, 3], tangent space
    roughness  uint8 [H, W]
    ao         uint8 [H, W], 255 = open sky
    orm        uint8 [H, W, 3]: occlusion, roughness, metallic (always 0: nothing in a colour tells metal reliably)
    """
    settings = settings or PbrSettings()
    wrap = wrap_of(tile)
    relief = surface(color, wrap)
    depth = relief.field * (relief.depth_px * settings.relief)
    out: dict[str, np.ndarray] = {}
    if "height" in which:
        out["height"] = _uint16(0.5 + relief.field * 0.5)
    if "normal" in which:
        out["normal"] = normal_map(depth, wrap, green_up=settings.normal == "opengl")
    if {"ao", "orm"} & set(which):
        occlusion = _uint8(ambient_occlusion(depth * AO_EXAGGERATION, relief.feature_px, wrap))
        if "ao" in which:
            out["ao"] = occlusion
    if {"roughness", "orm"} & set(which):
        rough = _uint8(roughness_map(color, relief, settings.roughness, wrap))
        if "roughness" in which:
            out["roughness"] = rough
    if "orm" in which:
        out["orm"] = np.stack([occlusion, rough, np.zeros_like(rough)], axis=-1)
    return out


@dataclass(frozen=True, kw_only=True)
class Surface:
    """field       float32 [H, W] in -1..1, 0 = middle height
    depth_px    pixels of height that one unit of the field stands for
    feature_px  typical wavelength of what is seen, pixels
    contrast    0 = an even colour .. 1 = strong light and dark
    """

    field: np.ndarray
    depth_px: float
    feature_px: float
    contrast: float


EVEN_CONTRAST = 0.03
"""RMS of luminance (of 1) at which a picture counts as half way between even and structured: sensor noise and banding
lie below it, so that they do not turn into relief."""

SLOPE = 0.42
"""RMS slope given to a structured picture: faces lean by 23 degrees. Measured stone and plaster lie around 15-30."""


def surface(color: np.ndarray, wrap: Wrap) -> Surface:
    """Height heuristic: what is darker than its surroundings lies deeper.

    Luminance is band-passed. Slow changes of tone (stains, uneven lighting, two-coloured patches) are cut because as
    height they become hills; grain below about two pixels is cored because as normals it becomes glitter. The rest is
    compressed, so that a few black cracks do not flatten everything else, and given a moderate slope.
    """
    red, green, blue = (color[..., channel].astype(np.float32) for channel in range(3))
    luminance = (0.2126 * red + 0.7152 * green + 0.0722 * blue) / 255
    soft = blur(luminance, 0.8, wrap)
    # The second time without the slow tones, so that stains do not pass for the size of the features.
    rough_px = wavelength(soft, wrap)
    feature_px = wavelength(soft - blur(soft, 0.75 * rough_px, wrap), wrap)
    band = soft - blur(soft, 0.75 * feature_px, wrap)
    band = _core(band, wrap)
    rms = float(np.sqrt(np.mean(band**2, dtype=np.float64))) + 1e-6
    field = np.tanh(band / (2.2 * rms)).astype(np.float32)
    contrast = rms / (rms + EVEN_CONTRAST)
    dx, dy = gradient(field, wrap)
    steepness = float(np.sqrt(np.mean(dx**2 + dy**2, dtype=np.float64))) + 1e-6
    return Surface(field=field * contrast, depth_px=SLOPE / steepness, feature_px=feature_px, contrast=contrast)


def wavelength(field: np.ndarray, wrap: Wrap) -> float:
    """Typical wavelength in pixels, 6..128: 2 pi times the ratio of RMS value and RMS slope (a sine gives its own)."""
    dx, dy = gradient(field, wrap)
    slope = np.sqrt(np.mean(dx**2 + dy**2, dtype=np.float64))
    return float(np.clip(2 * np.pi * np.std(field, dtype=np.float64) / (slope + 1e-6), 6.0, 128.0))


def _core(band: np.ndarray, wrap: Wrap) -> np.ndarray:
    """Take out grain: fine detail is kept where it is strong (edges, cracks) and fades where it is weak."""
    coarse = blur(band, 1.2, wrap)
    fine = band - coarse
    weak = float(np.mean(np.abs(fine), dtype=np.float64)) * 1.5 + 1e-6
    return coarse + fine * (fine**2 / (fine**2 + weak**2))


STEEPEST = 1.7
"""Slopes saturate here, 60 degrees: steeper normals only shimmer."""


def normal_map(depth: np.ndarray, wrap: Wrap, *, green_up: bool = True) -> np.ndarray:
    """Tangent-space normals uint8 [H, W, 3] of `depth` float [H, W] in pixels. Not a heuristic but for `STEEPEST`.

    The normal of z = depth(x, y) is (-dz/dx, -dz/dy, 1), normalised; rows run down, so with green up y = -row.
    """
    dx, dy = gradient(depth, wrap)
    gentle = 1 / np.sqrt(1 + (dx**2 + dy**2) / STEEPEST**2)
    normal = np.stack([-dx * gentle, (dy if green_up else -dy) * gentle, np.ones_like(dx)], axis=-1)
    normal /= np.sqrt(np.sum(normal**2, axis=-1, keepdims=True))
    return _uint8(normal * 0.5 + 0.5)


AO_EXAGGERATION = 1.6
"""Occlusion is computed on a deeper surface than the normals: within one texture light also fails to enter what is
narrower than the guessed height resolves, and at 1 the map is too faint to be seen in a render."""

DIRECTIONS = ((0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1))


def ambient_occlusion(depth: np.ndarray, feature_px: float, wrap: Wrap) -> np.ndarray:
    """Share of an evenly lit sky seen from each point of `depth` (pixels), 0..1, float32 [H, W].

    Per direction the highest elevation angle within one wavelength hides sin^2 of itself of the cosine-weighted sky.
    Honest geometry of a guessed height: as good as the height is.
    """
    reach = max(2.0, min(feature_px, 64.0))
    steps = sorted({round(reach * fraction) for fraction in (0.06, 0.12, 0.25, 0.5, 1.0)} - {0})
    seen = np.zeros(depth.shape, np.float32)
    horizon = [np.zeros(depth.shape, np.float32) for _ in DIRECTIONS]
    for step in steps:
        # Far samples look at a blurred height: single pixels far away would leave star-shaped echoes.
        far = blur(depth, 0.35 * step, wrap) if step > 1 else depth
        for n, (rows, columns) in enumerate(DIRECTIONS):
            pixels = max(1, round(step / np.hypot(rows, columns)))
            rise = shift(far, rows * pixels, columns * pixels, wrap) - depth
            np.maximum(horizon[n], rise / (pixels * np.hypot(rows, columns)), out=horizon[n])
    for slope in horizon:
        seen += 1 - slope**2 / (1 + slope**2)
    return seen / len(DIRECTIONS)


def roughness_map(color: np.ndarray, relief: Surface, mean: float, wrap: Wrap) -> np.ndarray:
    """Roughness heuristic, 0..1: hollows gather dust and are rougher, raised parts are worn smoother, and busy spots
    scatter more than calm ones. Differences stay within about a quarter, as on most dielectrics.
    """
    dx, dy = gradient(relief.field, wrap)
    busy = blur(np.sqrt(dx**2 + dy**2), max(1.0, relief.feature_px / 8), wrap)
    busy = busy / (float(np.mean(busy, dtype=np.float64)) + 1e-6) - 1
    low = blur(relief.field, 1.0, wrap)
    swing = relief.contrast * (-0.16 * low + 0.06 * np.tanh(busy))
    return np.clip(mean + swing, 0.05, 1.0)


def _uint8(unit: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(unit, 0, 1) * 255).astype(np.uint8)


def _uint16(unit: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(unit, 0, 1) * 65535).astype(np.uint16)
