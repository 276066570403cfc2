# SPDX-License-Identifier: GPL-3.0-or-later
"""What was made, entry by entry, as text that lies in the scene and so travels in the .blend. No bpy.

An entry holds a small picture of the result, the files, the request and all settings of the panels at that time, so
that each can be had again although its files are gone. `read` is tolerant: a file may come from a newer add-on.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

THUMB_PX = 64
MOST = 200
"""Entries that a scene keeps; with its picture one takes 5 to 15 KB."""
KINDS = {"generate": "Texture", "walk": "Walk", "project": "Restyle", "grid": "Grid", "bake": "Sequence"}


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One result.

    uuid      the same as in the images' provenance
    kind      type of the request
    title     for people
    files     {map, path} of each file; of a sequence the first frame
    params    as sent
    settings  of the panels, by name (`recall.snapshot`)
    thumb     see `pack`
    version   of the backend
    """

    uuid: str
    kind: str
    title: str
    files: Sequence[Mapping[str, Any]] = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    thumb: str = ""
    version: str = ""

    def color_file(self) -> str:
        """The path of the picture to show, or ""."""
        paths = [str(file.get("path", "")) for file in self.files if file.get("map", "color") == "color"]
        return paths[0] if paths else next((str(file.get("path", "")) for file in self.files), "")

    def line(self) -> str:
        """What a tooltip or a second line says: `512 x 512 · seed 3 · mossy 0.8`."""
        words = []
        size = self.params.get("size")
        if isinstance(size, list | tuple) and len(size) == 2:
            words.append(f"{size[0]} x {size[1]}")
        seeds = self.params.get("seeds")
        if isinstance(seeds, list | tuple) and seeds:
            words.append(f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds[:4]))}")
        for style in self.params.get("styles") or ():
            if isinstance(style, list | tuple) and len(style) >= 2 and isinstance(style[1], int | float):
                words.append(f"{style[0]} {style[1]:g}")
        return " · ".join(words)


def write(entry: Entry) -> str:
    return json.dumps(asdict(entry), ensure_ascii=False, sort_keys=True)


def read(text: object) -> Entry | None:
    """The entry in `text`; None where there is none of ours."""
    if not isinstance(text, str):
        return None
    try:
        found = json.loads(text)
    except ValueError:
        return None
    if not isinstance(found, dict) or not all(isinstance(found.get(k), str) for k in ("uuid", "kind", "title")):
        return None
    known = {name: found[name] for name in Entry.__dataclass_fields__ if name in found}
    for name, kind in (("files", list), ("params", dict), ("settings", dict), ("thumb", str), ("version", str)):
        if not isinstance(known.get(name), kind):
            known.pop(name, None)
    known["files"] = [file for file in known.get("files", ()) if isinstance(file, dict)]
    return Entry(**known)


def shrink(picture: np.ndarray) -> np.ndarray:
    """uint8 [H, W, 3] with sides of THUMB_PX at most: the means of equal parts."""
    height, width = picture.shape[:2]
    step = max(1, -(-max(height, width) // THUMB_PX))
    rows, columns = max(1, height // step), max(1, width // step)
    cut = picture[: rows * step, : columns * step, :3]
    if step == 1 or min(height, width) < step:
        return np.ascontiguousarray(cut)
    parts = cut.reshape(rows, step, columns, step, 3).astype(np.float32)
    return np.rint(parts.mean(axis=(1, 3))).astype(np.uint8)


def pack(picture: np.ndarray) -> str:
    """uint8 [H, W, 3] as text: `WIDTHxHEIGHT:` and base64 of the deflated bytes."""
    height, width = picture.shape[:2]
    data = base64.b64encode(zlib.compress(np.ascontiguousarray(picture[..., :3]).tobytes(), 9)).decode()
    return f"{width}x{height}:{data}"


def unpack(text: str) -> np.ndarray | None:
    """The picture in `text`, uint8 [H, W, 3]; None where it is damaged or too large to be one of ours."""
    try:
        size, _, data = text.partition(":")
        width, height = (int(side) for side in size.split("x"))
        if not (0 < width <= 512 and 0 < height <= 512):
            return None
        unpacker = zlib.decompressobj()
        raw = unpacker.decompress(base64.b64decode(data, validate=True), width * height * 3 + 1)
        return np.frombuffer(raw, np.uint8).reshape(height, width, 3)
    except (ValueError, zlib.error):
        return None


def surplus(count: int) -> int:
    """How many of the oldest entries go."""
    return max(0, count - MOST)
