"""The client's side of one connection: no sockets, no threads, no clock (`now` is passed in, seconds, monotonic).

    WAITING    no transport; `wants_transport(now)` says when to open one (backoff 0.1 s .. 32 s)
    GREETING   a transport is open, hello is on its way; requests are held back until the welcome
    READY      welcomed
    CLOSED     for good: closed by the user, or the two ends cannot talk (version)

How a caller with a socket uses it, each turn, in this order (so that it drains before it judges):

    if machine.wants_transport(now): open one; machine.transport_opened(now)
    for every message that can be received without waiting: events += machine.receive(frames, now)
    if the transport broke: events += machine.transport_lost(now, reason)
    events += machine.tick(now)
    machine.flush(send)                              send(frames) -> bool: False = would block, try again later

A request made at any time ends in exactly one Finished or Failed, whatever the backend does.
"""

from __future__ import annotations

import dataclasses
import enum
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from . import PROTOCOL, VERSION, frames, limits, messages, versions
from .errors import BackendLost, LocalProtocolError, RemoteProtocolError, RequestError, request_error
from .requests import REQUESTS


@dataclass(frozen=True)
class Connected:
    """Welcomed, for the first time or again. `restarted`: it is another life of the backend than before."""

    welcome: messages.Welcome
    restarted: bool = False


@dataclass(frozen=True)
class Progressed:
    """How far a request is; `done` never decreases. See messages.Progress. preview: uint8 [H, W, 3], top row first."""

    id: int
    done: int
    total: int
    stage: str = ""
    eta_s: float | None = None
    numbers: Mapping[str, float] = field(default_factory=dict)
    preview: np.ndarray | None = None


@dataclass(frozen=True)
class Finished:
    id: int
    value: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Failed:
    id: int
    error: RequestError | BackendLost


@dataclass(frozen=True)
class Lost:
    """No connection, and why, in a sentence. Said once for each loss and each new reason.

    final  no further attempt is made
    """

    reason: str
    final: bool = False


@dataclass(frozen=True)
class Ponged:
    """The backend answered a ping after `seconds`."""

    id: int
    seconds: float


Event = Connected | Progressed | Finished | Failed | Lost | Ponged


class State(enum.Enum):
    WAITING = "waiting"
    GREETING = "greeting"
    READY = "ready"
    CLOSED = "closed"


@dataclass
class _Pending:
    """One request that has not ended. `sent`: it may have reached a backend.

    `request.id` is its name on the wire. When it is asked again it gets a new one, so that a late answer to the lost
    attempt is nobody's; the caller knows it by the first.
    """

    request: messages.Request
    raw: frames.Frames
    sent: bool = False
    cancelled: bool = False
    retries: int = 0
    done: int = 0
    waiting_since: float | None = None  # without a connection; None = there is one


