"""The I/O thread: it alone touches the ROUTER and the protocol machine, and it never waits for work.

Requests go into a line for each worker and from there to the worker when it is free; reports and answers come back
through the outbox, whose bell wakes the poll. So a ping is answered, and a cancel set, between two polls, however long
a step of the work takes: PyTorch releases Python's global lock inside its operations, and `server.serve` shortens the
interval after which pure Python code has to hand it over.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Container
from dataclasses import replace
from typing import Any

import zmq

from ...protocol import messages, server_state, transport
from ...protocol.errors import LocalProtocolError
from ...protocol.server_state import Sending, ServerConnection
from ..errors import LoomError
from ..job import Job, Progress
from ..roots import ANYWHERE, Roots, within
from .auth import Doorkeeper
from .device import Device
from .eta import Eta
from .gate import Gate
from .guests import OWNER, refusal
from .handlers import AT_ONCE, AT_THE_DESK, AT_THE_DOOR, HANDLERS, Answer, Context
from .jobs import Line, Ticket
from .journal import about
from .outbox import Outbox, Wakeup
from .status import value_of_status
from .tally import Client, Tally
from .worker import Worker

log = logging.getLogger(__name__)

TURN_S = 0.05  # half the shortest interval between two progress messages of a job
MESSAGES_A_TURN, RECEIVE_S = 64, 0.01
"""So much is read before the answers to it go out. Both, since what a message costs differs a thousandfold: while a
worker runs pure Python code, each call into ZeroMQ may have to wait `server.SWITCH_INTERVAL_S` for its way back."""


class Loop:
    """One running service. `run` blocks until a client, a signal or the parent's end asks it to stop.

    router      bound, with NOBLOCK sends in mind: ROUTER_MANDATORY, LINGER 0
    context     what handlers work with; its `status` is set to this loop's
    owner_roots, guest_roots  where the paths lead that the owner, and clients with a key, may name
    """

    def __init__(
        self,
        *,
        router: zmq.Socket,
        gate: Gate,
        doorkeeper: Doorkeeper,
        wakeup: Wakeup,
        machine: ServerConnection,
        context: Context,
        device: Device,
        stop: threading.Event,
        unload_after_s: float = 0.0,
        owner_roots: Roots = ANYWHERE,
        guest_roots: Roots = ANYWHERE,
    ) -> None:
        self._router = router
        self._gate = gate
        self._doorkeeper = doorkeeper
        self._wakeup = wakeup
        self._machine = machine
        machine.refusal, machine.trusts = self.refusal, self.trusts
        self._contexts = {owns: replace(context, status=self.status, for_owner=owns) for owns in (True, False)}
        self._device = device
        self._stop = stop
        self._owner_roots, self._guest_roots = owner_roots, guest_roots
        self.tally = Tally()
        self._speaker = OWNER  # the user whose message is being taken
        self._pending: dict[tuple[bytes, int], Ticket] = {}
        self._outbox = Outbox(wakeup)
        self._workers = {
            name: Worker(name, self._handle, self._outbox, unload_after_s=unload_after_s if name == "device" else 0.0)
            for name in ("device", "desk", "door")
        }
        self._lines = {name: Line() for name in self._workers}
        self._etas: dict[Ticket, Eta] = {}

    # --- the loop ---

    def run(self) -> None:
        for worker in self._workers.values():
            worker.start()
        poller = zmq.Poller()
        for socket in (self._router, self._gate.monitor, self._doorkeeper.socket, self._wakeup.reader):
            poller.register(socket, zmq.POLLIN)
        more = True
        while not self._stop.is_set():
            # While something was read there may be more; otherwise sleep until a socket or the bell.
            ready = {socket for socket, _ in poller.poll(0 if more else int(TURN_S * 1000))}
            more = self._turn(ready)
        self._act(self._machine.shut_down("it was told to stop"))
        self._send_all()

    def _turn(self, ready: Container[Any]) -> bool:
        """Everything that can be done without waiting. True: there may be more to read.

        ready  what can be read, as a poller says it: sockets, and the bell's file descriptor
        """
        if self._wakeup.reader.fileno() in ready:
            self._wakeup.clear()
        if self._doorkeeper.socket in ready:
            self._doorkeeper.answer()
        self._gate.look(time.monotonic(), self._gate.monitor in ready)
        more = self._router in ready and self._receive()
        for peer in self._gate.left():  # after what they had said was read
            self._act(self._machine.disconnected(peer, time.monotonic()))
        self._take_from_workers()
        self._act(self._machine.tick(time.monotonic()))
        self._send_all()
        self.tally.pending = len(self._pending)
        return more

    def end_workers(self, limit_s: float) -> bool:
        """Ask all work to stop and wait so long for it. False: a job did not react."""
        deadline_s = time.monotonic() + limit_s
        for line in self._lines.values():
            if line.running is not None:
                line.running.stop.set()
        for worker in self._workers.values():
            worker.end()
        for worker in self._workers.values():
            worker.join(max(0.0, deadline_s - time.monotonic()))
        return not any(worker.is_alive() for worker in self._workers.values())

    # --- the wire ---

    def _receive(self) -> bool:
        until_s = time.monotonic() + RECEIVE_S
        for _ in range(MESSAGES_A_TURN):
            if (parts := transport.receive(self._router)) is None:
                return False
            first, *rest = parts
            peer, user, fd = first.bytes, self._doorkeeper.user_of(_shown(first)), first.get(zmq.SRCFD)
            now = time.monotonic()
            if user is None:
                self._gate.shut(fd, now, "its key was removed")
                self._act(self._machine.peer_gone(peer, "its key was removed"))
                continue
            self._hear(peer, user, rest)
            now = time.monotonic()
            self._gate.heard(fd, peer, self._machine.is_greeted(peer), now)
            if now >= until_s:
                break
        return True

    def _hear(self, peer: bytes, user: str, frames: list[zmq.Frame]) -> None:
        known = self.tally.clients.get(peer)
        if known is not None and known.user != user:  # another key under this client's name: its requests stay its own
            self._act(self._machine.peer_gone(peer, "another client took its name"))
        self._speaker = user
        self._act(self._machine.receive(peer, transport.contents(frames), time.monotonic()))

    def _send_all(self) -> None:
        self._act(self._machine.flush(self._send))

    def _send(self, peer: server_state.Peer, frames: list[bytes]) -> Sending:
        assert isinstance(peer, bytes)
        try:
            transport.send(self._router, [peer, *frames])  # they are the machine's own and never change
        except zmq.Again:
            return Sending.BLOCKED
        except zmq.ZMQError as error:
            if error.errno == zmq.EHOSTUNREACH:
                return Sending.GONE
            raise
        return Sending.SENT

    def _act(self, events: list[server_state.Event]) -> None:
        for event in events:
            match event:
                case server_state.RequestArrived(peer, request):
                    self._accept(peer, request)
                case server_state.RequestWithdrawn(peer, request_id, reason):
                    self._tell_early("withdrawn", peer, request_id, reason)
                    any(line.withdraw(peer, request_id) for line in self._lines.values())
                    if (ticket := self._pending.pop((peer, request_id), None)) is not None:
                        self.tally.end(ticket.type, reason, None)
                case server_state.CancelRequested(peer, request_id, reason):
                    self._tell_early("stopping", peer, request_id, reason)
                    any(line.stop(peer, request_id) for line in self._lines.values())
                case server_state.PeerJoined(peer, client, version):
                    self.tally.clients[peer] = Client(
                        name=client, version=version, user=self._speaker, since_s=time.monotonic()
                    )
                    fields = {"client": peer.hex()[:8], "name": client, "version": version, "user": self._speaker}
                    log.info("client %s joined: %s %s", peer.hex()[:8], client, version,
                             extra=about("client_joined", **fields))  # fmt: skip
                case server_state.PeerLeft(peer, reason):
                    self.tally.clients.pop(peer, None)
                    log.info("client %s left: %s", peer.hex()[:8], reason,
                             extra=about("client_left", client=peer.hex()[:8], reason=reason))  # fmt: skip
                case server_state.ShutdownRequested():
                    log.info("a client asked for the end", extra=about("shutdown"))
                    self._stop.set()

    # --- the work ---

    def _accept(self, peer: bytes, request: messages.Request) -> None:
        ticket = Ticket(
            peer=peer, id=request.id, type=request.type, params=dict(request.params), arrays=dict(request.arrays),
            user=self._user(peer),
        )  # fmt: skip
        self._pending[peer, request.id] = ticket
        if request.type in AT_ONCE:
            self._machine.started(peer, request.id)
            ticket.began_s = ticket.put_s
            self._finish(ticket, self._at_once(ticket))
            return
        where = "desk" if request.type in AT_THE_DESK else "door" if request.type in AT_THE_DOOR else "device"
        self._lines[where].put(ticket)
        self._dispatch()

    def _dispatch(self) -> None:
        """Give every free worker its next ticket."""
        for name, line in self._lines.items():
            while (ticket := line.take()) is not None:
                if self._machine.started(ticket.peer, ticket.id):
                    self._etas[ticket] = Eta()
                    self._workers[name].give(ticket)
                else:
                    line.finished(ticket)  # nobody waits for it any more

    def _handle(self, ticket: Ticket, job: Job) -> Answer:
        """What a worker does with a ticket, in the worker's thread."""
        job.check()
        owns = ticket.user == OWNER
        with within(self._owner_roots if owns else self._guest_roots):
            return HANDLERS[ticket.type](self._contexts[owns], ticket.params, ticket.arrays, job)

    def _at_once(self, ticket: Ticket) -> Answer | LoomError:
        try:
            return self._handle(ticket, Job())
        except LoomError as error:
            return error

    def _take_from_workers(self) -> None:
        progress, final = self._outbox.drain()
        for ticket, report in progress.items():
            self._report(ticket, report)
        for ticket, answer in final:
            self._finish(ticket, answer)
            for line in self._lines.values():
                line.finished(ticket)
            self._etas.pop(ticket, None)
        if final:
            self._dispatch()

    def _report(self, ticket: Ticket, report: Progress) -> None:
        eta = self._etas.get(ticket)
        try:
            self._machine.progress(
                ticket.peer,
                ticket.id,
                done=report.done,
                total=report.total,
                stage=report.stage,
                eta_s=eta.update(report, time.monotonic()) if eta is not None else None,
                numbers=report.numbers,
                preview=report.preview,
            )
        except LocalProtocolError:  # a bug of a job's; the loop and everybody else's work go on
            log.exception("job type=%s id=%d: its report cannot travel", ticket.type, ticket.id)

    def _finish(self, ticket: Ticket, answer: Answer | LoomError) -> None:
        peer, request_id = ticket.peer, ticket.id
        if self._pending.get((peer, request_id)) is ticket:
            del self._pending[peer, request_id]
        outcome = answer.code if isinstance(answer, LoomError) else "done"
        self.tally.end(ticket.type, outcome, time.monotonic() - (ticket.began_s or ticket.put_s))
        if isinstance(answer, LoomError):
            self._machine.fail(peer, request_id, answer.code, str(answer), retryable=answer.retryable)
            return
        try:
            self._machine.result(peer, request_id, answer.value, answer.arrays)
        except LocalProtocolError as error:
            log.exception("job type=%s id=%d: its answer cannot travel", ticket.type, request_id)
            self._machine.fail(peer, request_id, "internal", f"The backend made an answer that cannot travel: {error}")

    def status(self) -> dict[str, Any]:
        """The value of `status`; for the I/O thread alone."""
        return value_of_status(self._device, self._lines, self._etas, self.tally, self._doorkeeper, self._gate)

    # --- who ---

    def _user(self, peer: bytes) -> str:
        client = self.tally.clients.get(peer)
        return client.user if client is not None else self._speaker

    def trusts(self, peer: server_state.Peer) -> bool:
        """For the protocol machine: whether this peer may hear of this machine's files."""
        assert isinstance(peer, bytes)
        return self._user(peer) == OWNER

    def refusal(self, peer: server_state.Peer, request: messages.Request) -> str | None:
        """For the protocol machine: why this peer may not ask this."""
        assert isinstance(peer, bytes)
        return refusal(self._user(peer), request.type, request.params)

    def _tell_early(self, what: str, peer: bytes, request_id: int, reason: str) -> None:
        fields = {"client": peer.hex()[:8], "id": request_id, "reason": reason}
        log.info("job id=%d %s reason=%s", request_id, what, reason, extra=about(f"job_{what}", **fields))


def _shown(frame: zmq.Frame) -> str:
    """What the handshake let this connection in with; libzmq gives it to every message."""
    try:
        return str(frame.get("User-Id"))
    except (zmq.ZMQError, ValueError):
        return ""  # nobody: without the handshake there is no message, so this is a bug, and must open nothing
