# SPDX-License-Identifier: GPL-3.0-or-later
"""The textures seen last, so that playing an animation again, or moving a slider back, asks nobody. No bpy."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

import numpy as np

Maps = Mapping[str, np.ndarray]
LIMIT_BYTES = 512 * 2**20


class PictureCache:
    """Key -> pictures by map name. Beyond `limit_bytes` those go that were not looked at for longest."""

    def __init__(self, limit_bytes: int = LIMIT_BYTES) -> None:
        self.limit_bytes = limit_bytes
        self.bytes = 0
        self._held: OrderedDict[str, Maps] = OrderedDict()

    def __len__(self) -> int:
        return len(self._held)

    def __contains__(self, key: str) -> bool:
        return key in self._held

    def get(self, key: str) -> Maps | None:
        found = self._held.get(key)
        if found is not None:
            self._held.move_to_end(key)
        return found

    def put(self, key: str, pictures: Maps) -> None:
        self.drop(key)
        self._held[key] = pictures
        self.bytes += _size(pictures)
        while self.bytes > self.limit_bytes and len(self._held) > 1:
            self.drop(next(iter(self._held)))

    def drop(self, key: str) -> None:
        gone = self._held.pop(key, None)
        if gone is not None:
            self.bytes -= _size(gone)

    def clear(self) -> None:
        self._held.clear()
        self.bytes = 0


def _size(pictures: Maps) -> int:
    return sum(picture.nbytes for picture in pictures.values())
