# SPDX-License-Identifier: GPL-3.0-or-later
"""Starting, stopping and reaching the backend; cancelling what it does."""

import bpy
from bpy.props import IntProperty

from ...protocol.client import BackendLost
from .. import pump, root, runtime, screen
from ..job import FINISHED, Job
from ..session import OFF, READY


class OpensBackend:
    """Starting and connecting are one thing here: the preferences say which."""

    bl_options = {"REGISTER"}

    @classmethod
    def poll(cls, context):
        return runtime.session().state != READY

    def execute(self, context):
        pump.open_backend()
        if pump.must_wait():
            try:
                pump.ready()
            except BackendLost as error:
                self.report({"ERROR"}, str(error))
                return {"CANCELLED"}
        return {"FINISHED"}


class LOOM_OT_backend_start(OpensBackend, bpy.types.Operator):
    """Start the backend: the program that does the work. The first start takes longest"""

    bl_idname = "loom.backend_start"
    bl_label = "Start Backend"


class LOOM_OT_backend_connect(OpensBackend, bpy.types.Operator):
    """Connect to the backend that the preferences name"""

    bl_idname = "loom.backend_connect"
    bl_label = "Connect"


class LOOM_OT_backend_stop(bpy.types.Operator):
    """End the backend that Blender started, which gives back its memory; from another one, just part"""

    bl_idname = "loom.backend_stop"
    bl_label = "Stop Backend"
    bl_options = {"REGISTER"}

    @classmethod
    def poll(cls, context):
        return runtime.session().state != OFF

    def execute(self, context):
        session = runtime.session()
        session.stop()
        pump.start_timer()
        if pump.must_wait():
            while session.child is not None:
                pump.step(0.1)
        screen.redraw()
        return {"FINISHED"}


class LOOM_OT_free_memory(pump.NeedsBackend, bpy.types.Operator):
    """Have the backend give back the memory of the graphics card now; the next texture takes a moment longer"""

    bl_idname = "loom.free_memory"
    bl_label = "Free Memory"
    bl_options = {"REGISTER"}

    def execute(self, context):
        return pump.begin(self, "free", dict, title="Freeing memory", on_end=_freed)


def _freed(job: Job) -> None:
    session = runtime.session()
    if job.state == FINISHED:
        freed = job.value.get("freed_mib")
        session.notice = f"Freed {freed:,.0f} MiB of memory." if freed else "There was no memory to free."
        session.ask_status(0.0)


class LOOM_OT_refresh(bpy.types.Operator):
    """Ask the backend again which texture models and styles it has"""

    bl_idname = "loom.refresh"
    bl_label = "Refresh Lists"
    bl_options = {"REGISTER"}

    @classmethod
    def poll(cls, context):
        return pump.must_wait() or runtime.session().connected

    def execute(self, context):
        session = runtime.session()
        session.trouble = None
        try:
            if pump.must_wait():
                pump.ready()
            session.refresh()
        except BackendLost as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        pump.start_timer()
        while pump.must_wait() and session.jobs:
            pump.step(0.1)
        return {"FINISHED"}


class LOOM_OT_cancel(bpy.types.Operator):
    """Stop this job; what is finished so far is kept"""

    bl_idname = "loom.cancel"
    bl_label = "Cancel"
    bl_options = {"REGISTER"}

    job: IntProperty(options={"HIDDEN", "SKIP_SAVE"}, description="Number of the job; 0: the oldest one")

    @classmethod
    def poll(cls, context):
        return bool(runtime.session().jobs)

    def execute(self, context):
        session = runtime.session()
        job = session.jobs.get(self.job) if self.job else next(iter(session.jobs.values()))
        if job is not None:
            session.cancel(job)
            pump.start_timer()
        return {"FINISHED"}


class LOOM_OT_dismiss(bpy.types.Operator):
    """Take this message away"""

    bl_idname = "loom.dismiss"
    bl_label = "Dismiss"
    bl_options = {"INTERNAL"}

    def execute(self, context):
        runtime.session().trouble = None
        screen.redraw()
        return {"FINISHED"}


class LOOM_OT_preferences(bpy.types.Operator):
    """Open this add-on's preferences"""

    bl_idname = "loom.preferences"
    bl_label = "Open Preferences"
    bl_options = {"INTERNAL"}

    def execute(self, context):
        bpy.ops.preferences.addon_show(module=root.ROOT)
        return {"FINISHED"}


class LOOM_OT_backend_log(bpy.types.Operator):
    """Open what the backend wrote as a text in Blender's Text Editor"""

    bl_idname = "loom.backend_log"
    bl_label = "Show Log"
    bl_options = {"REGISTER"}

    NAME = "Loom Backend Log"

    def execute(self, context):
        log = runtime.session().log
        if log is None or not log.is_file():
            self.report({"ERROR"}, "There is no log yet: Blender has started no backend.")
            return {"CANCELLED"}
        screen.show_text(context, self.NAME, log)
        return {"FINISHED"}


CLASSES = (
    LOOM_OT_backend_start,
    LOOM_OT_backend_connect,
    LOOM_OT_backend_stop,
    LOOM_OT_free_memory,
    LOOM_OT_refresh,
    LOOM_OT_cancel,
    LOOM_OT_dismiss,
    LOOM_OT_preferences,
    LOOM_OT_backend_log,
)
