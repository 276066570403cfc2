# SPDX-License-Identifier: GPL-3.0-or-later
"""What makes the session move: a timer; in background mode, where no timer runs, an explicit wait."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping
from typing import Any

import bpy

from ..protocol.client import BackendLost
from . import history_list, icons, images, root, runtime, screen, setup, troubles
from .child import Launch
from .job import FAILED, FINISHED, Job
from .params import BadInput
from .session import LOST, OFF

HURRIED_S, BUSY_S, INSTALLING_S, IDLE_S = 0.01, 0.04, 0.2, 0.5
LOOK_S, STATUS_S, BATCHES_S = 2.0, 5.0, 2.0
# Importing torch on a cold disk of a slow machine was seen to take most of a minute.
START_LIMIT_S = 180.0
IDLE_MINUTES = 15
LISTS = ("models", "styles", "textures")
PREVIEWED = ("adapt", "project", "train_generator")
"""Jobs whose panel shows their newest preview."""
on_lists: list[Callable[[], None]] = []
"""Called when the backend's lists have come."""
_left_over: list[Job] = []
"""Jobs that ended while a frame waited for another one: the main thread sees to them at its next step."""
_due_s = 0.0
"""When the timer's next tick comes."""


def must_wait() -> bool:
    """Whether operators wait for their jobs: without a window there is no timer, and a script expects its result."""
    return bpy.app.background


def tick() -> float:
    """The timer. A bug in here must not stop it, or the interface would never hear of anything again."""
    global _due_s
    if not runtime.lock.acquire(blocking=False):
        _due_s = time.monotonic() + BUSY_S
        return BUSY_S  # a render waits for a frame's texture
    try:
        step()
    except Exception as error:  # the boundary between our code and Blender's event loop
        traceback.print_exc()
        runtime.session().trouble = troubles.bug(error)
        screen.redraw()
    finally:
        runtime.lock.release()
    interval_s = _interval_s()
    _due_s = time.monotonic() + interval_s
    return interval_s


def _interval_s() -> float:
    session = runtime.session()
    if session.hurried:
        return HURRIED_S
    return BUSY_S if session.busy else INSTALLING_S if runtime.installation() else IDLE_S


def start_timer() -> None:
    """(Re)start the timer, so that the next tick comes at once. In background mode there is none.

    One that comes at once anyway is left alone: a timer that is made anew in every turn of Blender's loop, by another
    timer that moves sliders, never gets its turn.
    """
    global _due_s
    if bpy.app.timers.is_registered(tick) and _due_s <= time.monotonic() + HURRIED_S:
        return
    stop_timer()
    if not must_wait():
        bpy.app.timers.register(tick, first_interval=0.0, persistent=True)
        _due_s = time.monotonic()


def stop_timer() -> None:
    if bpy.app.timers.is_registered(tick):
        bpy.app.timers.unregister(tick)


def step(wait_s: float = 0.0) -> None:
    """Take in what the backend sent, and show it."""
    session = runtime.session()
    watch_installation()
    look_at_backend()
    changes = session.tick(wait_s)
    if not must_wait():
        session.ask_status(STATUS_S)
        ask_batches()
    for job in session.jobs.values():
        _show_preview(job)
    ended, _left_over[:] = [*_left_over, *changes.ended], []
    for job in ended:
        _show_preview(job)
        if job.on_end is not None:
            try:
                job.on_end(job)
            except (images.UnreadableFileError, BadInput) as error:
                elsewhere = isinstance(error, images.UnreadableFileError)  # the output folder is chosen there
                mending = troubles.PREFERENCES if elsewhere else ("", "")
                job.state, job.trouble = FAILED, troubles.trouble(str(error), mending, about=job.type)
                session.trouble = job.trouble
        history_list.take(job)
    if any(job.type in LISTS for job in ended):
        show_lists()
        for listener in on_lists:
            listener()
    if changes.redraw:
        screen.redraw()


