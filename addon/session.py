# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-on's side of one backend: its state, its lists and its jobs. No bpy, no thread, and nothing here waits.

    OFF -> STARTING -> CONNECTING -> READY <-> LOST
           (a child of    |                      ^  the client tries again by itself
            ours)         +----------------------+

`tick` moves it on: it watches the child, reads the socket until it is empty, and returns what has changed. The panels
read the attributes and call nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..protocol.client import BackendLost, Client, Connected, Failed, Finished, Lost, Progressed
from ..protocol.messages import Welcome
from . import troubles
from .child import Child, Launch
from .job import CANCELLED, FAILED, FINISHED, Job
from .remote import Remote
from .troubles import Trouble

OFF, STARTING, CONNECTING, READY, LOST = "OFF", "STARTING", "CONNECTING", "READY", "LOST"
# What one tick may take of Blender's main thread for reading; the rest is read at the next.
READ_BUDGET_S = 0.008
# Requests that the add-on makes by itself, beside the quiet ones: they are no work.
LISTS = frozenset({"models", "styles", "textures"})


@dataclass
class Changes:
    """What a tick brought: jobs that ended, and whether anything that is drawn has changed."""

    ended: list[Job] = field(default_factory=list)
    redraw: bool = False


def _client_of(there: Remote) -> Client:
    return Client(there.address, "", server_key=there.server_key, client_keys=there.client_keys)


