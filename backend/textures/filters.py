"""Filters on pictures whose edges wrap around on some axes and reflect on the others.

Everything here is numpy in float32 with sums in a fixed order: the same picture gives the same bits whatever the number
of threads. `wrap` is (rows, columns): True where the opposite edges belong together.
"""

from __future__ import annotations

import numpy as np

Wrap = tuple[bool, bool]

_ROWS_AT_ONCE = 512
"""Lines filtered at a time: bounds the memory of the spectra at large sizes."""


def wrap_of(tile: str) -> Wrap:
    """(rows wrap, columns wrap) for a tile mode; `x` tiles along the width, that is, columns wrap."""
    return ("y" in tile, "x" in tile)


def blur(field: np.ndarray, sigma: float, wrap: Wrap) -> np.ndarray:
    """Gaussian blur of float [H, W] by `sigma` pixels, float32."""
    out = _blur_lines(field, sigma, wrap[1])
    return np.ascontiguousarray(_blur_lines(np.ascontiguousarray(out.T), sigma, wrap[0]).T)


def _blur_lines(field: np.ndarray, sigma: float, wrap: bool) -> np.ndarray:
    """Blur each row of [M, N]: a product with the Gaussian's spectrum, of the mirrored row where it does not wrap."""
    n = field.shape[1]
    period = n if wrap else 2 * n
    frequency = np.fft.rfftfreq(period)
    gain = np.exp(-2.0 * (np.pi * sigma * frequency) ** 2)
    out = np.empty(field.shape, np.float32)
    for start in range(0, field.shape[0], _ROWS_AT_ONCE):
        lines = field[start : start + _ROWS_AT_ONCE]
        if not wrap:
            lines = np.concatenate([lines, lines[:, ::-1]], axis=1)
        out[start : start + _ROWS_AT_ONCE] = np.fft.irfft(np.fft.rfft(lines, axis=1) * gain, n=period, axis=1)[:, :n]
    return out


def shift(field: np.ndarray, rows: int, columns: int, wrap: Wrap) -> np.ndarray:
    """out[y, x] = field[y + rows, x + columns], wrapped around or held at the edge."""
    height, width = field.shape[:2]
    y = np.arange(height) + rows
    x = np.arange(width) + columns
    y = y % height if wrap[0] else np.clip(y, 0, height - 1)
    x = x % width if wrap[1] else np.clip(x, 0, width - 1)
    return field[y][:, x]


def gradient(field: np.ndarray, wrap: Wrap) -> tuple[np.ndarray, np.ndarray]:
    """Slopes (d/dcolumn, d/drow) of float [H, W] per pixel, by Sobel operators with Scharr's weights (3, 10, 3).

    Scharr's weights keep the direction of a slope right to about a degree where Sobel's 1, 2, 1 are off by several.
    """
    along = shift(field, 0, 1, wrap) - shift(field, 0, -1, wrap)
    dx = (3 * shift(along, -1, 0, wrap) + 10 * along + 3 * shift(along, 1, 0, wrap)) / 32
    across = shift(field, 1, 0, wrap) - shift(field, -1, 0, wrap)
    dy = (3 * shift(across, 0, -1, wrap) + 10 * across + 3 * shift(across, 0, 1, wrap)) / 32
    return dx, dy


def resample(picture: np.ndarray, height: int, width: int, wrap: Wrap) -> np.ndarray:
    """[H, W, C] float32 resampled to [height, width, C], each axis as a whole (a tile stays a tile).

    A windowed sinc (Lanczos, three lobes), widened when shrinking so that nothing aliases.
    """
    out = _resample_rows(picture, height, wrap[0])
    return _resample_rows(out.swapaxes(0, 1), width, wrap[1]).swapaxes(0, 1)


def _resample_rows(picture: np.ndarray, count: int, wrap: bool) -> np.ndarray:
    """Tap by tap in a fixed order, since a matrix product's bits may depend on the number of threads."""
    rows = picture.shape[0]
    if rows == count:
        return picture
    scale = rows / count
    support = 3.0 * max(scale, 1.0)
    centre = (np.arange(count) + 0.5) * scale - 0.5
    taps = int(np.ceil(support)) * 2 + 1
    index = np.floor(centre).astype(int)[:, None] + np.arange(taps) - taps // 2
    distance = (index - centre[:, None]) / max(scale, 1.0)
    weight = np.where(np.abs(distance) < 3, np.sinc(distance) * np.sinc(distance / 3), 0.0)
    weight = (weight / weight.sum(axis=1, keepdims=True)).astype(np.float32)
    index = index % rows if wrap else np.clip(index, 0, rows - 1)
    out = np.zeros((count, *picture.shape[1:]), np.float32)
    for tap in range(taps):
        part = picture[index[:, tap]]
        part *= weight[:, tap, None, None]
        out += part
    return out
