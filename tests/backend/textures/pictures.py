"""Procedural test pictures with known height: seamless on both axes, uint8 [N, N, 3] and float32 [N, N] in 0..1."""

from __future__ import annotations

import numpy as np
from latent_loom.backend.textures.filters import blur, gradient

BOTH = (True, True)


def noise(n: int, sigma: float, seed: int) -> np.ndarray:
    field = blur(np.random.default_rng(seed).standard_normal((n, n)).astype(np.float32), sigma, BOTH)
    return (field - field.mean()) / field.std()


def cells(n: int, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Periodic Voronoi cells: distance to the nearest border (pixels) and the cell's number."""
    rng = np.random.default_rng(seed)
    points = rng.random((count, 2)) * n
    y, x = np.mgrid[0:n, 0:n]
    gaps = np.stack([np.abs(np.stack([y - py, x - px])) for py, px in points])
    gaps = np.minimum(gaps, n - gaps)
    distance = np.sqrt((gaps**2).sum(axis=1))
    order = np.argsort(distance, axis=0)
    first = np.take_along_axis(distance, order[:1], 0)[0]
    second = np.take_along_axis(distance, order[1:2], 0)[0]
    return second - first, order[0]


def paint(
    height: np.ndarray, tint: np.ndarray, *, light: float = 0.25, grain: float = 0.01, seed: int = 9
) -> np.ndarray:
    """Colour = tint * (height shading + light from the upper left) + grain."""
    dx, dy = gradient(height, BOTH)
    shade = 0.55 + 0.45 * height + light * np.clip((dx + dy) * 8, -1, 1)
    grainy = tint * shade[..., None] + grain * np.random.default_rng(seed).standard_normal((*height.shape, 1))
    return np.rint(np.clip(grainy, 0, 1) * 255).astype(np.uint8)


def cobbles(n: int = 256, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    border, cell = cells(n, 40 * n * n // 256**2, seed)
    height = np.clip(border / 12, 0, 1) ** 0.5 + 0.05 * noise(n, 3, seed)
    height = np.clip(height, 0, 1).astype(np.float32)
    tone = 0.6 + 0.3 * np.random.default_rng(seed).random(cell.max() + 1)[cell]
    return paint(height, tone[..., None] * np.array([0.9, 0.85, 0.8])), height


def bricks(n: int = 256, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[0:n, 0:n]
    row = y // (n // 8)
    u = (x + (row % 2) * (n // 8)) % (n // 4)
    v = y % (n // 8)
    edge = np.minimum.reduce([u, n // 4 - 1 - u, v, n // 8 - 1 - v])
    height = np.clip((edge - 1) / 3, 0, 1) + 0.04 * noise(n, 2, seed)
    height = np.clip(height, 0, 1).astype(np.float32)
    number = row * 4 + ((x + (row % 2) * (n // 8)) % n) // (n // 4)
    tone = 0.7 + 0.3 * np.random.default_rng(seed).random(64)[number]
    tint = np.where(
        height[..., None] > 0.4, tone[..., None] * np.array([0.75, 0.35, 0.25]), np.array([0.6, 0.58, 0.55])
    )
    return paint(height, tint), height


def weave(n: int = 256, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[0:n, 0:n] * (2 * np.pi * 16 / n)
    over = np.where(np.sin(x / 2) * np.sin(y / 2) > 0, np.abs(np.sin(x / 2)), np.abs(np.sin(y / 2)))
    height = over.astype(np.float32)
    return paint(height, np.full((n, n, 3), [0.4, 0.5, 0.75])), height


def stains(n: int = 256, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Plaster: a fine relief under large stains that have no height."""
    height = (0.5 + 0.12 * noise(n, 3, seed)).clip(0, 1).astype(np.float32)
    tint = 0.7 + 0.12 * noise(n, 40, seed + 1)
    return paint(height, tint[..., None] * np.array([1, 0.95, 0.85])), height


def even(n: int = 256, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """One colour with the grain of a sensor: no relief at all."""
    return paint(np.full((n, n), 0.5, np.float32), np.full((n, n, 3), 0.6), grain=0.008), np.full((n, n), 0.5)


ALL = {"cobbles": cobbles, "bricks": bricks, "weave": weave, "stains": stains, "even": even}
