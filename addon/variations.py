# SPDX-License-Identifier: GPL-3.0-or-later
"""The grid of variations: which seed stands in which cell, and the picture of them all. No bpy."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

GAP_PX = 2


def columns_of(count: int) -> int:
    """As near to a square as it goes."""
    return max(1, math.ceil(math.sqrt(count)))


def sheet(pictures: Sequence[np.ndarray]) -> np.ndarray:
    """All of them on one picture, row by row from the top left: uint8 [H, W, 3].

    pictures  uint8 [h, w, 3], all of one size
    """
    columns = columns_of(len(pictures))
    rows = math.ceil(len(pictures) / columns)
    height, width = pictures[0].shape[:2]
    whole = np.full((rows * (height + GAP_PX) - GAP_PX, columns * (width + GAP_PX) - GAP_PX, 3), 24, np.uint8)
    for number, picture in enumerate(pictures):
        y, x = number // columns * (height + GAP_PX), number % columns * (width + GAP_PX)
        whole[y : y + height, x : x + width] = picture
    return whole


def cell_at(u: float, v: float, count: int) -> int | None:
    """The cell under a point of the sheet (0..1 from its lower left corner), None where there is none."""
    columns = columns_of(count)
    rows = math.ceil(count / columns)
    if not (0 <= u < 1 and 0 <= v < 1):
        return None
    number = int((1 - v) * rows) * columns + int(u * columns)
    return number if number < count else None


def other_seeds(seed: int, count: int, draw) -> list[int]:
    """`seed` first, then others by chance: `draw(n)` gives a number below n."""
    found = [seed]
    while len(found) < count:
        other = draw(100_000)
        if other not in found:
            found.append(other)
    return found
