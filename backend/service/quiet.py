"""For log lines that strangers can cause: one a second with a count, so that a flood of them fills no disk."""

from __future__ import annotations

EVERY_S = 1.0


class Seldom:
    """`tells(now)` is how often it was asked since it last told, once in `every_s` seconds, and 0 between."""

    def __init__(self, every_s: float = EVERY_S) -> None:
        self._every_s = every_s
        self._told_at = float("-inf")
        self._count = 0

    def tells(self, now: float) -> int:
        self._count += 1
        if now - self._told_at < self._every_s:
            return 0
        told, self._count, self._told_at = self._count, 0, now
        return told
