"""A tiny backend on loopback for client.py's tests: ROUTER, PLAIN, a ZAP handler and the server's state machine."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
import zmq
from hypothesis import settings
from latent_loom.protocol import limits
from latent_loom.protocol.server_state import (
    CancelRequested,
    Event,
    RequestArrived,
    Sending,
    ServerConnection,
)

# no time limits: these machines are shared. The same examples each time: a failure here is one everywhere.
settings.register_profile("protocol", deadline=None, derandomize=True)
settings.load_profile("protocol")

TOKEN = "a-token-for-tests"
PLAIN = (zmq.PLAIN_SERVER, 1)


class TinyBackend:
    """One ROUTER in one thread. `act(machine, event)` plays the worker; the default answers each request at once."""

    def __init__(
        self,
        act: Callable[[ServerConnection, Event], None] | None = None,
        *,
        address: str = "",
        admits: bytes = TOKEN.encode(),
        curve_secret: bytes = b"",
        **options,
    ):
        self.admits, self.curve_secret = admits, curve_secret
        self.act = act or answer_at_once
        self.machine = ServerConnection(**{"session": "s1", "describe": lambda: {"device": "tiny"}, **options})
        self.events: list[Event] = []
        self.calls: list[Callable[[ServerConnection], None]] = []
        self.address = ""
        self._bind_to = address or "tcp://127.0.0.1:*"
        self._ready, self._stop = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(10)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(10)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        context = zmq.Context()
        zap = context.socket(zmq.REP)
        zap.bind("inproc://zeromq.zap.01")
        router = context.socket(zmq.ROUTER)
        for option, value in (
            (zmq.LINGER, 0),
            *([(zmq.CURVE_SERVER, 1), (zmq.CURVE_SECRETKEY, self.curve_secret)] if self.curve_secret else [PLAIN]),
            (zmq.ROUTER_MANDATORY, 1),
            (zmq.ROUTER_HANDOVER, 1),
            (zmq.MAXMSGSIZE, limits.MAX_FRAME_BYTES),
            (zmq.SNDHWM, limits.HIGH_WATER_MARK),
            (zmq.RCVHWM, limits.HIGH_WATER_MARK),
        ):
            router.setsockopt(option, value)
        router.bind(self._bind_to)
        self.address = router.getsockopt(zmq.LAST_ENDPOINT).decode().rstrip("\0")
        poller = zmq.Poller()
        poller.register(zap, zmq.POLLIN)
        poller.register(router, zmq.POLLIN)
        self._ready.set()
        while not self._stop.is_set():
            poller.poll(10)
            self._answer_zap(zap)
            self._turn(router)
        context.destroy(linger=0)

    def _answer_zap(self, zap: zmq.Socket) -> None:
        while zap.poll(0):
            version, id, *_, credential = zap.recv_multipart()
            status = b"200" if credential == self.admits else b"400"
            zap.send_multipart([version, id, status, b"", b"someone", b""])

    def _turn(self, router: zmq.Socket) -> None:
        now = time.monotonic()
        events: list[Event] = []
        while router.poll(0):
            peer, *frames = router.recv_multipart()
            events += self.machine.receive(peer, frames, now)
        for event in events:
            self.act(self.machine, event)
        while self.calls:
            self.calls.pop(0)(self.machine)
        events += self.machine.tick(now)
        events += self.machine.flush(lambda peer, frames: send(router, peer, frames))
        self.events += events


class Cable:
    """A TCP relay in front of a backend that can be cut: what is under way is lost, new connections are made again."""

    def __init__(self, address: str) -> None:
        self._to = ("127.0.0.1", int(address.rpartition(":")[2]))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._stop = threading.Event()
        self._cut = threading.Event()
        self._thread.start()

    def cut(self) -> None:
        self._cut.set()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(10)

    def _run(self) -> None:
        while not self._stop.is_set():
            ends = {a: b for pair in self._pairs for a, b in (pair, pair[::-1])}
            readable, _, _ = select.select([self._listener, *ends], [], [], 0.01)
            if self._cut.is_set():
                self._cut.clear()
                self._close_pairs()
                continue
            for end in readable:
                if end is self._listener:
                    self._pairs.append((self._listener.accept()[0], socket.create_connection(self._to)))
                elif not self._relay(end, ends[end]):
                    break
        self._close_pairs()
        self._listener.close()

    def _relay(self, here: socket.socket, there: socket.socket) -> bool:
        with contextlib.suppress(OSError):
            if data := here.recv(65536):
                there.sendall(data)
                return True
        self._pairs = [pair for pair in self._pairs if here not in pair]
        here.close()
        there.close()
        return False

    def _close_pairs(self) -> None:
        for pair in self._pairs:
            for end in pair:
                end.close()
        self._pairs = []


def send(router: zmq.Socket, peer: bytes, frames: list[bytes]) -> Sending:
    try:
        router.send_multipart([peer, *frames], flags=zmq.NOBLOCK)
    except zmq.Again:
        return Sending.BLOCKED
    except zmq.ZMQError:
        return Sending.GONE
    return Sending.SENT


def answer_at_once(machine: ServerConnection, event: Event) -> None:
    if isinstance(event, RequestArrived):
        machine.started(event.peer, event.request.id)
        machine.result(event.peer, event.request.id, {"echo": dict(event.request.params)}, event.request.arrays)


def answer_when_cancelled(machine: ServerConnection, event: Event) -> None:
    if isinstance(event, RequestArrived):
        machine.started(event.peer, event.request.id)
        machine.progress(event.peer, event.request.id, done=1, total=10, stage="working")
    if isinstance(event, CancelRequested):
        machine.fail(event.peer, event.id, "cancelled", "Cancelled; everything finished so far is kept.")


@pytest.fixture
def backends() -> Iterator[Callable[..., TinyBackend]]:
    """Starts tiny backends (and cables to them); stops those that still run at the end of the test."""
    started: list = []

    def start(*args, **options) -> TinyBackend:
        started.append(TinyBackend(*args, **options))
        return started[-1]

    start.token = TOKEN
    start.cable = lambda backend: started.append(Cable(backend.address)) or started[-1]
    start.answer_when_cancelled = answer_when_cancelled
    yield start
    for thing in started:
        thing.stop()
