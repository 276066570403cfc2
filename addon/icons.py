# SPDX-License-Identifier: GPL-3.0-or-later
"""Icons that change: the state dot, and the running job's newest picture inside the panel."""

from __future__ import annotations

import bpy
import bpy.utils.previews
import numpy as np

from . import session as states
from .pixels import left_square, to_blender

PREVIEW, RESULT = "preview", "result "
_collection: bpy.utils.previews.ImagePreviewCollection | None = None


def attach() -> None:
    global _collection
    _collection = bpy.utils.previews.new()


def detach() -> None:
    global _collection
    if _collection is not None:
        bpy.utils.previews.remove(_collection)
        _collection = None


def show_preview(picture: np.ndarray) -> None:
    """Keep `picture` (uint8 [H, W, 3], top row first) as the icon that the panel shows.

    An icon is square: of a wider sheet it shows the left part, large, and an Image Editor the whole.
    """
    keep(PREVIEW, left_square(picture))


def forget_preview() -> None:
    """Other work begins: its preview is still to come."""
    if _collection is not None and PREVIEW in _collection:
        del _collection[PREVIEW]


def show_result(uuid: str, picture: np.ndarray) -> None:
    """Keep the small picture of an entry of the history (uint8 [H, W, 3], top row first)."""
    if _collection is None or bpy.app.background:
        return
    icon = _collection.get(RESULT + uuid) or _collection.new(RESULT + uuid)
    for size, pixels in (("image_size", "image_pixels_float"), ("icon_size", "icon_pixels_float")):
        setattr(icon, size, picture.shape[1::-1])
        getattr(icon, pixels).foreach_set(to_blender(picture))


def result_id(uuid: str) -> int:
    """The icon of that entry, 0 where there is none."""
    icon = _collection.get(RESULT + uuid) if _collection is not None else None
    return icon.icon_id if icon is not None else 0


def forget_results() -> None:
    """Another file comes: drop the pictures of the history."""
    for name in [name for name in _collection or () if name.startswith(RESULT)]:
        del _collection[name]


def preview_id() -> int:
    """The icon's number, 0 while there is no preview."""
    return number(PREVIEW)


def keep(name: str, picture: np.ndarray) -> None:
    """Have an icon called `name` show `picture` (uint8 [H, W, 3], top row first)."""
    if _collection is None or bpy.app.background:
        return
    icon = _collection.get(name) or _collection.new(name)
    icon.image_size = picture.shape[1::-1]
    icon.image_pixels_float.foreach_set(to_blender(picture))


def number(name: str) -> int:
    """The number of the icon called `name`, 0 while there is none."""
    icon = _collection.get(name) if _collection is not None else None
    return icon.icon_id if icon is not None else 0


def dot(session: states.Session) -> str:
    """The icon of the backend's state: grey off, yellow coming, green ready, blue busy, red lost or in trouble."""
    if session.state == states.READY:
        return "STRIP_COLOR_05" if session.working else "STRIP_COLOR_04"
    if session.state in (states.STARTING, states.CONNECTING):
        return "STRIP_COLOR_03"
    if session.state == states.LOST or session.trouble is not None:
        return "STRIP_COLOR_01"
    return "STRIP_COLOR_09"
