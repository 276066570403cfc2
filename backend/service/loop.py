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
from dataclasses import replace
from typing import Any

import zmq

from ...protocol import VERSION, messages, server_state
from ...protocol.errors import LocalProtocolError
from ...protocol.server_state import Sending, ServerConnection
from ..errors import LoomError
from ..job import Job, Progress
from .auth import Doorkeeper
from .device import Device
from .eta import Eta
from .gate import Gate
from .handlers import AT_ONCE, AT_THE_DESK, AT_THE_DOOR, HANDLERS, Answer, Context
from .jobs import Line, Ticket
from .outbox import Outbox, Wakeup
from .worker import Worker

log = logging.getLogger(__name__)

TURN_S = 0.05  # half the shortest interval between two progress messages of a job
MESSAGES_A_TURN = 64  # read at most so many before the others' answers go out


class Loop:
    """One running service. `run` blocks until a client, a signal or the parent's end asks it to stop.

    router      bound, with NOBLOCK sends in mind: ROUTER_MANDATORY, LINGER 0
    context     what handlers work with; its `status` is set to this loop's
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
    ) -> None:
        self._router = router
        self._gate = gate
        self._doorkeeper = doorkeeper
        self._wakeup = wakeup
        self._machine = machine
        self._context = replace(context, status=self.status)
        self._device = device
        self._stop = stop
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
        while not self._stop.is_set():
            # While something was read there may be more; otherwise sleep until a socket or the bell.
            poller.poll(0 if self._turn() else int(TURN_S * 1000))
        self._act(self._machine.shut_down("it was told to stop"))
        self._send_all()

    def _turn(self) -> bool:
        """Everything that can be done without waiting. True: there may be more to read."""
        self._wakeup.clear()
        self._doorkeeper.answer()
        self._gate.look(time.monotonic())
        more = self._receive()
        for peer in self._gate.left():  # after what they had said was read
            self._act(self._machine.disconnected(peer, time.monotonic()))
        self._take_from_workers()
        self._act(self._machine.tick(time.monotonic()))
        self._send_all()
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
        for _ in range(MESSAGES_A_TURN):
            try:
                # Without a copy, since only so it tells by which connection it came.
                identity = self._router.recv(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return False
            peer, frames = identity.bytes, self._router.recv_multipart()
            self._act(self._machine.receive(peer, frames, time.monotonic()))
            self._gate.heard(identity.get(zmq.SRCFD), peer, self._machine.is_greeted(peer), time.monotonic())
        return True

    def _send_all(self) -> None:
        self._act(self._machine.flush(self._send))

    def _send(self, peer: server_state.Peer, frames: list[bytes]) -> Sending:
        assert isinstance(peer, bytes)
        try:
            # Without a copy: the frames are the machine's own bytes and never change.
            self._router.send_multipart([peer, *frames], zmq.NOBLOCK, copy=False)
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
                    log.info("job id=%d withdrawn reason=%s", request_id, reason)
                    any(line.withdraw(peer, request_id) for line in self._lines.values())
                case server_state.CancelRequested(peer, request_id, reason):
                    log.info("job id=%d stopping reason=%s", request_id, reason)
                    any(line.stop(peer, request_id) for line in self._lines.values())
                case server_state.PeerJoined(peer, client, version):
                    log.info("client %s joined: %s %s", peer.hex()[:8], client, version)
                case server_state.PeerLeft(peer, reason):
                    log.info("client %s left: %s", peer.hex()[:8], reason)
                case server_state.ShutdownRequested():
                    log.info("a client asked for the end")
                    self._stop.set()

    # --- the work ---

    def _accept(self, peer: bytes, request: messages.Request) -> None:
        ticket = Ticket(
            peer=peer, id=request.id, type=request.type, params=dict(request.params), arrays=dict(request.arrays)
        )
        if request.type in AT_ONCE:
            self._machine.started(peer, request.id)
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
        return HANDLERS[ticket.type](self._context, ticket.params, ticket.arrays, job)

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
        running = [line.running for line in self._lines.values() if line.running is not None]
        jobs = [_shown(ticket) for ticket in running] + [_shown(t) for line in self._lines.values() for t in line]
        return {
            "state": "busy" if running else "idle",
            "device": self._device.label,
            "memory_mib": self._device.memory_mib,
            "jobs": jobs,
            "queued": sum(map(len, self._lines.values())),
            "version": VERSION,
        }


def _shown(ticket: Ticket) -> dict[str, Any]:
    progress = ticket.progress or Progress(done=0, total=0, stage="")
    return {
        "id": ticket.id,
        "type": ticket.type,
        "stage": progress.stage,
        "done": progress.done,
        "total": progress.total,
    }
