"""The demo's own pictures: sheets that show at a glance what the backend made, and the walk as an animation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ..textures.files import write_picture
from ..textures.sheets import Row, contact_sheet, grid_sheet, tiled


def write_before_after(
    path: Path,
    before: np.ndarray,
    after: Mapping[str, np.ndarray],
    prompts: Mapping[str, tuple[str, str]],
    seeds: Sequence[int],
) -> Path:
    """One row of what the generator makes, and below it one row for each style.

    before [N, H, W, 3], after {style: [N, H, W, 3]}; the textures in a column have the same seed.
    """
    rows = [Row(label="the generator", note="before", pictures=list(before))]
    for style, pictures in after.items():
        source, target = prompts[style]
        rows.append(Row(label=target, note=f"after: {source} to", pictures=list(pictures)))
    captions = [f"seed {seed}" for seed in seeds]
    note = "The same seeds, before and after the generator was adapted by text alone."
    write_picture(path, grid_sheet(rows, captions=captions, title="Before and after", note=note, cell_px=160))
    return path


def write_texture_sheet(path: Path, files: Sequence[Mapping[str, object]]) -> Path:
    """The maps of one texture, and its colour twice in each direction: a seam would show there."""
    maps = {str(file["map"]): np.asarray(Image.open(str(file["path"]))) for file in files}
    twice = tiled(maps["color"])
    pictures, captions = [twice, *maps.values()], ["2 x 2 of it: no seam", *maps]
    write_picture(path, contact_sheet(pictures, captions, columns=4, title="One texture and its maps", cell_px=256))
    return path


def write_animation(path: Path, frames: Sequence[Path], *, fps: int) -> Path:
    """The frames as one endless WebP animation, written whole or not at all."""
    first, *rest = [Image.open(frame).convert("RGB") for frame in frames]
    part = path.with_name(f".{path.name}")
    first.save(part, format="WEBP", save_all=True, append_images=rest, duration=round(1000 / fps), loop=0, quality=80)
    part.replace(path)
    return path
