"""The server's side of all its connections: no sockets, no threads, no clock (`now` is passed in, seconds, monotonic).

How a ROUTER loop uses it (one thread owns socket and machine; the worker talks to that thread):

    machine = ServerConnection(session=session, describe=lambda: {"device": ..., "memory_mib": ..., "generators": ...,
                                                                  "styles": ..., "capabilities": ...})
    each turn:
        for every message that can be received without waiting:      identity, *frames = router.recv_multipart(...)
            events += machine.receive(identity, frames, now)          never raises for what a peer sent
        for what the worker says:
            machine.started(peer, id)                                 just before the work begins
            machine.progress(peer, id, done=3, total=100, stage="adapting", numbers={...}, preview=uint8 [H, W, 3])
            machine.result(peer, id, value, arrays)  or  machine.fail(peer, id, code, sentence, retryable=False)
        events += machine.tick(now)                                   every 0.1 s or oftener
        events += machine.flush(send)                                 send(peer, frames) -> Sending, without waiting

Events, all that a loop has to act on:

    PeerJoined(peer, client, version)          greeted
    PeerLeft(peer, reason)                     vanished for longer than the grace time, stopped reading, broke the
                                               contract, speaks another version
    RequestArrived(peer, request)              queue it; request is messages.Request
    RequestWithdrawn(peer, id, reason)         it had not started: take it out of the queue. Already answered.
    CancelRequested(peer, id, reason)          it runs: make it stop soon, then `fail(..., "cancelled", ...)` as usual
    ShutdownRequested(peer)                    close: everything pending was withdrawn or asked to cancel, and answered.
                                               Flush, then close with a linger of a second: the answers are on their way

A request is *queued* from RequestArrived until `started`, *running* until `result` or `fail`. Answers to requests
that have ended already, or whose peer has left, are ignored (False is returned): a worker may always lose that race.
`result` raises LocalProtocolError for a value or array that cannot travel (a bug of the handler): answer `internal`.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from . import PROTOCOL, VERSION, frames, limits, messages, versions
from .admission import Admission
from .errors import RemoteProtocolError, TooLargeToSend
from .server_events import (
    CancelRequested,
    Event,
    Peer,
    PeerJoined,
    PeerLeft,
    RequestArrived,
    RequestWithdrawn,
    Sending,
    ShutdownRequested,
)

__all__ = [
    "CancelRequested",
    "Event",
    "Peer",
    "PeerJoined",
    "PeerLeft",
    "RequestArrived",
    "RequestWithdrawn",
    "Sending",
    "ServerConnection",
    "ShutdownRequested",
]


@dataclass
class _Pending:
    """One request that has not ended."""

    slot: str | None
    nbytes: int = 0
    running: bool = False
    cancelling: bool = False
    done: int = 0
    newest: messages.Progress | None = None  # not sent yet
    last: messages.Progress | None = None  # sent last; repeated to keep the connection warm
    sent_at: float = -1e9


@dataclass
class _Outgoing:
    frames: frames.Frames
    droppable: bool

    @property
    def nbytes(self) -> int:
        return sum(map(len, self.frames))


@dataclass
class _PeerState:
    protocol: Sequence[int] = PROTOCOL
    pending: dict[int, _Pending] = field(default_factory=dict)
    outbox: deque[_Outgoing] = field(default_factory=deque)
    gone_since: float | None = None  # when the transport first did not know it any more
    told_at: float = 0.0  # when something was last put into its outbox unasked
    heard_at: float = 0.0  # when it last said something


class ServerConnection:
    """All peers of one backend process. See the top of this module for its use.

    session   names this life of the process; a client that meets another one knows that its requests are lost
    describe  the rest of `welcome`: device, memory_mib, generators, styles, capabilities; asked at each hello
    most      limits of one's own: see `admission.Admission`
    grace_s   how long a vanished peer's requests go on, so that it may come back for them
    refusal   (an attribute) a sentence where this peer may not ask this; it is answered `forbidden`
    trusts    (an attribute) whether this peer may hear of this machine's files: `notices`
    """

    def __init__(
        self,
        *,
        session: str,
        describe: Callable[[], Mapping[str, Any]] = dict,
        server: str = "latent-loom",
        version: str = VERSION,
        grace_s: float = limits.GRACE_S,
        **most: int,
    ) -> None:
        self.session = session
        self.closing = False
        self._describe = describe
        self._server = server
        self._version = version
        self._admission = Admission(**most)
        self._grace_s = grace_s
        self.refusal: Callable[[Peer, messages.Request], str | None] = lambda peer, request: None
        self.trusts: Callable[[Peer], bool] = lambda peer: True
        self._now = 0.0
        self._peers: dict[Peer, _PeerState] = {}
        self._strangers: dict[Peer, deque[_Outgoing]] = {}  # answers to those who are not greeted

    # --- from the peers ---

    def receive(self, peer: Peer, raw: Sequence[frames.Frame], now: float) -> list[Event]:
        """Take one message of `peer` (its frames without the identity)."""
        try:
            message = messages.decode(raw, sender="client")
        except RemoteProtocolError as error:
            return self._refuse(peer, str(error))
        if isinstance(message, messages.Hello):
            return self._greet(peer, message, now)
        state = self._peers.get(peer)
        if state is None:
            # cancel has no answer of its own, so none is given here either
            if not isinstance(message, messages.Cancel):
                self._tell_stranger(peer, _id_of_request(message), "hello_first", "Say hello first.", retryable=True)
            return []
        state.heard_at = now
        if isinstance(message, messages.Unknown):
            sentence = _unknown(message.type, state.protocol)
            self._put(peer, messages.Error(id=message.id, code="unknown_type", message=sentence))
            return []
        if isinstance(message, messages.Ping):
            self._put(peer, messages.Pong(id=message.id))
            return []
        if isinstance(message, messages.Cancel):
            return self._end_early(peer, message.id, "cancelled", "Cancelled; everything finished so far is kept.")
        assert isinstance(message, messages.Request)
        if message.id in state.pending:
            return self._refuse(peer, f"The id {message.id} is still in use.")
        return self._accept(peer, state, message, sum(map(len, raw)))

    def _greet(self, peer: Peer, hello: messages.Hello, now: float) -> list[Event]:
        if versions.agreed_minor(hello.protocol) is None:
            self._tell_stranger(peer, None, "version", versions.refusal(PROTOCOL, hello.protocol))
            return self.peer_gone(peer, "speaks another version of the protocol")
        events: list[Event] = []
        if peer not in self._peers:
            if (sentence := self._admission.of_peer(len(self._peers))) is not None:
                self._tell_stranger(peer, None, "busy", sentence, retryable=True)
                return []
            self._peers[peer] = _PeerState()
            events.append(PeerJoined(peer, hello.client, hello.version))
        state = self._peers[peer]
        state.heard_at, state.gone_since, state.protocol = now, None, hello.protocol
        # what was refused before this hello is said before the welcome, so that the client can ask again
        state.outbox.extend(self._strangers.pop(peer, ()))
        for id in [id for id in state.pending if id not in hello.pending]:
            events += self._end_early(peer, id, "cancelled", "The client does not wait for this any more.")
        told = dict(self._describe())
        if not self.trusts(peer):
            told.pop("notices", None)
        welcome = messages.Welcome(
            server=self._server,
            version=self._version,
            protocol=PROTOCOL,
            session=self.session,
            limits={**self._admission.shown(), "grace_s": self._grace_s},
            pending=tuple(state.pending),
            **told,
        )
        self._put(peer, welcome)
        state.told_at = now
        return events

    def _accept(self, peer: Peer, state: _PeerState, request: messages.Request, nbytes: int) -> list[Event]:
        if self.closing:
            self._answer(peer, request.id, "shutting_down", "The backend is closing; start it again.", retryable=True)
            return []
        if (sentence := self.refusal(peer, request)) is not None:
            self._answer(peer, request.id, "forbidden", sentence, retryable=False)
            return []
        if request.type == "shutdown":
            self._put(peer, messages.Result(id=request.id))
            return [*self.shut_down("a client asked for it"), ShutdownRequested(peer)]
        if (sentence := self._admission.of_size(nbytes)) is not None:
            self._answer(peer, request.id, "too_large", sentence, retryable=False)
            return []
        events: list[Event] = []
        if request.slot is not None:
            older = [i for i, p in state.pending.items() if p.slot == request.slot and not p.running]
            for id in older:
                events += self._end_early(peer, id, "superseded", "A newer request in the same slot replaced this one.")
        others = (pending.nbytes for peer in self._peers.values() for pending in peer.pending.values())
        if (sentence := self._admission.of_request(nbytes, len(state.pending), others)) is not None:
            self._answer(peer, request.id, "busy", sentence, retryable=True)
            return events
        state.pending[request.id] = _Pending(slot=request.slot, nbytes=nbytes)
        return [*events, RequestArrived(peer, request)]

    def _end_early(self, peer: Peer, id: int, code: str, sentence: str) -> list[Event]:
        """A queued request ends now with an error; a running one is asked to stop, once."""
        pending = self._peers[peer].pending.get(id)
        if pending is None:
            return []
        if not pending.running:
            self._finish(peer, id, messages.Error(id=id, code=code, message=sentence))
            return [RequestWithdrawn(peer, id, code)]
        if pending.cancelling:
            return []
        pending.cancelling = True
        return [CancelRequested(peer, id, code)]

    # --- from the worker ---

    def is_greeted(self, peer: Peer) -> bool:
        """Whether the peer said hello and was welcomed, and has not been forgotten."""
        return peer in self._peers

    def is_pending(self, peer: Peer, id: int) -> bool:
        """Whether somebody still waits for the answer."""
        return peer in self._peers and id in self._peers[peer].pending

    def started(self, peer: Peer, id: int) -> bool:
        """Mark a queued request as running. False: it was withdrawn meanwhile, do not start it."""
        if not self.is_pending(peer, id):
            return False
        self._peers[peer].pending[id].running = True
        return True

    def progress(
        self,
        peer: Peer,
        id: int,
        *,
        done: int,
        total: int,
        stage: str = "",
        eta_s: float | None = None,
        numbers: Mapping[str, float] | None = None,
        preview: np.ndarray | None = None,
    ) -> bool:
        """Keep the newest report of a running request; `tick` lets at most ten a second out. False: nobody waits.

        `done` never goes back on the wire: a smaller one is raised to the largest so far.
        A preview that has not left yet is kept when a report without one follows.
        Raises  LocalProtocolError for a preview that is not uint8 [H, W, 3]
        """
        if not self.is_pending(peer, id):
            return False
        pending = self._peers[peer].pending[id]
        pending.done = max(pending.done, int(done))
        if preview is None and pending.newest is not None:
            preview = pending.newest.arrays.get("preview")
        pending.newest = messages.Progress(
            id=id,
            done=pending.done,
            total=max(int(total), pending.done) if total else 0,
            stage=stage[: limits.MAX_TEXT],
            eta_s=float(eta_s) if eta_s is not None and math.isfinite(eta_s) and eta_s >= 0 else None,
            numbers={name: float(value) for name, value in (numbers or {}).items()},
            arrays={} if preview is None else {"preview": preview},
        )
        return True

    def result(
        self,
        peer: Peer,
        id: int,
        value: Mapping[str, Any] | None = None,
        arrays: Mapping[str, np.ndarray] | None = None,
    ) -> bool:
        """End a request well. An answer over the size limits becomes the error `too_large`. False: nobody waits.

        arrays  must not change any more: they leave without a copy
        """
        return self._finish(peer, id, messages.Result(id=id, value=value or {}, arrays=arrays or {}))

    def fail(self, peer: Peer, id: int, code: str, message: str, *, retryable: bool = False) -> bool:
        """End a request with an error of one of errors.REQUEST_ERRORS' codes. False: nobody waits."""
        sentence = message if len(message) <= limits.MAX_TEXT else message[: limits.MAX_TEXT - 1] + "…"
        return self._finish(peer, id, messages.Error(id=id, code=code, message=sentence, retryable=retryable))

    def _finish(self, peer: Peer, id: int, end: messages.Result | messages.Error) -> bool:
        if not self.is_pending(peer, id):
            return False
        try:
            raw = messages.encode(end, copy=False)
        except TooLargeToSend as error:
            raw = messages.encode(messages.Error(id=id, code="too_large", message=str(error)))
        del self._peers[peer].pending[id]
        self._peers[peer].outbox.append(_Outgoing(raw, droppable=False))
        return True

    # --- time and the transport ---

    def tick(self, now: float) -> list[Event]:
        """Let due progress out to peers that are heard, say something to waiting ones that have heard nothing for
        KEEPALIVE_S (UNHEARD_S where they said nothing for so long), and forget those that wait for nothing and said
        nothing for FORGET_S (they are greeted again when they come back)."""
        for peer, state in self._peers.items():
            unheard = now - state.heard_at >= limits.UNHEARD_S
            keepalive_s = limits.UNHEARD_S if unheard else limits.KEEPALIVE_S
            for id, pending in state.pending.items():
                if (
                    pending.newest is not None
                    and not unheard
                    and now - pending.sent_at >= limits.PROGRESS_INTERVAL_S
                    and not state.outbox
                ):
                    self._put(peer, pending.newest, droppable=True)
                    pending.last = _without_preview(pending.newest)
                    pending.newest, pending.sent_at, state.told_at = None, now, now
                elif now - state.told_at >= keepalive_s and not state.outbox:
                    stage = "waiting" if not pending.running else "working"
                    known = pending.newest or pending.last
                    again = known or messages.Progress(id=id, done=pending.done, total=0, stage=stage)
                    self._put(peer, _without_preview(again), droppable=True)
                    state.told_at = now
        self._now = now
        gone = [p for p, s in self._peers.items() if s.gone_since is not None and now - s.gone_since >= self._grace_s]
        events = [event for peer in gone for event in self._leave(peer, "vanished")]
        idle = [peer for peer, s in self._peers.items() if not s.pending and now - s.heard_at >= limits.FORGET_S]
        return events + [event for peer in idle for event in self._leave(peer, "was silent")]

    def flush(self, send: Callable[[Peer, frames.Frames], Sending]) -> list[Event]:
        """Hand everything that waits to the transport, which must not block. Progress to a peer that does not read or
        has gone is dropped; results are kept up to a limit, beyond which the peer is dropped."""
        events: list[Event] = []
        waiting = [peer for peer, state in self._peers.items() if state.outbox]
        while waiting:  # in turns, so that nobody's pong waits behind all answers to a flood
            waiting = [peer for peer in waiting if self._send_next(peer, send, events)]
        for peer, outbox in list(self._strangers.items()):
            for outgoing in outbox:
                send(peer, outgoing.frames)
            del self._strangers[peer]
        return events

    def _send_next(self, peer: Peer, send: Callable[[Peer, frames.Frames], Sending], events: list[Event]) -> bool:
        """Send one message. True: there are more, and the peer takes them."""
        state = self._peers[peer]
        outcome = send(peer, state.outbox[0].frames)
        if outcome is Sending.SENT:
            state.outbox.popleft()
            state.gone_since = None
            return bool(state.outbox)
        if outcome is Sending.GONE and state.gone_since is None:
            state.gone_since = self._now
        if not self._keep_for_later(state.outbox):
            events += self._leave(peer, "stopped reading")
        return False

    @staticmethod
    def _keep_for_later(outbox: deque[_Outgoing]) -> bool:
        """Drop what may be dropped. False: the rest is over the limit."""
        kept = [outgoing for outgoing in outbox if not outgoing.droppable]
        outbox.clear()
        outbox.extend(kept)
        nbytes = sum(outgoing.nbytes for outgoing in kept)
        return len(kept) <= 1 or (len(kept) <= limits.MAX_QUEUED_MESSAGES and nbytes <= limits.MAX_QUEUED_BYTES)

    # --- ends ---

    def disconnected(self, peer: Peer, now: float) -> list[Event]:
        """The peer's connection ended. If it waits for something, that goes on for the grace time: it may come back."""
        state = self._peers.get(peer)
        if state is None:
            return []
        if not state.pending and not state.outbox:
            return self._leave(peer, "has gone")
        if state.gone_since is None:
            state.gone_since = now
        return []

    def peer_gone(self, peer: Peer, reason: str = "vanished") -> list[Event]:
        """The transport knows that the peer has left."""
        return self._leave(peer, reason) if peer in self._peers else []

    def shut_down(self, reason: str) -> list[Event]:
        """Refuse new requests and end all pending ones. Flush once more before closing the socket."""
        self.closing = True
        events: list[Event] = []
        for peer, state in self._peers.items():
            for id, pending in list(state.pending.items()):
                was_running, was_cancelling = pending.running, pending.cancelling
                self.fail(peer, id, "shutting_down", f"The backend is closing: {reason}.", retryable=True)
                if not was_running:
                    events.append(RequestWithdrawn(peer, id, "shutting_down"))
                elif not was_cancelling:
                    events.append(CancelRequested(peer, id, "shutting_down"))
        return events

    def _leave(self, peer: Peer, reason: str) -> list[Event]:
        state = self._peers.pop(peer)
        events: list[Event] = []
        for id, pending in state.pending.items():
            if not pending.running:
                events.append(RequestWithdrawn(peer, id, "peer_left"))
            elif not pending.cancelling:
                events.append(CancelRequested(peer, id, "peer_left"))
        return [*events, PeerLeft(peer, reason)]

    def _refuse(self, peer: Peer, sentence: str) -> list[Event]:
        """The peer broke the contract: forget it, and tell it why."""
        self._tell_stranger(peer, None, "bad_message", sentence)
        return self.peer_gone(peer, f"broke the contract: {sentence}")

    def _answer(self, peer: Peer, id: int, code: str, sentence: str, *, retryable: bool) -> None:
        self._put(peer, messages.Error(id=id, code=code, message=sentence, retryable=retryable))

    def _tell_stranger(self, peer: Peer, id: int | None, code: str, sentence: str, *, retryable: bool = False) -> None:
        error = messages.Error(id=id, code=code, message=sentence[: limits.MAX_TEXT], retryable=retryable)
        self._strangers.setdefault(peer, deque(maxlen=64)).append(_Outgoing(messages.encode(error), droppable=True))

    def _put(self, peer: Peer, message: messages.ServerMessage, *, droppable: bool = False) -> None:
        self._peers[peer].outbox.append(_Outgoing(messages.encode(message), droppable=droppable))


def _without_preview(progress: messages.Progress) -> messages.Progress:
    return replace(progress, arrays={})


def _id_of_request(message: messages.Message | messages.Unknown) -> int | None:
    return message.id if isinstance(message, messages.Request | messages.Unknown) else None


def _unknown(type: str, client: Sequence[int]) -> str:
    what = f"This backend ({VERSION}, protocol {versions.shown(PROTOCOL)}) does not know the request {type[:64]!r}; "
    if tuple(client) > PROTOCOL:
        return f"{what}the client is newer: update the backend."
    return f"{what}check its name."
