"""How long a job will still take, from its own reports."""

from __future__ import annotations

from ..job import Progress


class Eta:
    """Seconds left, by the pace since the current stage's first report; the clock is passed in.

    left_s  what `update` said last
    """

    def __init__(self) -> None:
        self._stage: str | None = None
        self._begin = (0.0, 0)
        self.left_s: float | None = None

    def update(self, progress: Progress, now_s: float) -> float | None:
        """Seconds that are left after `progress`, or None where no pace or no total is known yet."""
        self.left_s = self._left(progress, now_s)
        return self.left_s

    def _left(self, progress: Progress, now_s: float) -> float | None:
        if progress.stage != self._stage or progress.done < self._begin[1]:
            self._stage = progress.stage
            self._begin = (now_s, progress.done)
            return None
        began_s, began_at = self._begin
        steps, seconds = progress.done - began_at, now_s - began_s
        if steps <= 0 or seconds <= 0 or not progress.total:
            return None
        return max(0.0, (progress.total - progress.done) * seconds / steps)
