"""Part of `latent-loom bench outputs`: how even a walk of constant visual speed is, whether a loop closes, and how much
its material maps flicker. A real walk is written, and its files are read again.

unevenness  the largest change between neighbouring frames over their mean, in a loop round the end (`pace.distance`)
flicker     mean |frame before - 2 frame + frame after| over mean |frame after - frame|, of the pixels' levels: near 0
            where something moves smoothly, 1.73 where every frame is drawn anew
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from ..models.store import Store

WALKS = ((3, 7, 12), (0, 1, 2, 5), (21, 4))
"""Seeds of the keys of each walk that is measured."""


def walks(store: Store, generator: str, *, px: int, frames: int, scratch: Path) -> dict[str, Any]:
    """The worst of all `WALKS`: unevenness at linear and at visual speed; flicker of each map; whether loops close."""
    rows = [_walk(store, generator, seeds, px, frames, scratch / f"walk{n}") for n, seeds in enumerate(WALKS)]
    worst: dict[str, Any] = {key: max(row[key] for row in rows) for key in ("linear", "visual")}
    flicker = {which: max(row["flicker"][which] for row in rows) for which in rows[0]["flicker"]}
    return worst | {
        "flicker": flicker, "closes": all(row["closes"] for row in rows), "px": px, "frames": frames,
        "walks": len(WALKS),
    }  # fmt: skip


def _walk(store: Store, generator: str, seeds: tuple[int, ...], px: int, frames: int, scratch: Path) -> dict[str, Any]:
    from ..textures.files import MAPS
    from ..textures.walk import WalkSettings, walk

    common: dict[str, Any] = {"generator": generator, "seeds": seeds, "size": (px, px), "frames": frames, "loop": True}
    linear = WalkSettings(**common)
    visual = WalkSettings(**common, speed="visual", maps=MAPS)
    found: dict[str, Any] = {"closes": _closes(store, linear), "flicker": {}}
    for name, settings in (("linear", linear), ("visual", visual)):
        made = walk(store, settings, scratch / name)
        found[name] = unevenness(_read(made.files, "color"))
    for which in MAPS:
        found["flicker"][which] = flicker(_read(made.files, which))
    return found


def unevenness(frames: list[np.ndarray]) -> float:
    from ..textures.pace import distance

    steps = [distance(a, b) for a, b in zip(frames, frames[1:] + frames[:1], strict=True)]
    return max(steps) / (sum(steps) / len(steps))


def flicker(frames: list[np.ndarray]) -> float:
    """Of a loop's frames; 0 where nothing moves."""
    levels = np.stack(frames).astype(np.float32)
    step = np.roll(levels, -1, axis=0) - levels
    moved = float(np.abs(step).mean())
    return float(np.abs(step - np.roll(step, 1, axis=0)).mean()) / moved if moved else 0.0


def _closes(store: Store, settings: Any) -> bool:
    """Whether the frame after the last is the first, bit for bit."""
    from ..textures.canvas import plan_canvas
    from ..textures.generate import render
    from ..textures.varied import Varied
    from ..textures.walk import latent_curve

    generator = store.generator(settings.generator)
    varied = Varied(store, settings.generator, generator, settings)
    curve, canvas = latent_curve(varied, settings), plan_canvas(generator.config, settings.size, settings.tile)
    inputs = varied.inputs(settings.seeds[0], canvas.grid)
    first, after = (render(generator, curve(t), inputs, canvas) for t in (0.0, 1.0))
    return bool(np.array_equal(first, after))


def _read(files: list[dict[str, Any]], which: str) -> list[np.ndarray]:
    from PIL import Image

    return [np.asarray(Image.open(file["path"])) for file in files if file["map"] == which]
