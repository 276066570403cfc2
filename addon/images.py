# SPDX-License-Identifier: GPL-3.0-or-later
"""The backend's pictures as Image data-blocks, each with its provenance on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from . import provenance
from .pixels import to_blender

PREVIEW_NAME = "Loom Preview"
_buffers: dict[str, np.ndarray] = {}


class UnreadableFileError(Exception):
    """A file that the backend says it wrote cannot be read here; the text is one sentence."""


def _read(path: Path) -> bpy.types.Image:
    try:
        return bpy.data.images.load(str(path))
    except RuntimeError as error:
        raise UnreadableFileError(
            f"Blender cannot read {path}; choose an output folder that the backend and Blender both see."
        ) from error


def load(path: Path, map_name: str, record: Mapping[str, Any]) -> bpy.types.Image:
    """The picture in `path`; a data-block that shows this file already is read again instead of a second one made."""
    image = next((one for one in bpy.data.images if _same_file(one, path)), None)
    if image is None:
        image = _read(path)
    else:
        image.reload()
    if bpy.data.filepath and bpy.context.preferences.filepaths.use_relative_paths:
        image.filepath = _relative(str(path))
    _describe(image, map_name, record)
    return image


def load_sequence(files: Sequence[Path], record: Mapping[str, Any]) -> bpy.types.Image:
    """The numbered files of a walk as one image sequence."""
    image = _read(files[0])
    image.source = "SEQUENCE"
    image.name = files[0].parent.name
    _describe(image, "color", record)
    return image


def show_preview(picture: np.ndarray) -> bpy.types.Image:
    """Put `picture` (uint8 [H, W, 3], top row first) into the one preview image; its buffer is kept for the next."""
    height, width = picture.shape[:2]
    image = bpy.data.images.get(PREVIEW_NAME)
    if image is None:
        image = bpy.data.images.new(PREVIEW_NAME, width, height, alpha=False)
    elif tuple(image.size) != (width, height):
        image.scale(width, height)
    _buffers[PREVIEW_NAME] = to_blender(picture, _buffers.get(PREVIEW_NAME))
    image.pixels.foreach_set(_buffers[PREVIEW_NAME])
    image.update()
    return image


def record_of(image: bpy.types.Image | None) -> dict[str, Any] | None:
    """The provenance of `image`, or None where it is not one of ours."""
    return None if image is None else provenance.recall(image.get(provenance.KEY))


def set_of(image: bpy.types.Image) -> dict[str, bpy.types.Image]:
    """The maps that were made together with `image`, by map name, itself included."""
    record = record_of(image)
    if record is None:
        return {"color": image}
    found = {}
    for other in bpy.data.images:
        theirs = record_of(other)
        if theirs and theirs.get("set") == record.get("set"):
            found[theirs.get("map", "color")] = other
    return found


def _describe(image: bpy.types.Image, map_name: str, record: Mapping[str, Any]) -> None:
    # The colour space comes first: Blender converts what is written later.
    image.colorspace_settings.name = "sRGB" if map_name == "color" else "Non-Color"
    image[provenance.KEY] = provenance.dump({**record, "map": map_name})


def _same_file(image: bpy.types.Image, path: Path) -> bool:
    if image.source != "FILE" or not image.filepath or image.library is not None:
        return False
    return Path(bpy.path.abspath(image.filepath)) == path


def _relative(path: str) -> str:
    try:
        return bpy.path.relpath(path)
    except ValueError:  # another drive of Windows
        return path