class Session:
    """state    one of the states above
    trouble  what to tell the user, or None
    notice   good news worth a line, or ""
    welcome  what the backend said of itself: device, memory_mib, version, ...
    log      what the backend that was started here last writes to; None = none was
    """

    def __init__(
        self,
        *,
        open_client: Callable[[Path], Client] = Client.from_connection_file,
        open_remote: Callable[[Remote], Client] = _client_of,
        open_child: Callable[..., Child] = Child,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.state = OFF
        self.trouble: Trouble | None = None
        self.notice = ""
        self.welcome: Welcome | None = None
        self.generators: Sequence[Mapping[str, Any]] = ()
        self.clips: Sequence[Mapping[str, Any]] = ()
        self.styles: Sequence[Mapping[str, Any]] = ()
        self.presets: Sequence[Mapping[str, Any]] = ()
        self.materials: Sequence[Mapping[str, Any]] = ()
        self.textures: Sequence[Mapping[str, Any]] = ()
        self.disk: Mapping[str, Any] = {}
        self.status: Mapping[str, Any] = {}
        self.jobs: dict[int, Job] = {}
        self.child: Child | None = None
        self.log: Path | None = None
        self._open_client = open_client
        self._open_remote = open_remote
        self._open_child = open_child
        self._clock = clock
        self._client: Client | None = None
        self._connection_file: Path | None = None
        self._changes = Changes()
        self._asked_status_s = float("-inf")

    # What the panels ask. Cheap: they ask on every redraw.

    @property
    def connected(self) -> bool:
        return self.state == READY

    @property
    def owns_backend(self) -> bool:
        """Whether the backend is a child of this Blender, so that it may be stopped from here."""
        return self.child is not None

    @property
    def backend_version(self) -> str:
        return self.welcome.version if self.welcome is not None else ""

    def running(self, *parts: str) -> Job | None:
        """The running job of one of the `parts` (see Job) that was asked for first, if any; quiet ones are nobody's
        business."""
        return next((job for job in self.jobs.values() if (job.part or job.type) in parts and not job.quiet), None)

    def steps_of(self, style: str) -> int | None:
        """How many steps of its training a style can be gone back; None where it is not known (here)."""
        entry = next((one for one in self.styles if one.get("name") == style), None)
        return None if entry is None else int(max(entry.get("snapshots") or (0,)))

    @property
    def hurried(self) -> bool:
        """Whether somebody moves a slider and waits for the picture."""
        return any(job.slot for job in self.jobs.values())

    @property
    def working(self) -> bool:
        """Whether the backend does something for the user."""
        return any(job.type not in LISTS and not job.quiet for job in self.jobs.values())

    @property
    def device(self) -> str:
        return self.status.get("device") or (self.welcome.device if self.welcome is not None else "") or ""

    @property
    def memory_mib(self) -> int:
        """Of the device, as the backend tells it; 0 = unknown."""
        return int(self.status.get("memory_mib") or (self.welcome.memory_mib if self.welcome is not None else 0) or 0)

    @property
    def memory_used_mib(self) -> int | None:
        """What the backend holds of the device's memory, or of the machine's; None = it does not say."""
        held = [self.status.get(name) for name in ("device_mib", "resident_mib")]
        known = [mib for mib in held if isinstance(mib, int | float)]
        return int(known[0] or known[-1]) if known else None

    @property
    def busy(self) -> bool:
        """Whether something is awaited, so that ticks should come quickly."""
        awaited = any(job.type != "status" for job in self.jobs.values())
        return awaited or self.state in (STARTING, CONNECTING) or (self.child is not None and self.state == OFF)

    # Coming and going.

    def start(self, launch: Launch) -> None:
        """Start a backend of our own; `tick` connects to it once it listens."""
        self.disconnect()
        launch.connection_file.unlink(missing_ok=True)
        self.log = launch.log
        try:
            self.child = self._open_child(launch.argv, launch.log)
        except OSError as error:
            self._complain(
                troubles.trouble(
                    f"Cannot run {launch.command[0]!r}: {error.strerror or error}; set up a backend or correct the "
                    "command in the preferences",
                    troubles.SETUP,
                )
            )
            return
        self._connection_file = launch.connection_file
        self._enter(STARTING)

    def connect(self, connection_file: Path) -> None:
        """Connect to a backend that runs already."""
        self.disconnect()
        if not connection_file.is_file():
            self._complain(troubles.no_connection_file(str(connection_file)))
            return
        self._open(connection_file)

    def connect_remote(self, there: Remote) -> None:
        """Connect to a backend on another computer, with keys."""
        self.disconnect()
        self._client = self._open_remote(there)
        self._enter(CONNECTING)

    def stop(self) -> None:
        """Ask our own backend to end, or just part from one that is not ours."""
        child = self.child
        if child is not None and self._client is not None and self.connected:
            self._client.send("shutdown", {})
            self._client.poll()
        self.disconnect(keep_child=True)
        if child is not None:
            child.begin_stop(self._clock())

    def disconnect(self, *, keep_child: bool = False) -> None:
        """Drop the connection; pending jobs fail. A child of ours is ended, unless `keep_child`."""
        if self._client is not None:
            self._client.close()
            self._client = None
        self._fail_all()
        if self.child is not None and not keep_child:
            self.child.end()
            self.child = None
        self.trouble = None
        self.welcome, self.status = None, {}
        self._enter(OFF)

    # Work.

    def submit(
        self,
        type: str,
        params: Mapping[str, Any],
        *,
        title: str = "",
        part: str = "",
        slot: str | None = None,
        arrays: Mapping[str, np.ndarray] | None = None,
        quiet: bool = False,
        on_end: Callable[[Job], None] | None = None,
    ) -> Job:
        """Send a request; what was said of an earlier one is forgotten, unless this is a `quiet` one (see Job).

        Raises  BackendLost where there is no backend to send it to
        """
        job = self._send(type, params, title=title, part=part, slot=slot, arrays=arrays, quiet=quiet, on_end=on_end)
        if not quiet:
            self.trouble, self.notice = None, ""
        return job

    def _send(
        self,
        type: str,
        params: Mapping[str, Any],
        *,
        title: str,
        part: str = "",
        slot: str | None = None,
        arrays: Mapping[str, np.ndarray] | None = None,
        quiet: bool = False,
        on_end: Callable[[Job], None] | None,
    ) -> Job:
        if self._client is None or not self.connected:
            raise BackendLost("There is no backend; start it or connect to one first.")
        number = self._client.send(type, dict(params), slot=slot, arrays=arrays)
        job = Job(
            id=number, type=type, title=title or type.capitalize(), part=part, slot=slot, quiet=quiet, on_end=on_end
        )
        self.jobs[number] = job
        self._changes.redraw |= not quiet
        return job

    def cancel(self, job: Job) -> None:
        if self._client is not None and job.running:
            job.cancelling = True
            self._client.cancel(job.id)
            self._changes.redraw = True

    def refresh(self) -> None:
        """Ask for the lists of generators, styles and kept textures. This is our own doing, so what the user was told
        stays."""
        self._send("models", {}, title="Reading the lists", on_end=self._take_models)
        self._send("styles", {}, title="Reading the lists", on_end=self._take_styles)
        self._send("textures", {}, title="Reading the lists", on_end=self._take_textures)

    def ask(self, type: str, params: Mapping[str, Any], *, on_end: Callable[[Job], None]) -> None:
        """Make a request of our own accord: what the user was told stays, and nothing is told of this."""
        self._send(type, params, title=type, quiet=True, on_end=on_end)

    def asks(self, type: str) -> bool:
        """Whether such a request of our own is under way."""
        return any(job.type == type for job in self.jobs.values())

    def ask_status(self, every_s: float) -> None:
        """Ask what the backend is at and how much memory it holds, at most so often."""
        now = self._clock()
        if self.connected and now - self._asked_status_s >= every_s and not self.asks("status"):
            self._asked_status_s = now
            self.ask("status", {}, on_end=self._take_status)

    def detach_jobs(self) -> None:
        """Another file is being loaded: what still runs may write to disk, but touch no data-block."""
        for job in self.jobs.values():
            job.detached = True

    def tick(self, wait_s: float = 0.0) -> Changes:
        """Move on: watch the child, read what the backend sent (waiting for the first at most `wait_s`)."""
        self._watch_child()
        if self.state == STARTING:
            self._await_connection_file(wait_s)
        if self._client is not None:
            for event in self._client.poll(wait_s, budget_s=READ_BUDGET_S):
                self._take(event)
        changes, self._changes = self._changes, Changes()
        return changes

    # The rest is how it does that.

    def _enter(self, state: str) -> None:
        self.state = state
        self._changes.redraw = True

    def _complain(self, trouble: Trouble) -> None:
        self.trouble = trouble
        self._changes.redraw = True

    def _open(self, connection_file: Path) -> None:
        self._connection_file = connection_file
        try:
            self._client = self._open_client(connection_file)
        except BackendLost as error:
            self._enter(OFF)
            self._complain(troubles.trouble(str(error), troubles.CONNECT))
            return
        self._enter(CONNECTING)

    def _await_connection_file(self, wait_s: float) -> None:
        path = self._connection_file
        if path is not None and path.is_file():
            self._open(path)
        elif wait_s:
            time.sleep(min(wait_s, 0.05))

    def _watch_child(self) -> None:
        child = self.child
        if child is None:
            return
        code = child.exit_code()
        if code is None:
            child.press(self._clock())
            return
        starting = self.state in (STARTING, CONNECTING)
        asked = self.state == OFF
        self.child = None
        self.disconnect()
        if starting:
            self._complain(troubles.stopped_while_starting(code, child.last_line()))
        elif not asked:
            self._complain(troubles.died(code))

    def _take(self, event: object) -> None:
        """Note one event of the client."""
        if isinstance(event, Connected):
            first = self.welcome is None or self.welcome.session != event.welcome.session
            self.welcome = event.welcome
            notices = event.welcome.notices if first else None
            self.trouble = troubles.moved_aside(notices) if notices else None
            self._enter(READY)
            self.refresh()
        elif isinstance(event, Lost):
            # The client goes on trying; a child of ours that died is noticed by its exit.
            self._complain(troubles.trouble(event.reason, troubles.START if self.owns_backend else troubles.CONNECT))
            self._enter(LOST)
        elif isinstance(event, Progressed):
            self._note_progress(event)
        elif isinstance(event, Finished):
            job = self.jobs.pop(event.id, None)
            if job is not None:
                job.value, job.arrays = event.value, event.arrays
                self._end(job, FINISHED)
        elif isinstance(event, Failed):
            job = self.jobs.pop(event.id, None)
            if job is not None:
                self._fail(job, event.error)

    def _note_progress(self, event: Progressed) -> None:
        job = self.jobs.get(event.id)
        if job is None:
            return
        job.done, job.total, job.stage, job.eta_s = event.done, event.total, event.stage, event.eta_s
        job.numbers = event.numbers
        if event.preview is not None:
            job.preview = event.preview
            job.preview_count += 1
        self._changes.redraw |= not job.quiet

    def _fail_all(self) -> None:
        for job in list(self.jobs.values()):
            self._fail(job, BackendLost("The backend was stopped before this was done."))
        self.jobs.clear()

    def _fail(self, job: Job, error: Exception) -> None:
        code = getattr(error, "code", "internal")
        job.trouble = troubles.from_code(code, str(error), about=job.slot or job.part or job.type)
        if job.quiet:
            pass  # whoever asked decides whether it is worth telling
        elif code not in troubles.SILENT:
            self.trouble = job.trouble
        elif job.cancelling:
            self.notice = str(error)  # it may say what was kept
        self._end(job, CANCELLED if code in troubles.SILENT else FAILED)

    def _end(self, job: Job, state: str) -> None:
        job.state = state
        self._changes.ended.append(job)
        self._changes.redraw |= not job.quiet

    def _take_status(self, job: Job) -> None:
        if job.state == FINISHED:
            self._changes.redraw |= job.value != self.status
            self.status = job.value

    def _take_models(self, job: Job) -> None:
        if job.state == FINISHED:
            self.generators = job.value.get("generators", ())
            self.clips = job.value.get("clips", ())
            self.presets = job.value.get("presets", ())
            self.materials = job.value.get("materials", ())

    def _take_styles(self, job: Job) -> None:
        if job.state == FINISHED:
            self.styles = job.value.get("styles", ())

    def _take_textures(self, job: Job) -> None:
        if job.state == FINISHED:
            self.textures = job.value.get("textures", ())
