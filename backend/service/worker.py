"""A thread that runs one request at a time, and the one place where exceptions become answers."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable

from ..errors import LoomError, OutOfMemory, as_loom_error
from ..job import Job, Progress
from .handlers import Answer
from .jobs import Ticket
from .journal import about
from .outbox import Outbox

log = logging.getLogger(__name__)


class Worker(threading.Thread):
    """Runs what it is given with `handle`, and puts every answer into `outbox`.

    unload_after_s  without work, models that nobody has used for so long are let go; 0 = never

    A daemon thread: a job that does not react to its cancel cannot keep the process from ending.
    """

    def __init__(
        self, name: str, handle: Callable[[Ticket, Job], Answer], outbox: Outbox, *, unload_after_s: float = 0.0
    ) -> None:
        super().__init__(name=name, daemon=True)
        self._handle = handle
        self._outbox = outbox
        self._unload_after_s = unload_after_s
        self._inbox: queue.SimpleQueue[Ticket | None] = queue.SimpleQueue()

    def give(self, ticket: Ticket) -> None:
        self._inbox.put(ticket)

    def end(self) -> None:
        """Let the thread end after what it has."""
        self._inbox.put(None)

    def run(self) -> None:
        while (ticket := self._next()) is not None:
            ticket.began_s = time.monotonic()
            answer = self._answer(ticket)
            self._tell(ticket, answer)
            self._outbox.finish(ticket, answer)
            del ticket, answer  # which may hold pictures, and the next one may be hours away

    def _tell(self, ticket: Ticket, answer: Answer | LoomError) -> None:
        outcome = answer.code if isinstance(answer, LoomError) else "done"
        began_s = ticket.began_s if ticket.began_s is not None else ticket.put_s
        waited_s, seconds = began_s - ticket.put_s, time.monotonic() - began_s
        fields = {"client": ticket.peer.hex()[:8], "user": ticket.user, "id": ticket.id, "type": ticket.type}
        fields |= {"outcome": outcome, "waited_s": round(waited_s, 3), "seconds": round(seconds, 3)}
        log.info(
            "job type=%s id=%d outcome=%s seconds=%.2f", ticket.type, ticket.id, outcome, seconds,
            extra=about("job_ended", **fields),
        )  # fmt: skip

    def _next(self) -> Ticket | None:
        """The next ticket; None at the end."""
        while True:
            try:
                return self._inbox.get(timeout=self._unload_after_s / 2 if self._unload_after_s else None)
            except queue.Empty:
                self._unload(self._unload_after_s)

    def _unload(self, unused_for_s: float) -> None:
        """Boundary: whatever is wrong with it, this thread must go on."""
        from ..models.memory import MIB, MODELS

        try:
            freed = MODELS.free(unused_for_s)
        except Exception:
            log.exception("models could not be let go")
            return
        if freed:
            log.info("models let go: %d MiB", freed / MIB)

    def _answer(self, ticket: Ticket) -> Answer | LoomError:
        def report(progress: Progress) -> None:
            self._outbox.report(ticket, progress)

        try:
            return self._handle(ticket, Job(report, ticket.stop.is_set))
        except Exception as error:  # the documented boundary: a handler that raises must not end the service
            known = as_loom_error(error)
            if isinstance(known, OutOfMemory):
                error.__traceback__ = None  # its frames hold the tensors that were too many
                self._unload(0.0)
            if known is not None:
                return known
            log.exception("job type=%s id=%d failed", ticket.type, ticket.id)
            return LoomError(
                f"The backend failed at this ({type(error).__name__}: {error}); please report it with the log."
            )
