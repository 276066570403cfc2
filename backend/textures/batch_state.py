"""Where a batch stands, for whoever looks later or from elsewhere: `batch.json` in its folder.

A batch that runs holds a lock on `.batch.lock`; the system gives it back however the process ends, so a batch that
was killed is told from one that runs without asking for process numbers, which may mean another process by now. Whoever
makes the file `batch.cancel` in the folder asks the batch to stop after this texture.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from ..errors import AlreadyExists, CannotWrite, NotFound
from .files import write_atomic

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

FILE, LOCK, CANCEL = "batch.json", ".batch.lock", "batch.cancel"
VERSION = 1
EVERY_S = 0.5
"""Between two states; the first and the last are written at once."""


class BatchState:
    """Keeps `batch.json`: {state, done, total, written, skipped, failed, per_minute, left_s, message}.

    state  running | finished | cancelled | failed; readers see `killed` where it says running and nobody does
    """

    def __init__(self, folder: Path, total: int) -> None:
        self.folder = folder
        self.known: dict[str, Any] = {"version": VERSION, "state": "running", "done": 0, "total": total}
        self._written_s = -EVERY_S
        (folder / CANCEL).unlink(missing_ok=True)
        self.update()

    def update(self, **known: Any) -> None:
        self.known |= known
        if time.monotonic() - self._written_s >= EVERY_S:
            self._write()

    def end(self, state: str, message: str = "") -> None:
        """Suppressed where the disk refuses: what ended the batch is what the user must hear."""
        self.known |= {"state": state, "left_s": 0} | ({"message": message} if message else {})
        with contextlib.suppress(CannotWrite):
            self._write()
        with contextlib.suppress(OSError):
            (self.folder / CANCEL).unlink(missing_ok=True)

    def cancelled(self) -> bool:
        return (self.folder / CANCEL).exists()

    def _write(self) -> None:
        write_atomic(self.folder / FILE, json.dumps(self.known).encode())
        self._written_s = time.monotonic()


def read_state(folder: Path) -> dict[str, Any]:
    """What `batch.json` says, with `killed` for a batch that did not end itself. Raises NotFound."""
    try:
        known = json.loads((folder / FILE).read_text(encoding="utf-8"))
        if known["version"] != VERSION:
            raise NotFound(f"The batch in {str(folder)!r} was run by another version of Latent Loom; use that one.")
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise NotFound(f"There is no batch in {str(folder)!r}; name the output folder of one.") from error
    if known["state"] == "running" and not is_running(folder):
        known["state"] = "killed"
    return known


def ask_to_cancel(folder: Path) -> dict[str, Any]:
    """Ask the batch in `folder` to stop; returns its state. Raises NotFound, CannotWrite."""
    known = read_state(folder)
    if known["state"] == "running":
        write_atomic(folder / CANCEL, b"")
    return known


@contextlib.contextmanager
def only_batch_in(folder: Path) -> Iterator[None]:
    """Holds the folder's lock. Raises AlreadyExists where another batch has it."""
    try:
        file = (folder / LOCK).open("ab")
    except OSError as error:
        raise CannotWrite(f"Cannot write to {str(folder)!r} ({error.strerror}); choose another folder.") from error
    with file:
        if not take_lock(file):
            raise AlreadyExists(
                f"A batch is running in {str(folder)!r} already; wait for it (batch --status), cancel it (batch "
                "--cancel) or choose another folder."
            )
        yield


def is_running(folder: Path) -> bool:
    try:
        with (folder / LOCK).open("ab") as file:
            return not take_lock(file)
    except OSError:
        return False


def take_lock(file: IO[bytes]) -> bool:
    """Take the lock until the file is closed; False where another process (or another open file) has it."""
    try:
        if sys.platform == "win32":
            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
