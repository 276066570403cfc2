"""When to take the frames of a walk: at equal steps of its parameter, or at equal steps for the eye."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..job import Job, Progress


def even_times(frames: int, loop: bool) -> list[float]:
    """t of each frame in 0..1: both ends in an open walk; in a loop the frame after the last is the first."""
    steps = frames if loop else max(frames - 1, 1)
    return [number / steps for number in range(frames)]


def visual_times(
    picture: Callable[[float], np.ndarray], *, frames: int, loop: bool, samples: int, job: Job | None = None
) -> list[float]:
    """Times at which neighbouring frames differ about equally: equal steps of the arc length of `distance`.

    picture  t -> uint8 [H, W, 3], small and quick; called `samples` + 1 times
    """
    job = job or Job()
    times = np.linspace(0.0, 1.0, samples + 1)
    lengths = []
    before = picture(0.0)
    for done, t in enumerate(times[1:], start=1):
        job.check()
        after = picture(float(t))
        lengths.append(distance(before, after))
        before = after
        job.report(Progress(done=done, total=samples, stage="measure"))
    arc = np.concatenate([[0.0], np.cumsum(lengths)])
    if arc[-1] <= 0:
        return even_times(frames, loop)
    # A trace of the parameter itself keeps the arc rising where nothing is seen to change.
    arc = arc / arc[-1] + 1e-6 * times
    targets = np.array(even_times(frames, loop)) * arc[-1]
    return [float(t) for t in np.interp(targets, arc, times)]


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """How different two pictures look: RMS differences in opponent colours, averaged over scales of 1, 2, 4 and 8 px.

    a, b  uint8 [H, W, 3] of the same shape. Coarse scales keep a pattern that shifts by a pixel from counting in full.
    Colour counts about half of lightness, as it does for the eye.
    """
    red, green, blue = np.moveaxis((b.astype(np.float32) - a.astype(np.float32)) / 255, -1, 0)
    light = 0.30 * red + 0.59 * green + 0.11 * blue
    difference = np.stack([light, (red - green) / 4, (red + green) / 8 - blue / 4], axis=-1)
    total = 0.0
    for _ in range(4):
        total += float(np.sqrt(np.mean(np.sum(difference**2, axis=-1), dtype=np.float64)))
        h, w = difference.shape[0] // 2 * 2, difference.shape[1] // 2 * 2
        if min(h, w) < 2:
            break
        difference = difference[:h, :w].reshape(h // 2, 2, w // 2, 2, 3).mean(axis=(1, 3))
    return total / 4
