# SPDX-License-Identifier: GPL-3.0-or-later
"""The images that the live texture has in a .blend: one for each map, made once and never packed.

They are byte images whose pixels are set; when the file is saved they are written beside the other textures, so that
it opens again with what it showed.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from pathlib import Path

import bpy
import numpy as np

from . import folders, images, provenance
from .params import PBR_MAPS, BadInput

NAME = "Loom Live"
MAPS = ("color", *PBR_MAPS)
PINK = (255, 0, 255)
"""What Blender shows for a texture that is missing: no frame passes for right that is not."""
_names: dict[int, dict[str, str]] = {}


def forget() -> None:
    _names.clear()


def ensure(scene: bpy.types.Scene, maps: tuple[str, ...] = ("color",)) -> dict[str, bpy.types.Image]:
    """The live images of `scene` by map; those of `maps` that are missing are made."""
    found = of(scene)
    if "color" not in found:
        record = provenance.describe("live", {}, version="")
        record["set"] = record["uuid"]
        found["color"] = scene.loom.live_image = _new(NAME, "color", record)
    record = images.record_of(found["color"]) or {}
    for name in maps:
        if name not in found:
            found[name] = _new(f"{NAME} {name}", name, record)
    _names[scene.session_uid] = {name: image.name for name, image in found.items()}
    return found


def of(scene: bpy.types.Scene) -> dict[str, bpy.types.Image]:
    """The live images that `scene` has, by map."""
    image = scene.loom.live_image
    if image is None:
        return {}
    known = {name: bpy.data.images.get(held) for name, held in _names.get(scene.session_uid, {}).items()}
    if known.get("color") == image and all(known.values()):
        return known
    found = images.set_of(image) if images.record_of(image) else {}
    return found | {"color": image}


def show(scene: bpy.types.Scene, pictures: Mapping[str, np.ndarray]) -> None:
    """Set the pixels (uint8 [H, W, 3] or [H, W], top row first) of the images of `scene`."""
    targets = ensure(scene, tuple(pictures))
    for name, picture in pictures.items():
        put(targets[name], picture)


def put(image: bpy.types.Image, picture: np.ndarray) -> None:
    """Set the pixels of `image`, and have renderers notice."""
    images.set_pixels(image, picture)
    image.update_tag()


def alarm(scene: bpy.types.Scene) -> None:
    """Fill them so that nobody takes the picture for right."""
    for image in of(scene).values():
        put(image, np.full((16, 16, 3), PINK, np.uint8))


def write(scene: bpy.types.Scene, folder: Path) -> None:
    """Write what has changed under `folder`: from then on they are images of files. Raises BadInput."""
    for name, image in of(scene).items():
        if not image.is_dirty or image.library is not None:
            continue
        folders.ready(folder)
        record = images.record_of(image) or {"uuid": uuid.uuid4().hex}
        path = folder / f"live-{str(record.get('set', record['uuid']))[:8]}_{name}.png"
        image.filepath_raw, image.file_format = str(path), "PNG"
        try:
            image.save()
        except RuntimeError as error:
            raise BadInput(f"The live texture cannot be written to {path}; choose another output folder.") from error


def _new(name: str, map_name: str, record: Mapping[str, object]) -> bpy.types.Image:
    image = bpy.data.images.new(name, 16, 16, alpha=False, is_data=map_name != "color")
    images.describe(image, map_name, record)
    return image
