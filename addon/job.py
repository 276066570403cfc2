# SPDX-License-Identifier: GPL-3.0-or-later
"""A job of the backend as the add-on remembers it: what the panels draw and what an operator waits for. No bpy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .troubles import Trouble

STAGES = {
    "adapt": "Training",
    "generate": "Texture",
    "walk": "Frame",
    "search": "Searching",
    "material": "Likeness",
    "arrangement": "Arrangement",
    "generator": "Training",
    "measure": "Trying",
}
"""The backend's words for what it is at, in an artist's; short, since numbers and a time stand behind them."""
RUNNING, FINISHED, FAILED, CANCELLED = "RUNNING", "FINISHED", "FAILED", "CANCELLED"


@dataclass(kw_only=True, eq=False)
class Job:
    """One request and everything heard about it so far.

    on_end    called once, on the main thread, when it finished, failed or was cancelled
    detached  another file was loaded meanwhile: results go to disk only, never into a data-block
    part      of the panels that asked for it and shows how it goes; "" = the one that is called after its type
    slot      of a slider: only the newest request in it counts
    quiet     our own doing, that no panel shows: live textures, thumbnails; its failure is told only if who asked does
    asked, settings, scene  what the history will note: params as sent, the panels' settings then, whose they are
    preview   the newest uint8 [H, W, 3] picture, top row first; `preview_count` grows with each
    """

    id: int
    type: str
    title: str
    on_end: Callable[[Job], None] | None = None
    part: str = ""
    slot: str | None = None
    quiet: bool = False
    state: str = RUNNING
    done: int = 0
    total: int = 0
    stage: str = ""
    eta_s: float | None = None
    numbers: Mapping[str, float] = field(default_factory=dict)
    preview: np.ndarray | None = None
    preview_count: int = 0
    value: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    trouble: Trouble | None = None
    cancelling: bool = False
    detached: bool = False
    asked: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    scene: tuple[str, int] | None = None

    @property
    def running(self) -> bool:
        return self.state == RUNNING

    @property
    def fraction(self) -> float:
        """How far it is, 0 to 1; 0 while nothing is known."""
        return min(1.0, self.done / self.total) if self.total > 0 else 0.0

    def line(self) -> str:
        """What the progress bar says: `Training 40/150 · 12 s left`."""
        if self.cancelling:
            return "Cancelling…"
        words = STAGES.get(self.stage, self.stage.capitalize()) or self.title
        if self.total > 0:
            words += f" {self.done}/{self.total}"
        if self.eta_s is not None and self.total > 0:
            words += f" · {duration(self.eta_s)} left"
        return words


def duration(seconds: float) -> str:
    """`8 s`, `3 min 20 s`, `1 h 5 min`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"
