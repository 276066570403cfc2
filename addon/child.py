# SPDX-License-Identifier: GPL-3.0-or-later
"""The backend as a child process: how it is found, started, watched and ended without ever waiting for it. No bpy.

The pipe on the child's stdin is its life line: the backend ends when it closes, so not even a killed Blender leaves an
orphan. It is ended in steps, each given a little time: the pipe closes, then terminate, then kill.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .windows_job import Job

# Blender's own Python settings would make another interpreter load Blender's modules.
SCRUBBED = ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONUSERBASE", "PYTHONEXECUTABLE")
CLOSED_LIMIT_S = 6.0
TERMINATED_LIMIT_S = 3.0
RUN_MAIN = "latent_loom.backend.cli.main"
MARK = "latent-loom.json"
"""The file that setting up leaves in a finished environment (`setup`)."""


def environment(inherited: Mapping[str, str]) -> dict[str, str]:
    """The child's environment: ours without what makes its Python look into Blender; output is UTF-8 and unbuffered."""
    kept = {name: value for name, value in inherited.items() if name.upper() not in SCRUBBED}
    return kept | {"PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}


def split_command(line: str, *, windows: bool = os.name == "nt") -> list[str]:
    """The words of a command as a user writes it; a lone path may hold spaces and needs no quotes."""
    line = line.strip()
    if not line:
        return []
    if Path(line.strip('"')).is_file():
        return [line.strip('"')]
    words = shlex.split(line, posix=not windows)
    return [word.strip('"') for word in words] if windows else words


def is_python(program: str) -> bool:
    """Whether `program` is an interpreter (`python3.11`, `...\\python.exe`), not the `latent-loom` command."""
    return program.replace("\\", "/").rpartition("/")[2].lower().startswith("python")


def venv_python(folder: Path, *, windows: bool = os.name == "nt") -> Path:
    """The interpreter inside the virtual environment in `folder`."""
    return folder / ("Scripts/python.exe" if windows else "bin/python")


def find_backend(
    preference: str, own_venv: Path, *, which: Callable[[str], str | None] = shutil.which
) -> list[str] | None:
    """The words that run `latent-loom`: the user's command, else our own virtual environment, else the search path.

    A Python interpreter is taken as "the one that has latent-loom installed". An environment whose setting up never
    came to its end is none. None where there is no backend.
    """
    words = split_command(preference)
    if words:
        return [*words, "-m", RUN_MAIN] if len(words) == 1 and is_python(words[0]) else words
    own = venv_python(own_venv)
    if own.is_file() and (own_venv / MARK).is_file():
        return [str(own), "-m", RUN_MAIN]
    found = which("latent-loom")
    return [found] if found else None


@dataclass(frozen=True, kw_only=True)
class Launch:
    """How a backend is started.

    command          words that run `latent-loom`
    connection_file  where it writes its address and token
    log              file that takes its output
    options          more words for `serve`
    """

    command: Sequence[str]
    connection_file: Path
    log: Path
    options: Sequence[str] = ()

    @property
    def argv(self) -> list[str]:
        serve = ["serve", "--connection-file", str(self.connection_file), "--parent-stdin"]
        return [*self.command, *serve, *self.options]


def no_window(platform: str = sys.platform) -> int:
    """Flags of `Popen` for a program of the console: on Windows no black window comes up for it."""
    return getattr(subprocess, "CREATE_NO_WINDOW", 0x08000000) if platform == "win32" else 0


def tie_to_us(process: Any, platform: str = sys.platform, make_job: Callable[[], Any] = Job) -> Any:
    """On Windows, have `process` end when this one does, even one that hangs; the pipe's end is enough elsewhere.

    Returns what holds the two together; None where Windows refuses: the pipe is there still.
    """
    if platform != "win32":
        return None
    try:
        job = make_job()
    except OSError:
        return None
    if not job.add(int(process._handle)):
        job.close()
        return None
    return job


class Child:
    """One started process. Nothing here waits but `end`, which is for Blender's own exit."""

    def __init__(self, argv: Sequence[str], log: Path, *, folder: Path | None = None) -> None:
        """Start `argv`; both its output streams go to `log`. Raises OSError where the program cannot be run."""
        log.parent.mkdir(parents=True, exist_ok=True)
        self.log = log
        self._stop_began: float | None = None
        # Never from the extension's folder: on Windows a process's folder is locked and would block an upgrade.
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                list(argv),
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment(os.environ),
                cwd=folder or log.parent,
                creationflags=no_window(),
            )
        self._job = tie_to_us(self._process)

    @property
    def pid(self) -> int:
        return self._process.pid

    def exit_code(self) -> int | None:
        """None while it runs."""
        code = self._process.poll()
        if code is not None:
            self._close_pipe()
        return code

    def begin_stop(self, now: float) -> None:
        """Ask it to end by closing the pipe it watches; `press` goes on from there."""
        if self._stop_began is None:
            self._stop_began = now
            self._close_pipe()

    def press(self, now: float) -> bool:
        """Be firmer with a child that was asked to end, as time goes by. True once it is gone."""
        if self.exit_code() is not None:
            return True
        if self._stop_began is None:
            return False
        waited_s = now - self._stop_began
        if waited_s > CLOSED_LIMIT_S + TERMINATED_LIMIT_S:
            self._process.kill()
        elif waited_s > CLOSED_LIMIT_S:
            self._process.terminate()
        return False

    def end(self, limit_s: float = 3.0) -> None:
        """End it now, waiting at most about `limit_s`: for Blender's exit and for unregistering."""
        self._close_pipe()
        for firmer in (self._process.terminate, self._process.kill):
            try:
                self._process.wait(limit_s / 2)
                break
            except subprocess.TimeoutExpired:
                firmer()
        self._process.wait()

    def last_line(self) -> str:
        """The last line of its log that says something: what an error message quotes."""
        lines = tail(self.log, 20)
        return lines[-1] if lines else ""

    def _close_pipe(self) -> None:
        if self._process.stdin and not self._process.stdin.closed:
            with contextlib.suppress(OSError):  # it is gone already
                self._process.stdin.close()


def tail(log: Path, count: int) -> list[str]:
    """The last `count` lines of `log` that are not blank; none where it cannot be read."""
    try:
        text = log.read_bytes()[-20_000:].decode("utf-8", "replace")
    except OSError:
        return []
    return [line.strip() for line in text.splitlines() if line.strip()][-count:]
