"""Connections that have not said who they are: few, and with little to say.

The handshake keeps strangers from sending a message, but not from sending bytes: libzmq reads a frame of up to
ZMQ_MAXMSGSIZE before it looks at it, in the handshake too, and a raw socket that announces such a frame and streams it
made the process grow by its size (four of them: from 749 to 1,507 MiB in two seconds). libzmq has no limit of its own
for this. So every accepted connection stands on the porch until a first message of it has come through, which takes
the token or the key; until then its stream is braked (`trickle`), and whoever sends more than a handshake and a hello
need, or is one too many there, is shut out.
Memory that libzmq holds for it goes back with it. (Who says nothing for too long is the gate's business.)

A thread of its own, because the I/O thread may be busy for tens of milliseconds; it sleeps while nobody stands there.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import struct
import threading
import time

from . import trickle
from .journal import about
from .quiet import Seldom

log = logging.getLogger(__name__)

MOST_BYTES = 128 * 1024
"""Greeting and handshake are some 300 bytes, the largest hello 64 KiB; nobody sends more before a welcome."""

MOST_WAITING = 64
"""Connections at once that have not been heard yet. A client stands there for milliseconds; beyond, the oldest goes."""

WATCH_S = 0.003
"""How often those on the porch are looked at: a raw socket on loopback sends a MiB in one to two of these."""

_BYTES_RECEIVED = 128  # of struct tcp_info (linux/tcp.h): tcpi_bytes_received, 64 bits, since Linux 4.1


class Porch:
    """The gate tells it who came and who left; both are cheap, since they are called for every message.

    shut_out  counts the connections that were shut
    """

    def __init__(self) -> None:
        self._waiting: dict[int, None] = {}  # file descriptors, in the order in which they came
        self._lock = threading.Lock()
        self._somebody, self._ended = threading.Event(), False
        self._thread: threading.Thread | None = None
        self._seldom = Seldom()
        self.shut_out = 0

    def arrived(self, fd: int) -> None:
        """A connection was accepted."""
        trickle.slow(fd)
        with self._lock:
            self._waiting.pop(fd, None)
            self._waiting[fd] = None
            surplus = list(self._waiting)[:-MOST_WAITING]
        for oldest in surplus:
            self._shut(oldest, "too many at once")
        if self._thread is None:
            self._thread = threading.Thread(target=self._watch, name="porch", daemon=True)
            self._thread.start()
        self._somebody.set()

    def left(self, fd: int) -> None:
        """It has gone, or a message of it came through: it is no stranger's."""
        if fd in self._waiting:
            with self._lock:
                self._waiting.pop(fd, None)
            trickle.free(fd)

    def close(self) -> None:
        """End the thread; before the router closes."""
        self._ended = True
        self._somebody.set()
        if self._thread is not None:
            self._thread.join(5.0)

    def _watch(self) -> None:
        while True:
            self._somebody.wait()
            if self._ended:
                return
            self._somebody.clear()
            while self._waiting and not self._ended:
                self._look()
                time.sleep(WATCH_S)

    def _look(self) -> None:
        """Shut out whoever says too much."""
        with self._lock:
            waiting = list(self._waiting)
        for fd in waiting:
            if bytes_received(fd) > MOST_BYTES:
                self._shut(fd, "too much said")

    def _shut(self, fd: int, reason: str) -> None:
        with self._lock:
            if fd not in self._waiting:
                return  # heard, or gone, meanwhile
            del self._waiting[fd]
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(fd)) as connection:
            # The descriptor is libzmq's, so only its directions end here; libzmq sees the end and closes it.
            connection.shutdown(socket.SHUT_RDWR)
            self.shut_out += 1
        if told := self._seldom.tells(time.monotonic()):
            log.warning("shut out %d connections without a hello: %s", told, reason,
                        extra=about("shut_out", reason=reason, count=told))  # fmt: skip


def bytes_received(fd: int) -> int:
    """What has come over the TCP connection `fd` so far; 0 where the system does not tell (not Linux)."""
    if not hasattr(socket, "TCP_INFO"):
        return 0
    try:
        with socket.socket(fileno=os.dup(fd)) as connection:
            info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    except OSError:
        return 0
    return struct.unpack_from("=Q", info, _BYTES_RECEIVED)[0] if len(info) >= _BYTES_RECEIVED + 8 else 0
