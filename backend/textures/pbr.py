"""Material maps guessed from a colour picture.

A colour picture does not say how deep, rough or sheltered a surface is. Each map here is a *heuristic*, documented as
such where it is made; what is promised is that the maps are seamless where the colour is, agree with each other (normal
and ambient occlusion come from the one height, see `height`), and vary smoothly when the colour does: nothing is
scaled by picture, so that the frames of a walk do not flicker.

All maps but the colour are data: load them as Non-Color.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import BadRequest
from .filters import Wrap, blur, gradient, resample, shift, wrap_of

PBR_MAPS = ("height", "normal", "roughness", "ao", "orm")


@dataclass(frozen=True, kw_only=True)
class Material:
    """What a family of materials is like; the defaults suit most.

    relief     factor of the guessed depth
    tone       how many pixels what is lighter than its surroundings stands higher, for black beside white
    roughness  mean roughness
    swing      how much rougher hollows are than tops
    metallic   0 or 1, all over
    """

    relief: float = 1.0
    tone: float = 1.0
    roughness: float = 0.65
    swing: float = 0.16
    metallic: float = 0.0


MATERIALS = {
    "auto": Material(),
    "stone": Material(relief=1.1, tone=4.0, roughness=0.75),
    "brick": Material(tone=0.5, roughness=0.8, swing=0.12),
    "wood": Material(relief=0.8, roughness=0.55, swing=0.2),
    "ground": Material(relief=1.2, tone=4.0, roughness=0.9, swing=0.06),
    "plaster": Material(relief=0.9, roughness=0.85, swing=0.06),
    "fabric": Material(roughness=0.9, swing=0.05),
    "leather": Material(tone=2.0, roughness=0.5, swing=0.25),
    "tiles": Material(relief=0.9, roughness=0.25, swing=0.45),
    "polished": Material(tone=0.0, relief=0.3, roughness=0.2, swing=0.1),
    "metal": Material(tone=0.0, relief=0.5, roughness=0.35, swing=0.2, metallic=1.0),
    "ice": Material(relief=0.6, roughness=0.2, swing=0.3),
}
"""Values as usual in libraries of scanned materials; a guess at a family, to be changed by hand."""


@dataclass(frozen=True, kw_only=True)
class PbrSettings:
    """material   a family of `MATERIALS`, which sets the defaults of the rest
    relief     1 = the guessed depth; 0 = flat; 2 = twice as deep
    normal     green channel: "opengl" = up (Blender, Unity), "directx" = down (Unreal)
    roughness  mean roughness, 0 = mirror .. 1 = chalk; None = the material's
    """

    material: str = "auto"
    relief: float = 1.0
    normal: str = "opengl"
    roughness: float | None = None

    def __post_init__(self) -> None:
        if self.material not in MATERIALS:
            raise BadRequest(f"There is no material {self.material!r}; choose from {', '.join(MATERIALS)}.")
        if not 0 <= self.relief <= 5:
            raise BadRequest(f"The relief is {self.relief}; give a number from 0 (flat) to 5.")
        if self.normal not in ("opengl", "directx"):
            raise BadRequest(f"The normal map style is {self.normal!r}; choose 'opengl' or 'directx'.")
        if not 0 <= self.mean_roughness <= 1:
            raise BadRequest(f"The roughness is {self.roughness}; give a number from 0 (mirror) to 1 (chalk).")

    @property
    def mean_roughness(self) -> float:
        return MATERIALS[self.material].roughness if self.roughness is None else self.roughness


def pbr_maps(
    color: np.ndarray,
    *,
    tile: str = "xy",
    which: Sequence[str] = PBR_MAPS,
    settings: PbrSettings | None = None,
    halvings: int = 0,
) -> dict[str, np.ndarray]:
    """The maps named in `which` for `color` uint8 [H, W, 3]; `tile` says on which axes it is seamless, `halvings` how
    large its features are (`halvings_for`).

    height     uint16 [H, W], 32768 = middle; `LEVEL_PX` says how many pixels the levels stand for
    normal     uint8 [H, W, 3], tangent space
    roughness  uint8 [H, W]
    ao         uint8 [H, W], 255 = open sky
    orm        uint8 [H, W, 3]: occlusion, roughness, metallic (the material's: nothing in a colour tells metal)
    """
    settings = settings or PbrSettings()
    wrap = wrap_of(tile)
    material = MATERIALS[settings.material]
    guess = material_height(color, material, wrap, halvings)
    depth = guess * np.float32(material.relief * settings.relief)
    out: dict[str, np.ndarray] = {}
    if "height" in which:
        out["height"] = np.rint(32768 + 32767 * np.tanh(depth / LEVEL_PX)).astype(np.uint16)
    if "normal" in which:
        out["normal"] = normal_map(depth, wrap, green_up=settings.normal == "opengl")
    if {"ao", "orm"} & set(which):
        occlusion = _uint8(ambient_occlusion(depth * AO_EXAGGERATION, wrap))
        if "ao" in which:
            out["ao"] = occlusion
    if {"roughness", "orm"} & set(which):
        rough = _uint8(roughness_map(guess, settings.mean_roughness, material.swing, wrap))
        if "roughness" in which:
            out["roughness"] = rough
    if "orm" in which:
        metallic = np.full_like(rough, round(255 * material.metallic))
        out["orm"] = np.stack([occlusion, rough, metallic], axis=-1)
    return out


TONE_PX = 12.0
"""Slower changes of tone are stains and light, which as height would be hills."""


HILLS_PX = 16.0
"""What rises more slowly is taken out: the network takes large stains for hills, and no material here has any."""


KNOWN_PX = 128
"""Side of the largest pictures whose features the network knows."""
SEEN_SMALLER_PX = 1.0
"""What is wider than this is believed of the smaller copy."""


def halvings_for(resolution: int) -> int:
    """How often a picture of a generator of `resolution` px is halved until the network knows what it sees."""
    return max(0, (resolution // KNOWN_PX).bit_length() - 1)


def material_height(color: np.ndarray, material: Material, wrap: Wrap, halvings: int = 0) -> np.ndarray:
    """Height in pixels, float32 [H, W], without hills, of color [H, W, 3] in 0..255.

    The network knows features of up to some 30 px. Larger ones are guessed in a copy of half the size, and only what is
    finer than that in the picture itself.
    """
    guess = _height_at_one_scale(color, material, wrap)
    if not halvings:
        return guess
    height, width = guess.shape
    smaller = resample(color.astype(np.float32), -(-height // 2), -(-width // 2), wrap)
    wide = material_height(smaller, material, wrap, halvings - 1)[..., None]
    guess += blur(2 * resample(wide, height, width, wrap)[..., 0] - guess, SEEN_SMALLER_PX, wrap)
    return guess


def _height_at_one_scale(color: np.ndarray, material: Material, wrap: Wrap) -> np.ndarray:
    """The network's guess and, as far as the material's tone goes with its height, what is darker than its surroundings
    lies deeper.
    """
    from .height import guess_height  # torch, only where a map is made

    guess = guess_height(color, wrap)
    if material.tone:
        red, green, blue = (color[..., channel].astype(np.float32) for channel in range(3))
        luminance = (0.2126 * red + 0.7152 * green + 0.0722 * blue) / 255
        guess += np.float32(material.tone) * (luminance - blur(luminance, TONE_PX, wrap))
    return guess - blur(guess, HILLS_PX, wrap)


LEVEL_PX = 8.0
"""Height levels are tanh(pixels / 8): within 3 px of the middle proportional to 5 %, and never cut off. The same in
every picture, since a scale of each picture's own would make the frames of a walk flicker."""

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


AO_STEPS_PX = (1, 3, 6, 12, 24)
"""Where the horizon is looked for: the same in every picture."""


def ambient_occlusion(depth: np.ndarray, wrap: Wrap) -> np.ndarray:
    """Share of an evenly lit sky seen from each point of `depth` (pixels), 0..1, float32 [H, W].

    Per direction the highest elevation angle within 24 px hides sin^2 of itself of the cosine-weighted sky.
    Honest geometry of a guessed height: as good as the height is.
    """
    seen = np.zeros(depth.shape, np.float32)
    horizon = [np.zeros(depth.shape, np.float32) for _ in DIRECTIONS]
    for step in AO_STEPS_PX:
        # Far samples look at a blurred height: single pixels far away would leave star-shaped echoes.
        far = blur(depth, 0.35 * step, wrap) if step > 1 else depth
        for n, (rows, columns) in enumerate(DIRECTIONS):
            pixels = max(1, round(step / np.hypot(rows, columns)))
            rise = shift(far, rows * pixels, columns * pixels, wrap) - depth
            np.maximum(horizon[n], rise / (pixels * np.hypot(rows, columns)), out=horizon[n])
    for slope in horizon:
        seen += 1 - slope**2 / (1 + slope**2)
    return seen / len(DIRECTIONS)


def roughness_map(depth: np.ndarray, mean: float, swing: float, wrap: Wrap) -> np.ndarray:
    """Roughness heuristic, 0..1: hollows gather dust and are rougher, raised parts are worn smoother, and steep spots
    scatter more than calm ones. How far, `swing` says: it belongs to the material.
    """
    dx, dy = gradient(depth, wrap)
    busy = np.tanh(blur(np.sqrt(dx**2 + dy**2), 2.0, wrap) / 0.5)
    low = np.tanh(blur(depth, 1.0, wrap) / 2)
    return np.clip(mean + swing * (0.35 * busy - low), 0.05, 1.0)


def _uint8(unit: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(unit, 0, 1) * 255).astype(np.uint8)
