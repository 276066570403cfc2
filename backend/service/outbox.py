"""What the workers want sent, handed to the I/O thread without either waiting for the other.

Only the newest progress of a ticket is kept, so that a worker faster than the wire does not fill memory.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from dataclasses import replace

from ..errors import LoomError
from ..job import Progress
from .handlers import Answer
from .jobs import Ticket


class Wakeup:
    """Wakes a poll loop from any thread or signal handler: one byte over a socket pair (files cannot be polled on
    Windows, so neither an eventfd nor a pipe would do everywhere)."""

    def __init__(self) -> None:
        self.reader, self.writer = socket.socketpair()
        self.reader.setblocking(False)
        self.writer.setblocking(False)

    def ring(self) -> None:
        with contextlib.suppress(BlockingIOError, OSError):  # full: the loop is woken anyway; closed: there is no loop
            self.writer.send(b"\0")

    def clear(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while len(self.reader.recv(4096)) == 4096:
                pass

    def close(self) -> None:
        self.reader.close()
        self.writer.close()


class Outbox:
    """Filled by workers, drained by the I/O thread that `wakeup` wakes."""

    def __init__(self, wakeup: Wakeup) -> None:
        self._wakeup = wakeup
        self._lock = threading.Lock()
        self._progress: dict[Ticket, Progress] = {}
        self._final: list[tuple[Ticket, Answer | LoomError]] = []

    def report(self, ticket: Ticket, progress: Progress) -> None:
        ticket.progress = progress
        with self._lock:
            older = self._progress.get(ticket)
            if progress.preview is None and older is not None and older.preview is not None:
                progress = replace(progress, preview=older.preview)  # it has not left yet; the newer numbers go with it
            self._progress[ticket] = progress
        self._wakeup.ring()

    def finish(self, ticket: Ticket, answer: Answer | LoomError) -> None:
        with self._lock:
            self._progress.pop(ticket, None)
            self._final.append((ticket, answer))
        self._wakeup.ring()

    def drain(self) -> tuple[dict[Ticket, Progress], list[tuple[Ticket, Answer | LoomError]]]:
        """Everything since the last call: the newest progress of each ticket, and the final answers in order."""
        with self._lock:
            progress, final = self._progress, self._final
            self._progress, self._final = {}, []
        return progress, final
