# SPDX-License-Identifier: GPL-3.0-or-later
"""The head of the tab: the backend's state, what is wrong and what mends it, and the texture model."""

from .. import icons, root, runtime, setup
from ..operators.presets import LOOM_PT_presets
from ..session import CONNECTING, LOST, OFF, READY, STARTING, Session
from .base import LoomPanel
from .parts import columns, draw_job, draw_lines, draw_trouble

STATES = {
    OFF: "Off",
    STARTING: "Starting: loading its libraries…",
    CONNECTING: "Connecting…",
    READY: "Ready",
    LOST: "Lost; trying again…",
}
WELCOME = "The program that makes the textures is not set up yet. It is fetched once and then works without a network."
OLD = "The backend is of another version than this add-on; bring it up to date."


class Main(LoomPanel):
    bl_label = "Latent Loom"

    def draw_header_preset(self, context):
        LOOM_PT_presets.draw_panel_header(self.layout)

    def draw_here(self, layout, context, settings, session):
        width = columns(context)
        if session.state == OFF and runtime.wants_setup():
            _draw_welcome(layout, session, width)
            return
        row = layout.row(align=True)
        row.label(text=_state_line(session), icon=icons.dot(session))
        if session.state in (OFF, LOST):
            row.operator("loom.backend_start", text="Start" if _starts_own() else "Connect")
        else:
            row.operator("loom.backend_stop", text="Stop" if session.owns_backend else "Disconnect")
        if session.log is not None:
            row.operator("loom.backend_log", text="", icon="TEXT")
        row.operator("loom.preferences", text="", icon="PREFERENCES")
        if session.connected:
            _draw_device(layout, session)
        _draw_installation(layout)
        if session.trouble is not None:
            draw_trouble(layout, session.trouble, width)
        if session.notice:
            draw_lines(layout, session.notice, "CHECKMARK", width)
        if session.connected:
            _draw_model(layout, context, settings, session)


def _draw_welcome(layout, session: Session, width: int) -> None:
    """The first minutes: one thing to press."""
    if runtime.installation() is not None:
        _draw_installation(layout)
        return
    if session.trouble is not None:
        draw_trouble(layout, session.trouble, width)
    outdated = runtime.condition() == setup.OUTDATED
    column = layout.column()
    draw_lines(column, OLD if outdated else WELCOME, "INFO", width)
    column.scale_y = 1.0
    button = layout.column()
    button.scale_y = 1.6
    text = {setup.PARTIAL: "Go On Setting Up", setup.OUTDATED: "Update Backend"}.get(runtime.condition(), "Set Up")
    button.operator("loom.backend_setup", text=text, icon="IMPORT")
    row = layout.row(align=True)
    row.operator("loom.preferences", text="Other Ways", icon="PREFERENCES")
    if outdated:
        row.operator("loom.backend_start", text="Start the Old One")


def _draw_installation(layout) -> None:
    installation = runtime.installation()
    if installation is None:
        return
    row = layout.row(align=True)
    row.progress(factor=installation.fraction, text=installation.line())
    row.operator("loom.setup_log", text="", icon="TEXT")
    row.operator("loom.setup_cancel", text="", icon="CANCEL")


def _draw_device(layout, session: Session) -> None:
    """What it computes on, its memory, and how to have that back."""
    column = layout.column(align=True)
    row = column.row(align=True)
    row.label(text=device_line(session), icon="MEMORY")
    words = memory_line(session)
    if words:
        row = column.row(align=True)
        row.label(text=words, icon="BLANK1")
        if not session.working:
            row.operator("loom.free_memory", text="Free")


def device_line(session: Session) -> str:
    """`NVIDIA H100`, or `Processor (no GPU)`; not the libraries' names of them."""
    name = session.device.partition(",")[0]
    return "Processor (no GPU)" if name == "cpu" else name or "Unknown device"


def memory_line(session: Session) -> str:
    """`3.1 of 80 GB`, short enough to stand beside a button; "" where nothing is known."""
    used, total = session.memory_used_mib, session.memory_mib
    if total and used is not None:
        return f"{used / 1024:.1f} of {total / 1024:.0f} GB"
    return f"{total / 1024:.0f} GB" if total else ""


def _draw_model(layout, context, settings, session: Session) -> None:
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
    """`Ready`, or what is being waited for."""
    return "Busy" if session.state == READY and session.working else STATES[session.state]
