"""A job as the code that does the work sees it: somewhere to report progress, and a way to be told to stop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from .errors import Cancelled


@dataclass(frozen=True, kw_only=True)
class Progress:
    """One report. `preview` is uint8 [H, W, 3], top row first; `numbers` are named floats (loss, direction, ...)."""

    done: int
    total: int
    stage: str = ""
    numbers: dict[str, float] = field(default_factory=dict)
    preview: np.ndarray | None = None


class Job:
    """Hands reports on to whoever watches (a progress bar, a socket) and asks them whether to stop.

    report     called with each `Progress`; must not block
    cancelled  asked between steps; True ends the job with `Cancelled`
    """

    def __init__(
        self,
        report: Callable[[Progress], None] = lambda progress: None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> None:
        self.report = report
        self.cancelled = cancelled

    def check(self) -> None:
        """Raise `Cancelled` if the job was told to stop."""
        if self.cancelled():
            raise Cancelled("Cancelled; everything finished so far is kept.")
