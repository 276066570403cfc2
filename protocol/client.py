"""The one client with a socket: the add-on, the demo, the tests and `latent-loom top` share it. zmq, no bpy, no thread.

    with Client.from_connection_file() as client:
        reply = client.request("generate", {"seeds": [0, 1]}, on_progress=print)      # waits

    id = client.send("adapt", {"source": "stone", "target": "mossy stone", "name": "mossy"})
    for event in client.poll():                                                       # never waits
        ...  # Connected, Progressed, Finished, Failed, Lost, Ponged: see client_state.py

Everything happens inside `poll` (and `request`, which polls): call it often. No call blocks longer than its timeout:
every send is NOBLOCK, LINGER is 0. Nothing but BackendLost, RequestError and LocalProtocolError is raised.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import zmq
from zmq.utils.monitor import parse_monitor_message

from . import connection_file, limits, transport
from .client_state import (
    ClientConnection,
    Connected,
    Event,
    Failed,
    Finished,
    Lost,
    Ponged,
    Progressed,
    State,
    newest_progress,
)
from .errors import BackendLost, LocalProtocolError, NoConnectionFile, RequestError, WrongToken
from .frames import Frames
from .messages import Welcome

__all__ = [
    "BackendLost",
    "Client",
    "Connected",
    "Event",
    "Failed",
    "Finished",
    "LocalProtocolError",
    "Lost",
    "Ponged",
    "Progressed",
    "Reply",
    "RequestError",
    "State",
]

USERNAME = b"latent-loom"
"""The PLAIN user name; the token is the password."""

WAIT_S = 0.1
"""Longest single wait inside `poll`, so that backoff and time limits are kept."""

BROKEN = zmq.EVENT_DISCONNECTED | zmq.EVENT_CLOSED | zmq.EVENT_CONNECT_RETRIED
REFUSED = zmq.EVENT_HANDSHAKE_FAILED_AUTH
FOREIGN = zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL


@dataclass(frozen=True, kw_only=True)
class Reply:
    """A good answer. arrays: read-only, uint8 [N, H, W, 3] for pictures, top row first."""

    value: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where a backend listens and what it wants to see.

    endpoint     "tcp://127.0.0.1:40123"
    token        the PLAIN password; unused with CURVE
    server_key   the server's CURVE public key (40 characters of Z85); None = PLAIN
    client_keys  (public, secret) of this client for the server's allow-list; None = new ones
    """

    endpoint: str
    token: str = field(default="", repr=False)
    server_key: str | None = None
    client_keys: tuple[str, str] | None = field(default=None, repr=False)


def public_key(secret: str) -> str:
    """The public half of a CURVE key, both Z85. Raises ValueError where `secret` is none."""
    try:
        return zmq.curve_public(secret.encode()).decode()
    except zmq.ZMQError as error:
        raise ValueError("not a CURVE key") from error


