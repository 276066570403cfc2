"""Work in a process of its own, which outlives whoever asked for it; `batch_state` finds it again.

`detach` does so with a batch, `service/apart.py` with an adaptation.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import CannotWrite, LoomError
from .batch_state import FILE, is_running, read_state
from .files import open_folder, write_atomic

if TYPE_CHECKING:
    from ..models.store import Store

LOG, JOBS = "batch.log", "batch.jobs.jsonl"
BEGINS_WITHIN_S = 120.0
"""A first start imports PyTorch, on a slow disk for a minute."""


_started: list[subprocess.Popen[bytes]] = []
"""Kept, so that the system's record of an ended one is collected by the next."""


class Asked(Protocol):
    out: Path
    file: Path | None
    jobs: dict | None
    resume: bool
    verify: bool
    cluster: str | None


def detach(store: Store, asked: Asked) -> dict[str, Any]:
    """Start the batch, with as many threads as this process has, and wait until it runs; returns its state.

    Raises  what it said where it did not begin
    """
    import torch

    folder = open_folder(asked.out)
    if is_running(folder):
        raise CannotWrite(f"A batch is running in {str(folder)!r} already; wait for it, or cancel it (batch --cancel).")
    file = asked.file or _write_jobs(folder, asked.jobs or {})
    command = [sys.executable, "-m", "latent_loom.backend.cli.main", "batch", str(file), "--out", str(folder)]
    command += ["--overwrite"]  # what the request means; whoever sent it was asked
    command += ["--data", str(store.root.absolute()), "--threads", str(torch.get_num_threads())]
    command += [f"--{name}" for name in ("resume", "verify") if getattr(asked, name)]
    command += ["--cluster", asked.cluster] if asked.cluster else []
    begin(command, folder)
    return read_state(folder)


def begin(command: list[str], folder: Path, said: bytes = b"", has_begun: Callable[[], bool] = lambda: True) -> None:
    """Start `command`, which keeps its state in `folder`, and wait until that is there and `has_begun`.

    said    what it reads from its standard input
    Raises  LoomError, with what it said last, where it ended before
    """
    (folder / FILE).unlink(missing_ok=True)
    log = folder / LOG
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT, **_apart()
        )  # fmt: skip
    _started[:] = [one for one in _started if one.poll() is None] + [process]
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError), process.stdin:
        process.stdin.write(said)
    until = time.monotonic() + BEGINS_WITHIN_S
    while time.monotonic() < until:
        if (folder / FILE).exists() and has_begun():
            return
        if process.poll() is not None:
            lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            raise LoomError(lines[-1] if lines else f"It ended before it began; see {log}.")
        time.sleep(0.05)
    if not (folder / FILE).exists():
        raise LoomError(f"It has not begun after {BEGINS_WITHIN_S:.0f} s; see {log}.")


def _apart() -> dict[str, Any]:
    """No terminal, no window, no group that a signal to the parent would reach."""
    if sys.platform == "win32":
        # Out of the Job Object in which the add-on holds the backend, or closing Blender would end the batch too.
        flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW | subprocess.CREATE_BREAKAWAY_FROM_JOB
        return {"creationflags": flags}
    return {"start_new_session": True}


def _write_jobs(folder: Path, jobs: dict[str, Any]) -> Path:
    lines: list[dict[str, Any]] = [{"defaults": jobs["defaults"]}] if jobs.get("defaults") else []
    lines += [{"adapt": entry} for entry in jobs.get("adapt", [])]
    lines += jobs.get("items", [])
    path = folder / JOBS
    write_atomic(path, "".join(f"{json.dumps(line)}\n" for line in lines).encode())
    return path