def wait_here(job: Job, limit_s: float) -> bool:
    """Wait for `job` alone, in whatever thread holds `runtime.lock`; False when the time is over: it is cancelled.

    Other jobs that end meanwhile are left to the main thread: what they bring may touch any data.
    """
    session, limit = runtime.session(), time.monotonic() + limit_s
    while job.running:
        if time.monotonic() > limit:
            session.cancel(job)
            return False
        _left_over.extend(one for one in session.tick(0.05).ended if one is not job)
    return True


def ask_batches() -> None:
    """Ask for the state of one of the sets that run on by themselves, every few seconds."""
    session, known, now = runtime.session(), runtime.batches(), time.monotonic()
    if not session.connected or session.asks("batch_status"):
        return
    batch = known.next_to_ask(now, BATCHES_S)
    if batch is None:
        return
    batch.asked_s, out = now, batch.out

    def heard(job: Job) -> None:
        screen.redraw()
        if known.note(out, job.value if job.state == FINISHED else {"state": "gone"}):
            session.notice = f"The set {batch.name} is finished: {out}"

    session.ask("batch_status", {"out": out}, on_end=heard)


_looked_s = -60.0


def look_at_backend() -> None:
    """While nothing runs, see every two seconds whether there is a backend to start; the panels read what was found."""
    global _looked_s
    if runtime.session().state != OFF or time.monotonic() - _looked_s < LOOK_S:
        return
    _looked_s = time.monotonic()
    preferences, before = root.preferences(), (runtime.condition(), runtime.wants_setup())
    condition = root.backend_condition()
    ours = preferences.mode == "OWN" and not preferences.command
    missing = condition == setup.OUTDATED or preferences.backend_command() is None
    runtime.note_backend(condition, wanted=ours and missing and root.backend_wheel() is not None)
    if before != (runtime.condition(), runtime.wants_setup()):
        screen.redraw()


def watch_installation() -> None:
    """Move a running installation of the backend on, and tell how it ended."""
    global _looked_s
    installation, session = runtime.installation(), runtime.session()
    if installation is None:
        return
    installation.poll()
    screen.redraw()
    if installation.running:
        return
    runtime.end_installation()
    _looked_s = -60.0
    if installation.state == setup.FINISHED:
        session.trouble, session.notice = None, "The backend is set up."
        if root.preferences().mode == "OWN":
            open_backend()
    elif installation.state == setup.FAILED:
        mending = troubles.REPAIR if installation.damaged else troubles.SETUP
        session.trouble = troubles.trouble(installation.problem(), mending, more=troubles.SETUP_LOG)


def wait(job: Job) -> None:
    """Until `job` has ended, and the lists that it changed are read. For background mode only."""
    while job.running or runtime.session().running(*LISTS):
        step(0.2)


def ready() -> None:
    """In background mode: start the backend or connect to it, as the preferences say, and wait for its welcome.

    Raises BackendLost
    """
    session = runtime.session()
    if session.connected:
        return
    if session.state == OFF:
        open_backend()
    limit = time.monotonic() + START_LIMIT_S
    while not session.connected or session.jobs:
        if session.state in (OFF, LOST) or time.monotonic() > limit:
            raise BackendLost(session.trouble.sentence if session.trouble else "The backend did not answer in time.")
        step(0.1)


def open_backend() -> None:
    """Start a backend, or connect to one, as the preferences say. What goes wrong is the session's trouble."""
    session, preferences = runtime.session(), root.preferences()
    if preferences.mode == "CONNECT":
        session.connect(preferences.backend_connection_file())
    elif preferences.mode == "REMOTE":
        _open_remote()
    else:
        command = preferences.backend_command()
        if command is None:
            session.disconnect()
            session.trouble = troubles.no_backend()
        else:
            own = root.run_folder()
            options = serve_options(preferences)
            session.start(
                Launch(
                    command=command,
                    connection_file=own / "connection.json",
                    log=own / "backend.log",
                    options=options,
                )
            )
    start_timer()
    screen.redraw()


