"""A tiny backend on loopback for client.py's tests: ROUTER, PLAIN, a ZAP handler and the server's state machine."""

from __future__ import annotations

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


class TinyBackend:
    """One ROUTER in one thread. `act(machine, event)` plays the worker; the default answers each request at once."""

    def __init__(self, act: Callable[[ServerConnection, Event], None] | None = None, *, address: str = "", **options):
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
            (zmq.PLAIN_SERVER, 1),
            (zmq.ROUTER_MANDATORY, 1),
            (zmq.ROUTER_HANDOVER, 1),
            (zmq.MAXMSGSIZE, limits.MAX_FRAME_BYTES),
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

    @staticmethod
    def _answer_zap(zap: zmq.Socket) -> None:
        while zap.poll(0):
            version, id, *_, password = zap.recv_multipart()
            status = b"200" if password == TOKEN.encode() else b"400"
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
    """Starts tiny backends; stops those that still run at the end of the test."""
    started: list[TinyBackend] = []

    def start(*args, **options) -> TinyBackend:
        started.append(TinyBackend(*args, **options))
        return started[-1]

    start.token = TOKEN
    start.answer_when_cancelled = answer_when_cancelled
    yield start
    for backend in started:
        backend.stop()
