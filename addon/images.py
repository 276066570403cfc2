# SPDX-License-Identifier: GPL-3.0-or-later
"""The backend's pictures as Image data-blocks, each with its provenance on it."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from . import provenance
from .params import BadInput, name_from
from .pixels import to_blender

PREVIEW_NAME = "Loom Preview"
MOST_BUFFERS = 4
_buffers: dict[int, np.ndarray] = {}
"""Pixels by their number, for the next picture of that size."""


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
    describe(image, map_name, record)
    return image


def load_sequence(files: Sequence[Path], record: Mapping[str, Any], map_name: str = "color") -> bpy.types.Image:
    """The numbered files of one map as one image sequence."""
    image = _read(files[0])
    image.source = "SEQUENCE"
    image.name = files[0].parent.name if map_name == "color" else f"{files[0].parent.name} {map_name}"
    describe(image, map_name, record)
    return image


def show_preview(picture: np.ndarray) -> bpy.types.Image:
    """Put `picture` (uint8 [H, W, 3], top row first) into the one preview image; its buffer is kept for the next."""
    return set_picture(PREVIEW_NAME, picture)


def set_picture(name: str, picture: np.ndarray) -> bpy.types.Image:
    """The same for the image called `name`."""
    height, width = picture.shape[:2]
    image = bpy.data.images.get(name) or bpy.data.images.new(name, width, height, alpha=False)
    set_pixels(image, picture)
    return image


def set_pixels(image: bpy.types.Image, picture: np.ndarray) -> None:
    """Put `picture` (uint8 [H, W, 3] or [H, W], top row first) into `image`, which takes its size."""
    height, width = picture.shape[:2]
    if 0 in image.size:  # its file is gone
        image.source = "GENERATED"
        image.generated_width, image.generated_height = width, height
    elif tuple(image.size) != (width, height):
        image.scale(width, height)
    size = height * width * 4
    if len(_buffers) > MOST_BUFFERS:
        _buffers.clear()
    _buffers[size] = to_blender(picture, _buffers.get(size))
    image.pixels.foreach_set(_buffers[size])
    image.update()


def show_preview_in_editors() -> None:
    """Have image editors that show nothing of the artist's show the preview, once it is there."""
    image = bpy.data.images.get(PREVIEW_NAME)
    if image is None and bpy.context.window_manager.windows:
        image = bpy.data.images.new(PREVIEW_NAME, 64, 64, alpha=False)
    if image is not None:
        show_in_editors(image)


def settle(name: str, folder: Path) -> None:
    """Write the picture of our own called `name` under `folder`: Blender would ask about it when it quits."""
    image = bpy.data.images.get(name)
    if image is None or not image.is_dirty:
        return
    image.filepath_raw, image.file_format = str(folder / f"{name_from(name)}.png"), "PNG"
    with contextlib.suppress(RuntimeError):  # a preview is not worth a complaint
        image.save()


def show_in_editors(image: bpy.types.Image) -> None:
    """Show `image` in image editors that are empty or show something of ours already."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type != "IMAGE_EDITOR":
                continue
            space = area.spaces.active
            if space.image is None or space.image.name == PREVIEW_NAME or record_of(space.image):
                space.image = image


def as_file(image: bpy.types.Image, folder: Path) -> Path:
    """A file with what `image` shows: its own where it has one, else one written under `folder`. Raises BadInput."""
    own = Path(bpy.path.abspath(image.filepath, library=image.library)) if image.filepath else None
    if image.source == "FILE" and not image.is_dirty and image.packed_file is None and own and own.is_file():
        return own
    if not image.has_data and tuple(image.size) == (0, 0):
        raise BadInput(f"The image {image.name} has no picture in it; choose another one.")
    path = folder / f"{name_from(image.name) or 'picture'}-{image.session_uid}.png"
    try:
        image.save(filepath=str(path), save_copy=True)
    except RuntimeError as error:
        raise BadInput(f"The image {image.name} cannot be written for the backend; save it as a file first.") from error
    return path


def picture_of(image: bpy.types.Image) -> np.ndarray:
    """What `image` shows, uint8 [H, W, 3], top row first, as stored. Raises BadInput."""
    width, height = image.size
    if width == 0 or height == 0:
        raise BadInput(f"The image {image.name} has no picture in it, or its file is missing; choose another one.")
    values = np.empty(width * height * 4, np.float32)
    image.pixels.foreach_get(values)
    rgb = values.reshape(height, width, 4)[::-1, :, :3]
    return np.rint(np.clip(rgb, 0, 1) * 255).astype(np.uint8)


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


def describe(image: bpy.types.Image, map_name: str, record: Mapping[str, Any]) -> None:
    """Give `image` its colour space and say where it came from."""
    # The colour space comes first: Blender converts what is written later. Setting it, even to what it is, throws away
    # pixels that are in no file.
    space = "sRGB" if map_name == "color" else "Non-Color"
    if image.colorspace_settings.name != space:
        image.colorspace_settings.name = space
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
