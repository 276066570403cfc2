"""Whether a large texture repeats itself."""

from __future__ import annotations

import numpy as np

_LINES = 512
"""Lines whose spectra are taken at a time: bounds the memory at large sizes."""


def repeat_score(picture: np.ndarray, period_px: float | tuple[float, float], *, cells: int = 1) -> float | None:
    """Highest correlation of the picture with itself shifted by multiples of the period along either axis.

    picture    uint8 [H, W, 3]
    period_px  side of the pictures that the generator was trained on; (down, across) where the picture was resampled
    cells      cells of the generator's lattice in a period. What is alike in all of them, as courses of bricks are, is
               a pattern and no repetition, and is left out of account
    Returns    1 = it repeats exactly, about 0 = it does not; None where no axis holds the period twice
    """
    periods = period_px if isinstance(period_px, tuple) else (period_px, period_px)
    light = picture.mean(axis=-1, dtype=np.float32)
    light -= light.mean(dtype=np.float64)
    variance = max(float(np.mean(np.square(light), dtype=np.float64)), 1e-6)
    scores = []
    for lines, period in ((light.T, periods[0]), (light, periods[1])):
        count = int(lines.shape[1] / period + 1e-6)
        if count > 1:
            alike = _autocorrelation(lines) / variance
            steps = np.arange(1, count * cells)
            shifts = np.round(steps * period / cells).astype(int)
            whole = steps % cells == 0
            pattern = max(0.0, float(alike[shifts[~whole]].mean())) if cells > 1 else 0.0
            scores.append((float(alike[shifts[whole]].max()) - pattern) / max(1 - pattern, 1e-3))
    return max(scores, default=None)


def _autocorrelation(lines: np.ndarray) -> np.ndarray:
    """Mean over all pixels of line[i] * line[i + shift], going round, for every shift: [N], from the power spectrum."""
    count, n = lines.shape
    power = np.zeros(n // 2 + 1)
    for start in range(0, count, _LINES):
        power += np.square(np.abs(np.fft.rfft(lines[start : start + _LINES], axis=1))).sum(axis=0)
    return np.fft.irfft(power, n=n) / (count * n)
