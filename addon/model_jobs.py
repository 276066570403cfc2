# SPDX-License-Identifier: GPL-3.0-or-later
"""What the Models panel holds, made into `params`; and what it says of sizes. Pure functions, no bpy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .params import BadInput, name_from

PICTURES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".tga", ".gif"})
MB = 1000**2
PARTS = {
    "generators": "Texture models",
    "styles": "Styles",
    "kept": "Kept textures",
    "clips": "Language models",
    "training": "Training",
    "downloads": "Unfinished downloads",
}


def train(
    *, folder: str, name: str, size: int, total: int, tileable: bool, start: str, taken: Sequence[str], goes_on: bool
) -> dict[str, Any]:
    """Params of `train_generator`. Raises BadInput.

    taken    names of the texture models that there are; such a name means going on, which the user must want
    """
    where = Path(folder) if folder else None
    if where is None or not where.is_dir():
        raise BadInput("Choose the folder with your pictures." if where is None else f"There is no folder {folder}.")
    if not any(path.suffix.lower() in PICTURES for path in where.rglob("*")):
        raise BadInput(f"There are no pictures in {folder}; choose a folder of PNG or JPEG files.")
    wanted = name_from(name or where.name)
    if not wanted:
        raise BadInput("Give the texture model a name of letters or digits.")
    if wanted == "builtin" or (wanted in taken and not goes_on):
        raise BadInput(f"There is a texture model called {wanted} already; choose another name, or Go On with it.")
    return {
        "name": wanted,
        "images": str(where.absolute()),
        "size": size,
        "total": total,
        "tileable": tileable,
        "start": start,
    }


def with_clip(made: Mapping[str, Any], clip: str, clips: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Params of `adapt`, with the language model `clip`, which must be here: the backend would fetch it unasked.

    Raises  BadInput
    """
    if clip in ("", "builtin"):
        return dict(made)
    known = next((entry for entry in clips if entry.get("name") == clip), {})
    if not (known.get("there") or known.get("builtin")):
        raise BadInput(f"The language model {clip} is not here: get it under Models, or choose another there.")
    return {**made, "clips": [clip]}


def disk_lines(told: Mapping[str, Any]) -> list[str]:
    """`Texture models: 412 MB` for each part that holds something, and what is free."""
    parts = told.get("parts")
    if not isinstance(parts, Mapping):
        return []
    lines = [f"{PARTS.get(name, name)}: {amount(size)}" for name, size in parts.items() if size]
    free = told.get("free_bytes")
    return [*lines, f"Free on the disk: {amount(free)}"] if isinstance(free, int | float) else lines


def amount(size: float) -> str:
    """Bytes for people: `3 KB`, `412 MB`, `1.7 GB`."""
    if size < MB:
        return f"{size / 1000:.0f} KB"
    return f"{size / MB:.0f} MB" if size < 1000 * MB else f"{size / MB / 1000:.1f} GB"


def clip_line(clip: Mapping[str, Any]) -> str:
    """`605 MB`, or `here`; the licence is told before it is fetched."""
    if clip.get("builtin"):
        return "came with it"
    if clip.get("there"):
        return "here"
    return f"{clip['mb']} MB" if clip.get("mb") else ""
