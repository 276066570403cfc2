# SPDX-License-Identifier: GPL-3.0-or-later
"""The sets that were exported from here, remembered in a file: one that runs on is found after a restart. No bpy.

The backend runs a detached batch as a process of its own and keeps `batch.json` in its folder; what that says is told
by `batch_status`, or read from here while no backend is connected.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .job import duration

FILE, JOBS = "batch.json", "batch.jobs.jsonl"
MOST = 20
ENDS = {
    "finished": "Finished",
    "cancelled": "Stopped",
    "failed": "Failed",
    "killed": "Broke off",
    "gone": "The folder is gone",
}


@dataclass(kw_only=True)
class Batch:
    """out    folder
    file   the batch file it is made from; "" = the folder's own list of jobs
    state  as `batch_status` answers; `asked_s` when it was last asked for
    """

    out: str
    file: str = ""
    state: dict[str, Any] = field(default_factory=dict)
    asked_s: float = float("-inf")

    @property
    def name(self) -> str:
        return Path(self.out).name or self.out

    @property
    def running(self) -> bool:
        return self.state.get("state") == "running"

    @property
    def finished(self) -> bool:
        return self.state.get("state") == "finished"

    @property
    def resumable(self) -> bool:
        return self.state.get("state") in ("cancelled", "failed", "killed")

    @property
    def fraction(self) -> float:
        done, total = self.state.get("done", 0), self.state.get("total", 0)
        return min(1.0, done / total) if isinstance(total, int) and total > 0 else 0.0

    def line(self) -> str:
        """`34 of 160 · 12 min left`."""
        state, done, total = (self.state.get(key) for key in ("state", "done", "total"))
        count = f"{done} of {total}" if total else ""
        if state == "running":
            left = self.state.get("left_s")
            rest = f"{duration(left)} left" if isinstance(left, int | float) and left > 0 else ""
            return " · ".join(word for word in (count or "Beginning", rest) if word)
        words = ENDS.get(str(state), "Not known yet")
        failed = self.state.get("failed")
        told = str(self.state.get("message", "")) if state in ("failed", "cancelled") else ""
        parts = [f"{words}: {count}" if count else words, f"{failed} failed" if failed else "", told[:80]]
        return " · ".join(part for part in parts if part)


class Batches:
    """The list, newest first, as the file `path` keeps it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.all: list[Batch] = []
        try:
            entries = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError):
            entries = []
        for entry in entries if isinstance(entries, list) else ():
            if isinstance(entry, Mapping) and isinstance(entry.get("out"), str):
                self.all.append(Batch(out=entry["out"], file=str(entry.get("file", ""))))

    def find(self, out: str) -> Batch | None:
        return next((batch for batch in self.all if batch.out == out), None)

    def add(self, out: str, *, file: str = "", state: Mapping[str, Any] | None = None) -> Batch:
        """Remember the batch in `out`, at the head. Raises OSError where that cannot be written."""
        batch = Batch(out=out, file=file, state=dict(state or {}))
        self.all = [batch, *(one for one in self.all if one.out != out)][:MOST]
        self._write()
        return batch

    def forget(self, out: str) -> None:
        self.all = [one for one in self.all if one.out != out]
        self._write()

    def look(self) -> None:
        """Read the state of each from its folder. Whether one that says `running` does, only the backend can tell."""
        for batch in self.all:
            batch.state = read_state(Path(batch.out)) or {"state": "gone"}

    def note(self, out: str, state: Mapping[str, Any]) -> bool:
        """Take in what the backend says of the batch in `out`; True where it has come to its end meanwhile."""
        batch = self.find(out)
        if batch is None:
            return False
        was_running, batch.state = batch.running, dict(state)
        return was_running and batch.finished

    def next_to_ask(self, now: float, every_s: float) -> Batch | None:
        """The one whose state is oldest, if it may have changed and was not asked for lately."""
        asked = [b for b in self.all if (b.running or b.asked_s < 0) and now - b.asked_s >= every_s]
        return min(asked, key=lambda batch: batch.asked_s, default=None)

    def _write(self) -> None:
        entries = [{key: value for key, value in asdict(one).items() if key in ("out", "file")} for one in self.all]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_suffix(".part")
        temporary.write_text(json.dumps(entries, ensure_ascii=False, indent=1), "utf-8")
        temporary.replace(self.path)


def read_state(folder: Path) -> dict[str, Any] | None:
    """What the batch in `folder` last wrote of itself."""
    try:
        state = json.loads((folder / FILE).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return state if isinstance(state, dict) and isinstance(state.get("state"), str) else None


def source_of(batch: Batch) -> Path:
    """The file that the batch can be taken up again from."""
    return Path(batch.file) if batch.file else Path(batch.out) / JOBS