class Client:
    """One connection to one backend, kept up for as long as the client lives.

    address, token, server_key, client_keys  see Address
    client      who says hello, for the backend's log
    patience_s  without a connection for so long, requests fail with BackendLost
    find        asked before each attempt for the address; a backend that restarts listens elsewhere
    """

    def __init__(
        self,
        address: str,
        token: str,
        *,
        server_key: str | None = None,
        client_keys: tuple[str, str] | None = None,
        client: str = "latent-loom",
        patience_s: float = limits.PATIENCE_S,
        find: Callable[[], Address] | None = None,
    ) -> None:
        self._address = Address(endpoint=address, token=token, server_key=server_key, client_keys=client_keys)
        self._find = find
        self._machine = ClientConnection(now=time.monotonic(), client=client, patience_s=patience_s)
        # the same name after a reconnection, so that a backend that still works for us finds us again
        self._identity = b"L" + secrets.token_bytes(15)
        self._context: zmq.Context | None = None
        self._socket: zmq.Socket | None = None
        self._monitor: zmq.Socket | None = None
        self._changed: Callable[[], bool] = lambda: False
        self._kept: list[Event] = []  # for others than the one who waits in `request`
        self._abandoned: set[int] = set()
        self.refused: WrongToken | None = None

    @classmethod
    def from_connection_file(cls, path: Path | str | None = None, **options: Any) -> Client:
        """A client for the backend that wrote `path` (None: the default place). Read anew at each attempt.

        Raises  NoConnectionFile with a sentence that says what to do
        """
        where = Path(path) if path is not None else connection_file.default_path()

        def find() -> Address:
            info = connection_file.read(where)
            return Address(
                endpoint=info.address, token=info.token, server_key=info.server_key, client_keys=info.client_keys
            )

        first = find()
        keys = {"server_key": first.server_key, "client_keys": first.client_keys}
        client = cls(first.endpoint, first.token, find=find, **{**keys, **options})
        client._changed = _watch(where)
        return client

    # --- what is known ---

    @property
    def state(self) -> State:
        return self._machine.state

    @property
    def connected(self) -> bool:
        return self._machine.state is State.READY

    @property
    def welcome(self) -> Welcome | None:
        """The backend's last welcome, also after it was lost."""
        return self._machine.welcome

    @property
    def round_trip_s(self) -> float | None:
        """Seconds that the last ping took; None without a connection. For the status dot, not for judging."""
        return self._machine.round_trip_s

    @property
    def pending(self) -> tuple[int, ...]:
        return self._machine.pending

    # --- without waiting ---

    def send(
        self,
        type: str,
        params: Mapping[str, Any] | None = None,
        *,
        arrays: Mapping[str, np.ndarray] | None = None,
        slot: str | None = None,
        copy: bool = True,
    ) -> int:
        """Make a request and return its id; it ends in exactly one Finished or Failed out of `poll`.

        copy    False: the arrays are sent as they lie there, and must not change before the request has ended

        Works without a connection too: it is sent once there is one, or fails after `patience_s`.
        Raises  LocalProtocolError: an unknown type, or something that cannot travel
        """
        id = self._machine.request(type, params, arrays=arrays, slot=slot, copy=copy)
        self._machine.flush(self._send)
        return id

    def cancel(self, id: int) -> None:
        """Ask that a request end soon; harmless for one that has ended. How it ended comes out of `poll`."""
        self._kept += self._machine.cancel(id)
        self._machine.flush(self._send)

    def ping(self) -> int | None:
        """Ask for a sign of life (Ponged); None where there is no connection. One is sent every 2 s anyway."""
        id = self._machine.ping(time.monotonic())
        self._machine.flush(self._send)
        return id

    def poll(self, timeout_s: float = 0.0, *, budget_s: float | None = None) -> list[Event]:
        """What happened since the last call, newest progress only.

        timeout_s  wait at most so long for the first event; 0 = do not wait
        budget_s   stop reading after so long even if more is there (it comes next time); None = read everything
        """
        events, self._kept = self._kept, []
        return newest_progress(events + self._poll(0.0 if events else timeout_s, budget_s))

    # --- with waiting ---

    def connect(self, timeout_s: float = limits.HELLO_TIMEOUT_S) -> Welcome:
        """Wait for the backend's welcome.

        Raises  WrongToken, BackendLost, VersionMismatch
        """
        deadline = time.monotonic() + timeout_s
        reason = "it does not answer."
        while not self.connected:
            events = self._poll(min(WAIT_S, max(0.0, deadline - time.monotonic())), None)
            self._kept += events
            reason = next((event.reason for event in events if isinstance(event, Lost)), reason)
            if self.refused is not None:
                raise self.refused
            if self.state is State.CLOSED:
                raise self._machine.closed_by or BackendLost(reason)
            if not self.connected and time.monotonic() >= deadline:
                raise BackendLost(f"No backend at {self._address.endpoint} within {timeout_s:g} s: {reason}")
        assert self.welcome is not None
        return self.welcome

    def request(
        self,
        type: str,
        params: Mapping[str, Any] | None = None,
        *,
        arrays: Mapping[str, np.ndarray] | None = None,
        slot: str | None = None,
        on_progress: Callable[[Progressed], None] | None = None,
        timeout_s: float | None = None,
    ) -> Reply:
        """Make a request and wait for its end. Whatever interrupts the wait (Ctrl-C too) cancels the request.

        timeout_s  None = as long as it takes (a lost backend still ends it)
        Raises     a RequestError of errors.py, BackendLost, LocalProtocolError
        """
        id = self.send(type, params, arrays=arrays, slot=slot)
        try:
            return self._wait(id, type, on_progress, timeout_s)
        except BaseException:
            if id in self._machine.pending:
                self._abandoned.add(id)
                self.cancel(id)
            raise

    def _wait(
        self, id: int, type: str, on_progress: Callable[[Progressed], None] | None, timeout_s: float | None
    ) -> Reply:
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            wait = WAIT_S if deadline is None else min(WAIT_S, max(0.0, deadline - time.monotonic()))
            events = newest_progress(self._poll(wait, None))
            others: list[Event] = [e for e in events if getattr(e, "id", None) != id and not isinstance(e, Ponged)]
            self._kept = newest_progress(self._kept + others)
            for event in events:
                if getattr(event, "id", None) != id:
                    continue
                if isinstance(event, Finished):
                    return Reply(value=event.value, arrays=event.arrays)
                if isinstance(event, Failed):
                    raise event.error
                if isinstance(event, Progressed) and on_progress is not None:
                    on_progress(event)
            if deadline is not None and time.monotonic() >= deadline:
                raise BackendLost(f"No answer to `{type}` within {timeout_s:g} s; the request was cancelled.")

    # --- end ---

    def close(self) -> None:
        """Close at once, without lingering. Requests that have not ended come out of the next `poll` as Failed."""
        self._kept += self._machine.close()
        self._drop_socket()
        if self._context is not None:
            self._context.term()
            self._context = None

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Client {self._address.endpoint} {self.state.value}>"

    # --- the socket ---

    def _poll(self, timeout_s: float, budget_s: float | None) -> list[Event]:
        deadline = time.monotonic() + timeout_s
        while True:
            events = self._turn(budget_s)
            left = deadline - time.monotonic()
            if events or left <= 0 or self.state is State.CLOSED:
                return events
            self._sleep(min(left, WAIT_S))

    def _sleep(self, seconds: float) -> None:
        """Wait until something can be read, or so long."""
        poller = zmq.Poller()
        for socket in (self._socket, self._monitor):
            if socket is not None:
                poller.register(socket, zmq.POLLIN)
        if self._socket is not None and self._machine.has_outgoing:
            poller.register(self._socket, zmq.POLLIN | zmq.POLLOUT)
        poller.poll(max(1, int(seconds * 1000)))

    def _turn(self, budget_s: float | None) -> list[Event]:
        """One turn of the machine: open, send, drain, and only then judge."""
        events: list[Event] = []
        if self._machine.state is State.WAITING and self._changed():
            self._machine.hurry(time.monotonic())  # a backend has just written where it listens
        if self._machine.wants_transport(time.monotonic()):
            events += self._open()
        self._machine.flush(self._send)
        drained = self._drain(events, budget_s)
        if drained:
            events += self._look_at_monitor()
            events += self._machine.tick(time.monotonic())
        if self._machine.state in (State.WAITING, State.CLOSED):
            self._drop_socket()
        self._machine.flush(self._send)
        return [event for event in events if not self._is_abandoned(event)]

    def _is_abandoned(self, event: Event) -> bool:
        """Whether the event is about a request whose caller stopped waiting."""
        if getattr(event, "id", None) not in self._abandoned:
            return False
        if isinstance(event, Finished | Failed):
            self._abandoned.discard(event.id)
        return True

    def _open(self) -> list[Event]:
        """Open a socket to where the backend listens now."""
        self._drop_socket()
        try:
            if self._find is not None:
                self._address = self._find()
            self._connect_socket()
        except NoConnectionFile as error:
            return self._machine.transport_lost(time.monotonic(), str(error))
        except (zmq.ZMQError, ValueError) as error:
            self._drop_socket()
            reason = f"Cannot connect to {self._address.endpoint!r} ({error}); check the address."
            return self._machine.transport_lost(time.monotonic(), reason, error=BackendLost(reason))
        self._machine.transport_opened(time.monotonic())
        return []

    def _connect_socket(self) -> None:
        if self._context is None:
            self._context = zmq.Context()
        socket = self._socket = self._context.socket(zmq.DEALER)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.IDENTITY, self._identity)
        socket.setsockopt(zmq.MAXMSGSIZE, limits.MAX_FRAME_BYTES)
        socket.setsockopt(zmq.SNDHWM, limits.HIGH_WATER_MARK)
        socket.setsockopt(zmq.RCVHWM, limits.CLIENT_RECEIVE_MARK)
        socket.setsockopt(zmq.HEARTBEAT_IVL, limits.HEARTBEAT_INTERVAL_MS)
        socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, limits.HEARTBEAT_TIMEOUT_MS)
        socket.setsockopt(zmq.HEARTBEAT_TTL, limits.HEARTBEAT_TTL_MS)
        # the machine reconnects, with a new socket: the backend may listen elsewhere by then
        socket.setsockopt(zmq.RECONNECT_IVL, -1)
        if self._address.server_key is None:
            socket.setsockopt(zmq.PLAIN_USERNAME, USERNAME)
            socket.setsockopt(zmq.PLAIN_PASSWORD, self._address.token.encode())
        else:
            public, secret = self._address.client_keys or tuple(key.decode() for key in zmq.curve_keypair())
            socket.setsockopt(zmq.CURVE_SERVERKEY, self._address.server_key.encode())
            socket.setsockopt(zmq.CURVE_PUBLICKEY, public.encode())
            socket.setsockopt(zmq.CURVE_SECRETKEY, secret.encode())
        self._monitor = socket.get_monitor_socket(BROKEN | REFUSED | FOREIGN)
        self._monitor.setsockopt(zmq.LINGER, 0)
        socket.connect(self._address.endpoint)

    def _drop_socket(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(zmq.ZMQError):
                self._socket.disable_monitor()
            self._socket.close(linger=0)
        if self._monitor is not None:
            self._monitor.close(linger=0)
        self._socket = self._monitor = None

    def _send(self, frames: Frames) -> bool:
        if self._socket is None:
            return False
        try:
            transport.send(self._socket, frames)  # they are the machine's own and never change
        except zmq.ZMQError:
            # EAGAIN: later. EHOSTUNREACH and the like: the monitor says so, and the machine starts anew.
            return False
        return True

    def _drain(self, events: list[Event], budget_s: float | None) -> bool:
        """Read what is there. False: the budget ended first."""
        deadline = None if budget_s is None else time.monotonic() + budget_s
        while self._socket is not None and self._machine.state in (State.GREETING, State.READY):
            try:
                parts = transport.receive(self._socket)
            except zmq.ZMQError:
                return True
            if parts is None:
                return True
            was_ready = self.connected
            events += self._machine.receive(transport.contents(parts), time.monotonic())
            if self.connected and not was_ready:
                self.refused = None
            if deadline is not None and time.monotonic() >= deadline:
                return False
        return True

    def _look_at_monitor(self) -> list[Event]:
        """What libzmq noticed about the connection; what it delivered before is read first."""
        events: list[Event] = []
        while self._monitor is not None and self._machine.state in (State.GREETING, State.READY):
            try:
                parts = transport.receive(self._monitor)
            except zmq.ZMQError:
                break
            if parts is None:
                break
            seen = parse_monitor_message([part.bytes for part in parts])["event"]
            self._drain(events, None)
            where = self._address.endpoint
            now = time.monotonic()
            if self._machine.state not in (State.GREETING, State.READY):
                break
            if seen & REFUSED:
                reason = f"The backend at {where} refused the token: wrong token; use its current connection file."
                if self._address.server_key is not None:
                    reason = f"The backend at {where} does not know this client's key; add it to its list of clients."
                self.refused = WrongToken(reason)
                events += self._machine.transport_lost(now, reason, error=self.refused)
            elif seen & FOREIGN:
                reason = f"What listens at {where} is no Latent Loom backend, or wants another kind of key."
                events += self._machine.transport_lost(now, reason, error=BackendLost(reason))
            elif self.connected:
                events += self._machine.transport_lost(
                    now, "The backend ended the connection: it stopped or was killed."
                )
            else:
                events += self._machine.transport_lost(now, f"Nothing answers at {where}; is the backend running?")
        return events


def _watch(path: Path) -> Callable[[], bool]:
    """A function that says whether the file has changed since it was asked last; it looks at most every WAIT_S."""

    def look() -> tuple[int, ...]:
        try:
            status = path.stat()
        except OSError:
            return ()
        return status.st_mtime_ns, status.st_size, status.st_ino

    seen, looked_s = look(), time.monotonic()

    def changed() -> bool:
        nonlocal seen, looked_s
        if time.monotonic() - looked_s < WAIT_S:
            return False
        before, seen, looked_s = seen, look(), time.monotonic()
        return bool(seen) and seen != before

    return changed
