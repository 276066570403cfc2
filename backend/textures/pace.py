"""When to take the frames of a walk: at equal steps of its parameter, or at equal steps for the eye."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import BadRequest
from ..job import Job, Progress


def even_times(frames: int, loop: bool) -> list[float]:
    """t of each frame in 0..1: both ends in an open walk; in a loop the frame after the last is the first."""
    steps = frames if loop else max(frames - 1, 1)
    return [number / steps for number in range(frames)]


EASES = ("linear", "smooth", "in", "out")
"""Of the way between two keys: at one speed; starting and ending gently; starting gently; ending gently."""


def eased(ease: str, u: float) -> float:
    """How far along its way something is at u of its time, both 0..1."""
    if ease == "smooth":
        return u * u * (3 - 2 * u)
    if ease == "in":
        return u * u
    return u * (2 - u) if ease == "out" else u


@dataclass(frozen=True, kw_only=True)
class Arc:
    """How much is seen to change along a curve: `lengths`, rising from 0 to 1, at `times` of 0..1."""

    times: np.ndarray
    lengths: np.ndarray

    def length(self, t: float) -> float:
        return float(np.interp(t, self.times, self.lengths))

    def time(self, length: float) -> float:
        return float(np.interp(length, self.lengths, self.times))


STRAIGHT = Arc(times=np.array([0.0, 1.0]), lengths=np.array([0.0, 1.0]))
"""The arc of a walk whose time is its parameter."""


def measure_arc(picture: Callable[[float], np.ndarray], samples: int, job: Job | None = None) -> Arc:
    """The arc length of `distance` along the walk: equal steps of it are equal steps for the eye.

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
        return STRAIGHT
    # A trace of the parameter itself keeps the arc rising where nothing is seen to change.
    arc = arc / arc[-1] + 1e-6 * times
    return Arc(times=times, lengths=arc / arc[-1])


def place_frames(
    frames: int, spans: int, *, loop: bool, arc: Arc = STRAIGHT, holds: Sequence[int] = (), eases: Sequence[str] = ()
) -> list[float]:
    """t of each frame. With holds or easing every key falls on a frame; without, frames lie at even steps of the arc.

    spans  ways between keys: as many as keys in a loop, one less otherwise
    holds  frames for which each key is held beside the one that arrives; () = none
    eases  of the way from each key to the next; () = linear
    Raises  BadRequest where the frames are too few
    """
    if not any(holds) and all(ease == "linear" for ease in eases):
        even = even_times(frames, loop)
        return even if arc is STRAIGHT else [arc.time(length) for length in even]
    moving = frames - sum(holds) - (0 if loop else 1)
    if moving < spans:
        raise BadRequest(
            f"{frames} frames are too few for {sum(holds)} held frames and one on each way; give at least "
            f"{frames - moving + spans}."
        )
    lengths = [arc.length(key / spans) for key in range(spans + 1)]
    arrivals = _whole_steps([moving * length for length in lengths])
    times: list[float] = []
    for span in range(spans):
        times += [span / spans] * (holds[span] if holds else 0)
        count = arrivals[span + 1] - arrivals[span]
        for number in range(count):
            u = eased(eases[span] if eases else "linear", number / count)
            way = lengths[span] + u * (lengths[span + 1] - lengths[span])
            times.append(arc.time(way) if number else span / spans)
    return times if loop else times + [1.0] * (1 + (holds[-1] if holds else 0))


def _whole_steps(positions: Sequence[float]) -> list[int]:
    """Rising positions rounded so that each is at least one above the one before; the last one is whole and stays."""
    last, count = round(positions[-1]), len(positions)
    rounded: list[int] = []
    for number, position in enumerate(positions):
        least = rounded[-1] + 1 if rounded else 0
        rounded.append(min(max(round(position), least), last - (count - 1 - number)))
    return rounded


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