class ClientConnection:
    """See the top of this module for its use.

    client      who says hello, for the backend's log
    patience_s  without a connection for so long, pending requests fail with BackendLost
    """

    def __init__(
        self,
        *,
        now: float,
        client: str = "latent-loom",
        version: str = VERSION,
        patience_s: float = limits.PATIENCE_S,
    ) -> None:
        self.state = State.WAITING
        self.welcome: messages.Welcome | None = None
        self.round_trip_s: float | None = None
        self.closed_by: RequestError | None = None
        self._client = client
        self._version = version
        self._patience_s = patience_s
        self._pending: dict[int, _Pending] = {}  # by the caller's ids
        self._on_wire: dict[int, int] = {}  # ids on the wire -> the caller's
        self._outbox: deque[tuple[int | None, frames.Frames]] = deque()  # with the id of a request
        self._next_id = 1
        self._pings: dict[int, float] = {}
        self._due: list[Event] = []  # for the next tick
        self._attempts = 0
        self._reason = ""
        # deadlines; all move when the caller was blocked
        self._next_attempt = now
        self._greeted_by = now
        self._opened_at = now
        self._silent = False  # something listens there, and says nothing
        self._next_ping = now
        self._last_tick = now

    # --- the user's side ---

    @property
    def minor(self) -> int:
        """The minor version of the protocol that both ends know; ours before the first welcome."""
        return PROTOCOL[1] if self.welcome is None else min(PROTOCOL[1], self.welcome.protocol[1])

    def hurry(self, now: float) -> None:
        """A backend has just appeared: do not sit out the backoff."""
        self._next_attempt = min(self._next_attempt, now)

    @property
    def pending(self) -> tuple[int, ...]:
        """Ids of the requests that have not ended."""
        return tuple(self._pending)

    def request(
        self,
        type: str,
        params: Mapping[str, Any] | None = None,
        *,
        arrays: Mapping[str, np.ndarray] | None = None,
        slot: str | None = None,
        copy: bool = True,
    ) -> int:
        """Queue a request for sending and return its id.

        copy  False: the arrays do not change before the request has ended

        Raises  LocalProtocolError: an unknown type, or something that cannot travel
        """
        if self.state is State.CLOSED:
            raise LocalProtocolError("The connection is closed.")
        message = messages.Request(type=type, id=self._next_id, slot=slot, params=params or {}, arrays=arrays or {})
        raw = messages.encode(message, copy=copy)
        self._next_id += 1
        self._pending[message.id] = _Pending(message, raw)
        self._on_wire[message.id] = message.id
        if self.state is State.READY:
            self._due += self._send_request(message.id)
        # somebody waits now: do not sit out a long backoff
        self._next_attempt = min(self._next_attempt, self._last_tick + limits.BACKOFF_FIRST_S)
        return message.id

    def cancel(self, id: int) -> list[Event]:
        """Ask that a request end soon. It still ends as the backend says; one that never left ends here and now."""
        pending = self._pending.get(id)
        if pending is None or pending.cancelled:
            return []
        if not pending.sent:
            self._outbox = deque(item for item in self._outbox if item[0] != id)
            return self._end(id, Failed(id, request_error("cancelled", "Cancelled before it was sent.")))
        pending.cancelled = True
        if self.state is State.READY:
            self._send(messages.Cancel(id=pending.request.id))
        return []

    def ping(self, now: float) -> int | None:
        """Ask for a sign of life; None where there is no connection."""
        if self.state is not State.READY:
            return None
        id = self._next_id
        self._next_id += 1
        self._pings[id] = now
        if len(self._pings) > limits.MAX_PINGS:
            del self._pings[min(self._pings)]
        self._next_ping = now + limits.PING_INTERVAL_S
        self._send(messages.Ping(id=id))
        return id

    def close(self) -> list[Event]:
        """End for good: whatever is pending fails."""
        return self._close("The connection was closed.") if self.state is not State.CLOSED else []

    # --- the transport's side ---

    def wants_transport(self, now: float) -> bool:
        """Whether it is time to open a (new) transport."""
        return self.state is State.WAITING and now >= self._next_attempt

    def transport_opened(self, now: float) -> None:
        """A transport was opened (it need not be through yet): say hello."""
        if self.state is not State.WAITING:
            raise LocalProtocolError(f"A transport was opened while {self.state.value}.")
        self.state = State.GREETING
        self._greeted_by = now + limits.HELLO_TIMEOUT_S
        self._opened_at = now
        self._say_hello()

    def transport_lost(self, now: float, reason: str, *, error: BackendLost | None = None) -> list[Event]:
        """The transport broke or could not be opened; another is wanted after the backoff.

        reason  a sentence for people
        error   what pending requests fail with at once (a wrong token); None: they wait for `patience_s`
        """
        if self.state is State.CLOSED:
            return []
        was = self.state
        # Where nobody listens a connection is refused at once.
        self._silent = was is State.GREETING and now - self._opened_at > limits.BLOCKED_S
        self.state = State.WAITING
        self._outbox.clear()
        self._pings.clear()
        self.round_trip_s = None
        delay = min(limits.BACKOFF_MAX_S, limits.BACKOFF_FIRST_S * 2 ** min(self._attempts, 16))
        self._attempts += 1
        self._next_attempt = now + delay
        events: list[Event] = []
        if was is State.READY or reason != self._reason:
            events.append(Lost(reason))
        self._reason = reason
        return events + ([] if error is None else self._fail_all(error))

    def receive(self, raw: Sequence[frames.Frame], now: float) -> list[Event]:
        """Take one message of the backend. One that breaks the contract costs the backend its connection."""
        if self.state not in (State.GREETING, State.READY):
            return []
        try:
            message = messages.decode(raw, sender="server")
            return self._take(message, now)
        except RemoteProtocolError as error:
            return self.transport_lost(now, f"The backend broke the protocol: {error}")

    def tick(self, now: float) -> list[Event]:
        """Judge by the clock, after everything that could be received was received.

        A longer pause since the last tick means that the caller was blocked (Blender renders): deadlines move by it.
        """
        blocked = now - self._last_tick
        self._last_tick = now
        if blocked > limits.BLOCKED_S:
            self._greeted_by += blocked
            self._opened_at += blocked
            for pending in self._pending.values():
                if pending.waiting_since is not None:
                    pending.waiting_since += blocked
        events: list[Event] = []
        if self.state is State.GREETING and now >= self._greeted_by:
            events += self.transport_lost(now, "The backend does not answer; it may be starting or stuck.")
        if self.state is State.READY and now >= self._next_ping:
            self.ping(now)
        due, self._due = self._due, []
        return due + events + self._judge_waiting(now)

    def _judge_waiting(self, now: float) -> list[Event]:
        """Fail the requests that had no connection for longer than the patience."""
        if self.state in (State.READY, State.CLOSED):
            return []
        events: list[Event] = []
        silent = self._silent or (self.state is State.GREETING and now - self._opened_at > limits.BLOCKED_S)
        patience_s = self._patience_s
        if silent and patience_s >= limits.PATIENCE_S:  # a caller who chose less means it
            patience_s = max(patience_s, limits.SILENT_PATIENCE_S)
        for id, pending in list(self._pending.items()):
            if pending.waiting_since is None:
                pending.waiting_since = now
            elif now - pending.waiting_since >= patience_s:
                reason = self._reason or "There is no connection."
                events += self._end(id, Failed(id, BackendLost(f"No answer will come. {reason}")))
        return events

    def flush(self, send: Callable[[frames.Frames], bool]) -> None:
        """Hand what waits to the transport, until it would block."""
        while self._outbox and send(self._outbox[0][1]):
            id, _ = self._outbox.popleft()
            if id in self._pending:
                self._pending[id].sent = True

    @property
    def has_outgoing(self) -> bool:
        return bool(self._outbox)

    # --- one message ---

    def _take(self, message: messages.Message | messages.Unknown, now: float) -> list[Event]:
        if isinstance(message, messages.Welcome):
            return self._welcomed(message, now)
        if isinstance(message, messages.Pong):
            sent_at = self._pings.pop(message.id, None)
            if sent_at is None:
                return []
            self.round_trip_s = max(0.0, now - sent_at)
            return [Ponged(message.id, self.round_trip_s)]
        if isinstance(message, messages.Progress):
            return self._progressed(message)
        if isinstance(message, messages.Result):
            id = self._asked(message.id)
            return self._end(id, Finished(id, message.value, message.arrays))
        if isinstance(message, messages.Error):
            if message.id is None or message.code == "hello_first":
                return self._connection_error(message, now)
            id = self._asked(message.id)
            return self._end(id, Failed(id, request_error(message.code, message.message, message.retryable)))
        return []  # a type of a newer backend

    def _welcomed(self, welcome: messages.Welcome, now: float) -> list[Event]:
        if self.state is State.READY:
            raise RemoteProtocolError("It said welcome without being asked.")
        if versions.agreed_minor(welcome.protocol) is None:
            sentence = versions.refusal(welcome.protocol, PROTOCOL)
            return self._close(sentence, request_error("version", sentence))
        before = self.welcome
        restarted = before is not None and before.session != welcome.session
        self.state = State.READY
        self.welcome = welcome
        self._attempts = 0
        self._reason = ""
        self._next_ping = now + limits.PING_INTERVAL_S
        events: list[Event] = [Connected(welcome, restarted)]
        for id, pending in list(self._pending.items()):
            pending.waiting_since = None
            if pending.sent and not restarted and pending.request.id in welcome.pending:
                if pending.cancelled:
                    self._send(messages.Cancel(id=pending.request.id))
            elif pending.sent:
                events += self._lost(id, pending, restarted)
            else:
                events += self._send_request(id)
        return events

    def _lost(self, id: int, pending: _Pending, restarted: bool) -> list[Event]:
        """A request whose answer will not come: ask again where that does no harm."""
        if pending.cancelled:
            return self._end(id, Failed(id, request_error("cancelled", "Cancelled; the backend was lost meanwhile.")))
        if REQUESTS[pending.request.type].idempotent and pending.retries < limits.MAX_RETRIES:
            return self._ask_again(id, pending)
        why = "The backend was restarted" if restarted else "The connection broke"
        return self._end(id, Failed(id, BackendLost(f"{why} before this ended; look what was finished and ask again.")))

    def _ask_again(self, id: int, pending: _Pending) -> list[Event]:
        del self._on_wire[pending.request.id]
        pending.request = dataclasses.replace(pending.request, id=self._next_id)
        self._on_wire[self._next_id] = id
        self._next_id += 1
        pending.raw = messages.encode(pending.request)
        pending.retries += 1
        pending.sent = False
        return self._send_request(id)

    def _progressed(self, message: messages.Progress) -> list[Event]:
        id = self._asked(message.id)
        pending = self._pending.get(id)
        if pending is None:
            return []
        pending.done = max(pending.done, message.done)
        total = max(message.total, pending.done) if message.total else 0
        preview = message.arrays.get("preview")
        return [Progressed(id, pending.done, total, message.stage, message.eta_s, message.numbers, preview)]

    def _asked(self, wire_id: int) -> int:
        """The caller's id of what is called `wire_id` on the wire; 0 = it has ended already."""
        if wire_id >= self._next_id:
            raise RemoteProtocolError(f"It answered the request {wire_id}, which was never made.")
        return self._on_wire.get(wire_id, 0)

    def _end(self, id: int, end: Finished | Failed) -> list[Event]:
        """End a pending request; nothing happens to one that has ended."""
        pending = self._pending.pop(id, None)
        if pending is None:
            return []
        del self._on_wire[pending.request.id]
        return [end]

    def _connection_error(self, message: messages.Error, now: float) -> list[Event]:
        if message.code == "version":
            return self._close(message.message, request_error("version", message.message))
        if message.code == "hello_first":
            refused = self._pending.get(self._on_wire.get(message.id or 0, 0))
            if refused is not None:
                refused.sent = False  # nobody has it
            if self.state is State.GREETING:
                return []  # hello is on its way
            self.state = State.GREETING
            self._greeted_by = now + limits.HELLO_TIMEOUT_S
            self._pings.clear()
            self._outbox.clear()
            self._say_hello()
            return []
        return self.transport_lost(now, f"The backend dropped the connection: {message.message}")

    # --- helpers ---

    def _say_hello(self) -> None:
        waiting = tuple(pending.request.id for pending in self._pending.values() if pending.sent)
        hello = messages.Hello(client=self._client, version=self._version, protocol=PROTOCOL, pending=waiting)
        self._outbox.appendleft((None, messages.encode(hello)))

    def _send(self, message: messages.ClientMessage) -> None:
        self._outbox.append((None, messages.encode(message)))

    def _send_request(self, id: int) -> list[Event]:
        """Put a pending request into the outbox; one that the older backend cannot know ends here, with advice."""
        kind = REQUESTS[self._pending[id].request.type]
        if kind.since > self.minor:
            sentence = versions.too_new(kind.name, kind.since, self.minor)
            return self._end(id, Failed(id, request_error("unknown_type", sentence)))
        self._outbox.append((id, self._pending[id].raw))
        return []

    def _fail_all(self, error: RequestError | BackendLost) -> list[Event]:
        ids = list(self._pending)
        self._pending.clear()
        self._on_wire.clear()
        self._outbox = deque(item for item in self._outbox if item[0] is None)
        return [Failed(id, error) for id in ids]

    def _close(self, reason: str, error: RequestError | None = None) -> list[Event]:
        self.state = State.CLOSED
        self.closed_by = error
        self._outbox.clear()
        return [*self._fail_all(error or BackendLost(reason)), Lost(reason, final=True)]


def newest_progress(events: Sequence[Event]) -> list[Event]:
    """The events without the reports that a newer report of the same request overtook; the newest preview is kept."""
    newest: dict[int, Progressed] = {}
    kept: list[Event] = []
    for event in reversed(events):
        if not isinstance(event, Progressed):
            kept.append(event)
        elif event.id not in newest:
            newest[event.id] = event
            kept.append(event)
        elif newest[event.id].preview is None and event.preview is not None:
            old = newest[event.id]
            new = Progressed(event.id, old.done, old.total, old.stage, old.eta_s, old.numbers, event.preview)
            kept[next(n for n, e in enumerate(kept) if e is old)] = newest[event.id] = new
    return kept[::-1]
