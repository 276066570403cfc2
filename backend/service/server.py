"""`serve`: from settings to a process that listens, and to its end in order.

Order of the start: bind (a taken address is refused at once), import PyTorch (seconds), write the connection file,
answer. So a client that finds the file is welcomed without delay, a `welcome` always knows its device, and whoever
started the process waits for the file to appear or for the process to exit, and can say which.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zmq

from ...protocol import VERSION, connection_file, limits
from ...protocol.server_state import ServerConnection
from ..errors import AddressTaken, BadRequest, CannotWrite
from ..roots import Roots
from . import journal, keyring, parent
from .auth import Doorkeeper
from .device import Device, find_device, leave_room_for_others
from .gate import Gate, ask_for_files
from .handlers import HANDLERS, Context
from .loop import Loop
from .metrics import Exposition
from .neighbour import refuse_to_displace
from .outbox import Wakeup
from .porch import Porch
from .settings import ServeSettings

log = logging.getLogger(__name__)

SWITCH_INTERVAL_S = 0.001
"""Pure Python code in a worker gives way to the I/O thread after so long (Python's default: 5 ms each time)."""

HANDSHAKE_MS = 10_000
GOODBYE_MS = 1_000
"""How long the last answers may take to leave when the backend ends."""


def serve(settings: ServeSettings) -> None:
    """Run the backend until a client's `shutdown`, SIGINT, SIGTERM or the parent's end.

    Raises  AddressTaken (its connection file, too, may be a living backend's), BadRequest (an address that does not
            exist here), CannotWrite (the connection file, the log)
    """
    _start_log(settings)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    ask_for_files()
    stop, orphaned, wakeup = threading.Event(), threading.Event(), Wakeup()

    def end() -> None:
        stop.set()
        wakeup.ring()

    token = connection_file.new_token()
    zmq_context = zmq.Context()
    owners_keys = keyring.new_pair() if settings.curve is not None else None
    doorkeeper = Doorkeeper(zmq_context, token, settings.curve, keyring.known(settings, owners_keys))
    try:
        with _signals(end):
            router, gate = _bind(zmq_context, doorkeeper, settings.address)
            if settings.parent_stdin:
                orphaned = parent.watch_parent(end)
            try:
                bound = _Bound(
                    settings=settings, router=router, gate=gate, doorkeeper=doorkeeper, wakeup=wakeup, stop=stop,
                    token=token, session=connection_file.new_session(), owners_keys=owners_keys,
                )  # fmt: skip
                ended = _run(bound)
            finally:
                gate.close()
                router.close(linger=GOODBYE_MS)
    finally:
        doorkeeper.close()
        zmq_context.term()
        wakeup.close()
    if not ended:
        log.warning("a job did not stop in time; ending without it")
    if not ended or orphaned.is_set():
        # Taking Python down with PyTorch in it takes a second, and with a job still computing it can hang or crash;
        # nobody waits for our return value any more, and all files are whole at any moment.
        logging.shutdown()
        os._exit(0)


@dataclass(kw_only=True)
class _Bound:
    """What there is between bind and close.

    owners_keys  (public, secret) of the owner's client, for the connection file; None without CURVE
    """

    settings: ServeSettings
    router: zmq.Socket
    gate: Gate
    doorkeeper: Doorkeeper
    wakeup: Wakeup
    stop: threading.Event
    token: str
    session: str
    owners_keys: tuple[str, str] | None


def _run(bound: _Bound) -> bool:
    """Everything between bind and close. False: a job still runs."""
    settings = bound.settings
    _load(settings)
    device = find_device()
    loop = _loop(bound, device)
    _write_connection_file(bound, device)
    metrics = None
    if settings.metrics is not None:
        metrics = Exposition(settings.metrics, loop.tally, bound.doorkeeper, bound.gate)
    try:
        with metrics or nullcontext():
            loop.run()
    finally:
        connection_file.remove(settings.connection_file, bound.session)
    return loop.end_workers(settings.end_limit_s)


def _load(settings: ServeSettings) -> None:
    """Import what the work needs: seconds, and later, beside the loop, each such import would hold up a ping."""
    import open_clip  # noqa: F401
    import torch

    from ..adaptation import adapt  # noqa: F401
    from ..models import store  # noqa: F401

    gc.collect()
    gc.freeze()  # what was imported stays anyway; looking through it again and again would hold up pings for 0.1 s
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    else:
        leave_room_for_others()


def _loop(bound: _Bound, device: Device) -> Loop:
    """The store looked through, and the loop that serves it."""
    from ..models.integrity import tidy
    from ..models.memory import MODELS
    from ..models.store import Store

    settings = bound.settings
    store = Store(settings.data, device=device.torch_name)
    MODELS.set_budget(store.device, settings.models_mib)
    notices = tidy(store.root)
    machine = ServerConnection(
        session=bound.session,
        describe=lambda: {
            "device": device.label,
            "memory_mib": device.memory_mib,
            "generators": ["builtin"] * store.builtin.exists() + _names(store.root / "generators"),
            "styles": _names(store.root / "styles"),
            "capabilities": sorted(HANDLERS),
            "notices": notices or None,
        },
    )
    secret = (keyring.folder(store.root), settings.connection_file or connection_file.default_path())
    roots = settings.roots or None
    return Loop(
        router=bound.router,
        gate=bound.gate,
        doorkeeper=bound.doorkeeper,
        wakeup=bound.wakeup,
        machine=machine,
        context=Context(store=store),
        device=device,
        stop=bound.stop,
        unload_after_s=settings.unload_after_s,
        owner_roots=Roots(folders=roots, secret=secret),
        guest_roots=Roots(folders=roots or (), secret=secret),
    )


def _write_connection_file(bound: _Bound, device: Device) -> None:
    """From here on clients find this backend."""
    settings, address = bound.settings, bound.router.getsockopt_string(zmq.LAST_ENDPOINT)
    info = connection_file.ConnectionInfo(
        address=keyring.nearby(address), token=bound.token, pid=os.getpid(), session=bound.session,
        server_key=settings.curve.public_key if settings.curve is not None else None, client_keys=bound.owners_keys,
    )  # fmt: skip
    refuse_to_displace(settings.connection_file)
    with _cannot_write("connection file", settings.connection_file or connection_file.default_path()):
        written = connection_file.write(info, settings.connection_file)
    about = {"address": address, "device": device.label, "version": VERSION, "session": bound.session}
    log.info("listening on %s, device %s, connection file %s", address, device.label, written,
             extra=journal.about("listening", **about, pid=os.getpid()))  # fmt: skip


def _names(folder: Path) -> list[str]:
    """Names of the models in a store's folder, without opening one: the I/O thread has no time to."""
    return sorted(path.stem for path in folder.glob("*.safetensors") if not path.name.startswith("."))


def _bind(context: zmq.Context, doorkeeper: Doorkeeper, address: str) -> tuple[zmq.Socket, Gate]:
    """A ROUTER that lets in whom the doorkeeper allows, and its gate. Raises AddressTaken, BadRequest."""
    router = context.socket(zmq.ROUTER)
    for option, value in (
        (zmq.LINGER, 0),
        (zmq.ROUTER_MANDATORY, 1),  # a send to a client that is gone fails instead of vanishing
        (zmq.ROUTER_HANDOVER, 1),  # a client that comes back is itself, before its old connection is known to be dead
        (zmq.MAXMSGSIZE, limits.MAX_FRAME_BYTES),
        (zmq.SNDHWM, limits.HIGH_WATER_MARK),
        (zmq.RCVHWM, limits.HIGH_WATER_MARK),
        (zmq.HANDSHAKE_IVL, HANDSHAKE_MS),
        (zmq.HEARTBEAT_IVL, limits.HEARTBEAT_INTERVAL_MS),
        (zmq.HEARTBEAT_TIMEOUT, limits.HEARTBEAT_TIMEOUT_MS),
        (zmq.HEARTBEAT_TTL, limits.HEARTBEAT_TTL_MS),
    ):
        router.setsockopt(option, value)
    doorkeeper.secure(router)
    gate = Gate(router, Porch())
    try:
        router.bind(address)
    except zmq.ZMQError as error:
        gate.close()
        router.close()
        if error.errno == zmq.EADDRINUSE:
            raise AddressTaken(
                f"Another program listens on {address}, perhaps a backend that runs already; "
                "use that one, stop it, or take another port (port 0: any free one)."
            ) from None
        raise BadRequest(f"Cannot listen on {address} ({error.strerror}); use tcp://127.0.0.1:0.") from None
    return router, gate


@contextmanager
def _signals(end: Callable[[], None]) -> Iterator[None]:
    """SIGINT and SIGTERM end the service in order; the second one ends the process at once."""
    if threading.current_thread() is not threading.main_thread():
        yield  # a test or a host program that runs the service in a thread keeps its own signals
        return
    seen: list[int] = []

    def on_signal(number: int, frame: Any) -> None:
        if seen:
            os._exit(128 + number)
        seen.append(number)
        end()

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _cannot_write(what: str, path: Path) -> Iterator[None]:
    """An OSError inside becomes a sentence about the file called `what`."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise CannotWrite(f"Cannot write the {what} {str(path)!r} ({reason}); choose another place for it.") from error


def _start_log(settings: ServeSettings) -> None:
    logger = logging.getLogger(__name__.rpartition(".")[0])
    with _cannot_write("log file", settings.log_file or Path("-")):
        journal.tell(logger, settings.log_file)
