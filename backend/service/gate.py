"""How many connections there are, and for how long one may say nothing: what the ROUTER itself does not bound.

libzmq takes every connection, and one that stays silent after its handshake is a socket for ever. Its monitor tells
which file descriptors were accepted and which have gone; each message tells by which one it came. So the loop also
hears at once of clients that have left, of which a ROUTER says nothing before it sends to them. A connection over
`limits.MAX_CONNECTIONS`, or without a hello for `limits.HELLO_WITHIN_S`, is shut down; libzmq then sees its end and
cleans up. (Handshakes that do not finish are libzmq's own business: HANDSHAKE_IVL; what is sent in one, the porch's.)
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket

import zmq
from zmq.utils.monitor import parse_monitor_message

from ...protocol import limits
from .journal import about
from .porch import Porch

log = logging.getLogger(__name__)

EVENTS_A_TURN = 512
LOG_EVERY_S = 1.0
FILES_WANTED = 4096
"""Connections, model files, and what PyTorch opens. Some systems give a process 256 unless it asks for more."""


class Gate:
    """Make one before the ROUTER binds. The I/O thread alone uses it; the time is passed in."""

    def __init__(
        self,
        router: zmq.Socket,
        porch: Porch | None = None,
        *,
        most: int = limits.MAX_CONNECTIONS,
        hello_within_s: float = limits.HELLO_WITHIN_S,
    ) -> None:
        self._porch = porch or Porch()
        self._router, self._most, self._hello_within_s = router, most, hello_within_s
        self._silent: dict[int, float] = {}  # file descriptor -> when it was accepted
        self._greeted: dict[int, bytes] = {}  # file descriptor -> whose connection it is
        self._newest: dict[bytes, int] = {}  # the other way round; a client that comes back has a new one
        self._left: list[bytes] = []
        self._port = 0
        self._told_s = -LOG_EVERY_S
        self.closed = 0
        self.monitor = router.get_monitor_socket(zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED)
        self.monitor.linger = 0

    @property
    def shut_out(self) -> int:
        """Connections that were ended from here."""
        return self.closed + self._porch.shut_out

    def __len__(self) -> int:
        return len(self._silent) + len(self._greeted)

    def look(self, now: float, news: bool = True) -> None:
        """Take note of who came and went, and close what is over the limits. news: `monitor` can be read."""
        if news:
            self._take_note(now)
        late = [fd for fd, since in self._silent.items() if now - since > self._hello_within_s]
        for fd in late:
            self.shut(fd, now, f"it said no hello in {self._hello_within_s:g} s")

    def left(self) -> list[bytes]:
        """The clients whose connection has ended since the last call, and who have no other by now."""
        left, self._left = self._left, []
        return [peer for peer in left if peer not in self._newest]

    def _take_note(self, now: float) -> None:
        for _ in range(EVENTS_A_TURN):
            try:
                seen = parse_monitor_message(self.monitor.recv_multipart(zmq.NOBLOCK))
            except zmq.Again:
                break
            fd = seen["value"]
            self._silent.pop(fd, None)
            self._porch.left(fd)
            peer = self._greeted.pop(fd, None)
            if peer is not None and self._newest.get(peer) == fd:
                del self._newest[peer]
                self._left.append(peer)
            if seen["event"] == zmq.EVENT_ACCEPTED:
                self._silent[fd] = now
                self._porch.arrived(fd)
                if len(self) > self._most:
                    self.shut(fd, now, f"there are {self._most} already")

    def heard(self, fd: int, peer: bytes, greeted: bool, now: float) -> None:
        """A message of `peer` came by this connection; it is greeted by now, or not."""
        if fd not in self._silent and self._greeted.get(fd) != peer:
            self._take_note(now)  # that it was accepted was told before its first message, and not read yet
        self._porch.left(fd)  # it passed the handshake
        if not greeted:
            return
        self._silent.pop(fd, None)
        self._greeted[fd] = peer
        self._newest[peer] = fd

    def shut(self, fd: int, now: float, reason: str) -> None:
        """End a connection, if the number is still that of one of ours: it may have ended, and be used anew."""
        self._silent.pop(fd, None)
        self.closed += 1
        if now - self._told_s >= LOG_EVERY_S:
            self._told_s = now
            log.warning("closed a connection: %s (%d so far)", reason, self.closed,
                        extra=about("closed", reason=reason, count=self.closed))  # fmt: skip
        self._port = self._port or int(self._router.getsockopt_string(zmq.LAST_ENDPOINT).rpartition(":")[2])
        with contextlib.suppress(OSError):
            ours = socket.socket(fileno=os.dup(fd))
            with ours:
                name = ours.getsockname()  # a text, where it is a socket of another family
                if isinstance(name, tuple) and name[1] == self._port and ours.getpeername():
                    ours.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._porch.close()
        with contextlib.suppress(zmq.ZMQError):
            self._router.disable_monitor()
        self.monitor.close()


def ask_for_files() -> None:
    """Let this process have more files open, where the system allows it."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES_WANTED if hard == resource.RLIM_INFINITY else min(FILES_WANTED, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
