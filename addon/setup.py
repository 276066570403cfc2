# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets up the backend in a virtual environment of its own: a few processes one after another, watched without waiting.

Nothing is installed into Blender. What is there already is used again, so a broken download is mended by going on. No
bpy in here.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .child import RUN_MAIN, environment, tail, venv_python

RUNNING, FINISHED, FAILED, CANCELLED = "RUNNING", "FINISHED", "FAILED", "CANCELLED"
LINE_LENGTH = 60


@dataclass(frozen=True, kw_only=True)
class Step:
    """title  what the panel says meanwhile
    argv   the process
    """

    title: str
    argv: Sequence[str]


def steps(base_python: Path, folder: Path, wheel: Path) -> list[Step]:
    """What brings the backend in `wheel` into an environment in `folder`, made with `base_python`."""
    python = str(venv_python(folder))
    make = Step(title="Making its folder", argv=[str(base_python), "-m", "venv", str(folder)])
    pip = [python, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--upgrade"]
    return [
        *([] if Path(python).is_file() else [make]),
        Step(title="Installing", argv=[*pip, str(wheel)]),
        Step(title="Trying it", argv=[python, "-m", RUN_MAIN, "--version"]),
    ]


class Installation:
    """The run of all steps. `state` and `line()` are what the panel draws; `poll` moves it on."""

    def __init__(self, todo: Sequence[Step], log: Path) -> None:
        self.state = RUNNING
        self.log = log
        self._todo = list(todo)
        self._count = len(self._todo)
        self._process: subprocess.Popen | None = None
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_bytes(b"")
        self._next()

    @property
    def running(self) -> bool:
        """Whether a process is still there, be it one that was told to stop."""
        return self.state == RUNNING or self._process is not None

    @property
    def fraction(self) -> float:
        return (self._count - len(self._todo)) / self._count

    def line(self) -> str:
        """`Installing: Downloading torch-2.9 (900 MB)`."""
        title = self._todo[0].title if self._todo else "Done"
        last = tail(self.log, 1)
        return f"{title}: {last[0][:LINE_LENGTH]}" if last and self.state == RUNNING else title

    def poll(self) -> None:
        """See whether the step that runs has ended, and go on."""
        if self._process is None or (code := self._process.poll()) is None:
            return
        self._process = None
        if self.state == CANCELLED:
            return
        if code:
            self.state = FAILED
            return
        self._todo.pop(0)
        self._next()

    def cancel(self) -> None:
        """Stop; what was downloaded so far is found again the next time."""
        if self.state == RUNNING:
            self.state = CANCELLED
        if self._process is not None:
            self._process.terminate()

    def end(self, limit_s: float = 2.0) -> None:
        """Stop it now, for Blender's exit; waits at most `limit_s`."""
        self.cancel()
        if self._process is not None:
            try:
                self._process.wait(limit_s)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def problem(self) -> str:
        """One sentence for a run that failed."""
        reason = next((line for line in reversed(tail(self.log, 40)) if "error" in line.lower()), "")
        return f"Setting up the backend failed while {self._todo[0].title.lower()}. {reason}".strip()

    def _next(self) -> None:
        if not self._todo:
            self.state = FINISHED
            return
        with self.log.open("ab") as output:
            try:
                self._process = subprocess.Popen(
                    list(self._todo[0].argv),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=environment(os.environ),
                    cwd=self.log.parent,
                    creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0) if sys.platform == "win32" else 0,
                )
            except OSError as error:
                output.write(f"error: {error}\n".encode())
                self.state = FAILED
