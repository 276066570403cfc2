"""How seamless textures are: a measure over many pictures."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np


def seam_scores(pictures: Iterable[np.ndarray], *, cells: int = 1) -> tuple[float, float]:
    """(x, y): mean gradient across the wrap edge divided by the mean gradient inside; 1 = seamless.

    pictures  uint8 [H, W, 3] or [H, W]. Take 256 or more: one picture alone proves nothing, since a mortar line may
              lie on its edge. x is the edge between the right and the left side, y between bottom and top.
    cells     cells of the generator's lattice along a side. Joints lie between them, so on every picture's edge too: it
              is then compared with the other borders of cells
    """
    edge, inside, count = np.zeros(2), np.zeros(2), 0
    for picture in pictures:
        field = picture.astype(np.float32)
        for n, axis in enumerate((1, 0)):
            inside[n] += _inside(field, axis, cells)
            edge[n] += np.abs(field.take(0, axis=axis) - field.take(-1, axis=axis)).mean(dtype=np.float64)
        count += 1
    if not count:
        raise ValueError("no pictures to measure")
    scores = edge / np.maximum(inside, 1e-12)
    return float(scores[0]), float(scores[1])


def _inside(field: np.ndarray, axis: int, cells: int) -> float:
    """Mean gradient between neighbours along an axis, or between those on both sides of the inner borders of cells."""
    steps = np.abs(np.diff(field, axis=axis))
    if cells > 1:
        side = field.shape[axis] // cells
        steps = steps.take([side * k - 1 for k in range(1, cells)], axis=axis)
    return float(steps.mean(dtype=np.float64))
