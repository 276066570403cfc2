# SPDX-License-Identifier: GPL-3.0-or-later
"""The head of the tab: the backend's state, what is wrong and what mends it, and the texture model."""

from .. import icons, root, runtime
from ..pump import LISTS
from ..session import CONNECTING, LOST, OFF, READY, STARTING, Session
from .base import LoomPanel
from .parts import columns, draw_job, draw_lines

STATES = {
    OFF: "Off",
    STARTING: "Starting: loading its libraries…",
    CONNECTING: "Connecting…",
    READY: "Ready",
    LOST: "Lost; trying again…",
}


class Main(LoomPanel):
    bl_label = "Latent Loom"

    def draw_here(self, layout, context, settings, session):
        split = layout.split(factor=0.55)
        split.label(text=_state_line(session), icon=icons.dot(session))
        if session.state in (OFF, LOST):
            split.operator("loom.backend_start", text="Start" if _starts_own() else "Connect")
        else:
            split.operator("loom.backend_stop", text="Stop" if session.owns_backend else "Disconnect")
        _draw_trouble(layout, session, columns(context))
        installation = runtime.installation()
        if installation is not None:
            row = layout.row(align=True)
            row.progress(factor=installation.fraction, text=installation.line())
            row.operator("loom.setup_cancel", text="", icon="CANCEL")
        if session.notice:
            draw_lines(layout, session.notice, "CHECKMARK", columns(context))
        if session.connected:
            row = layout.row(align=True)
            row.prop_search(settings, "generator", context.window_manager.loom, "generators", icon="TEXTURE")
            job = session.running("import")
            if job is None:
                row.operator("loom.import_generator", text="", icon="IMPORT")
            else:
                draw_job(layout, job)


def _starts_own() -> bool:
    return root.preferences().mode == "OWN"


def _state_line(session: Session) -> str:
    """`Ready · cpu`, or what is being waited for."""
    if session.state != READY:
        return STATES[session.state]
    busy = any(job.type not in LISTS and not job.quiet for job in session.jobs.values())
    device = session.welcome.device.partition(",")[0] if session.welcome else ""
    return ("Busy" if busy else STATES[READY]) + (f" · {device}" if device else "")


def _draw_trouble(layout, session: Session, width: int) -> None:
    """What is wrong, and the button that mends it."""
    trouble = session.trouble
    if trouble is None:
        return
    box = layout.box()
    draw_lines(box, trouble.sentence, "ERROR", width)
    row = box.row(align=True)
    if trouble.mend:
        row.operator(trouble.mend, text=trouble.label)
    row.operator("loom.dismiss", text="", icon="X")
