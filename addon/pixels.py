# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures as the backend has them (uint8, top row first) made into what `Image.pixels.foreach_set` takes. No bpy."""

from __future__ import annotations

import numpy as np


def to_blender(picture: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """Flat float32 RGBA with the bottom row first.

    picture  uint8 or uint16 [H, W, 3], [H, W, 4], [H, W, 1] or [H, W]; top row first
    out      float32 [H * W * 4] to write into instead of a new buffer: previews reuse one
    Raises   ValueError
    """
    if picture.ndim == 2:
        picture = picture[:, :, None]
    if picture.ndim != 3 or picture.shape[2] not in (1, 3, 4) or picture.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"not a picture: shape {picture.shape}, {picture.dtype}")
    height, width, channels = picture.shape
    if out is None or out.size != height * width * 4:
        out = np.empty(height * width * 4, np.float32)
    rgba = out.reshape(height, width, 4)
    rows = picture[::-1]
    scale = np.float32(1.0 / np.iinfo(picture.dtype).max)
    # A channel at a time: numpy runs along a row then, and not along a pixel, which takes three times as long.
    for channel in range(4):
        if channel == 3 and channels != 4:
            rgba[:, :, 3] = 1.0
        else:
            np.multiply(rows[:, :, channel % channels], scale, out=rgba[:, :, channel])
    return out


def left_square(picture: np.ndarray) -> np.ndarray:
    """The left part of a wide picture [H, W, ...], as wide as it is high; others as they are."""
    return picture[:, : picture.shape[0]]