def serve_options(preferences) -> tuple[str, ...]:
    """What the preferences add to the backend's own command line."""
    options: tuple[str, ...] = ()
    if preferences.idle_minutes != IDLE_MINUTES:  # the backend's own default
        options += ("--unload-after", str(preferences.idle_minutes * 60))
    if preferences.data_folder:
        options += ("--data", bpy.path.abspath(preferences.data_folder))
    return options


def _open_remote() -> None:
    session = runtime.session()
    if not bpy.app.online_access:
        session.trouble = troubles.trouble(
            "Blender is set to stay offline: allow online access in Preferences, System, to reach another computer"
        )
        return
    try:
        there = root.preferences().backend_address()
    except BadInput as error:
        session.trouble = troubles.trouble(str(error), troubles.PREFERENCES)
        return
    session.connect_remote(there)


class NeedsBackend:
    """An operator that a button offers only where a backend is connected; in background mode it opens one itself."""

    @classmethod
    def poll(cls, context):
        if not must_wait() and not runtime.session().connected:
            cls.poll_message_set("Start the backend first")
            return False
        return True


def begin(
    operator: bpy.types.Operator,
    type: str,
    make_params: Callable[[], Mapping[str, Any]],
    *,
    title: str,
    part: str = "",
    on_end: Callable[[Job], None],
    make_arrays: Callable[[], Mapping[str, Any] | None] | None = None,
) -> set[str]:
    """What every operator that starts a job returns. `make_params` and `make_arrays` may raise BadInput.

    With a window the job goes on by itself. In background mode the operator waits, and a failure is its error.
    """
    session = runtime.session()
    if not runtime.lock.acquire(blocking=False):
        operator.report({"ERROR"}, "A render waits for a frame's texture just now; try again when it has it.")
        return {"CANCELLED"}
    try:
        params = make_params()
        arrays = make_arrays() if make_arrays is not None else None
        if must_wait():
            ready()
        job = session.submit(type, params, title=title, part=part, arrays=arrays, on_end=on_end)
    except (BadInput, BackendLost) as error:
        operator.report({"ERROR"}, str(error))
        return {"CANCELLED"}
    finally:
        runtime.lock.release()
    history_list.remember(job, dict(params), bpy.context.scene)
    if type in PREVIEWED:
        icons.forget_preview()
    start_timer()
    if not must_wait():
        return {"FINISHED"}
    wait(job)
    if job.state != FINISHED:
        operator.report({"ERROR"}, job.trouble.sentence if job.trouble else "It was cancelled.")
        return {"CANCELLED"}
    return {"FINISHED"}


def show_lists() -> None:
    """Copy the names of generators and styles to where search fields find them."""
    session = runtime.session()
    lists = bpy.context.window_manager.loom
    for held, entries, label in (
        (lists.generators, session.generators, ""),
        (lists.styles, session.styles, "target"),
        (lists.presets, session.presets, "summary"),
        (lists.materials, session.materials, ""),
        (lists.textures, session.textures, "origin"),
    ):
        held.clear()
        for entry in entries:
            item = held.add()
            item.name = str(entry.get("name", ""))
            item.label = str(entry.get(label, ""))
    for scene in bpy.data.scenes:
        for slot in scene.loom.styles if scene.library is None else ():
            steps = session.steps_of(slot.name)
            if steps is not None and slot.steps != steps:
                slot.steps = steps


def _show_preview(job: Job) -> None:
    """Show the newest preview once; those it overtook were dropped."""
    picture, job.preview = job.preview, None
    if picture is None:
        return
    # Beside it stands the picture that was given, which the artist knows.
    icons.show_preview(picture[:, picture.shape[1] // 2 :] if job.type == "project" else picture)
    if not job.detached:
        images.show_preview(picture)
