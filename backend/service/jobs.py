"""Which request runs next. The I/O thread alone uses it: no lock, no socket, no clock.

Slots, limits and answers are the protocol machine's business (`protocol/server_state.py`); this is only the order:
clients take turns, and each client is served first come, first served, so that a script which queues fifty jobs delays
another client by one.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..job import Progress
from .guests import OWNER


@dataclass(eq=False, kw_only=True)
class Ticket:
    """One request on its way: who asked (`peer`, the ROUTER's routing id), for what, and how far it has come.

    user      who asks, `guests.OWNER` or the name of a key
    stop      set by the I/O thread, asked by the work
    progress  the newest; set by the worker, read by `status`
    put_s     when it came, began_s when a worker took it (None: not yet), both of time.monotonic
    """

    peer: bytes
    id: int
    type: str
    params: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    stop: threading.Event = field(default_factory=threading.Event)
    progress: Progress | None = None
    user: str = OWNER
    put_s: float = field(default_factory=time.monotonic)
    began_s: float | None = None


class Line:
    """Tickets that wait for one worker, and the one that it has."""

    def __init__(self) -> None:
        self._waiting: dict[bytes, deque[Ticket]] = {}  # clients in the order in which their turns come
        self.running: Ticket | None = None

    def put(self, ticket: Ticket) -> None:
        self._waiting.setdefault(ticket.peer, deque()).append(ticket)

    def take(self) -> Ticket | None:
        """The next ticket, now `running`; None where nothing waits or the worker is not free."""
        if self.running is not None or not self._waiting:
            return None
        peer = next(iter(self._waiting))
        line = self._waiting.pop(peer)
        self.running = line.popleft()
        if line:
            self._waiting[peer] = line  # at the end: the other clients come first now
        return self.running

    def finished(self, ticket: Ticket) -> None:
        if self.running is ticket:
            self.running = None

    def withdraw(self, peer: bytes, request_id: int) -> bool:
        """Take a waiting ticket out. False: it does not wait here."""
        line = self._waiting.get(peer, deque())
        for ticket in line:
            if ticket.id == request_id:
                line.remove(ticket)
                if not line:
                    del self._waiting[peer]
                return True
        return False

    def stop(self, peer: bytes, request_id: int) -> bool:
        """Tell the running ticket to stop. False: another one runs."""
        running = self.running
        if running is None or (running.peer, running.id) != (peer, request_id):
            return False
        running.stop.set()
        return True

    def __len__(self) -> int:
        """How many wait."""
        return sum(map(len, self._waiting.values()))

    def __iter__(self):
        """The waiting tickets, client by client."""
        return (ticket for line in self._waiting.values() for ticket in line)
