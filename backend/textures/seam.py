"""How seamless textures are: a measure over many pictures."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np


def seam_scores(pictures: Iterable[np.ndarray]) -> tuple[float, float]:
    """(x, y): mean gradient across the wrap edge divided by the mean gradient inside; 1 = seamless.

    pictures  uint8 [H, W, 3] or [H, W]. Take 256 or more: one picture alone proves nothing, since a mortar line may
              lie on its edge. x is the edge between the right and the left side, y between bottom and top.
    """
    edge, inside, count = np.zeros(2), np.zeros(2), 0
    for picture in pictures:
        field = picture.astype(np.float32)
        for n, axis in enumerate((1, 0)):
            inside[n] += np.abs(np.diff(field, axis=axis)).mean(dtype=np.float64)
            edge[n] += np.abs(field.take(0, axis=axis) - field.take(-1, axis=axis)).mean(dtype=np.float64)
        count += 1
    if not count:
        raise ValueError("no pictures to measure")
    scores = edge / np.maximum(inside, 1e-12)
    return float(scores[0]), float(scores[1])
