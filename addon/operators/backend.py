# SPDX-License-Identifier: GPL-3.0-or-later
"""Starting, stopping and reaching the backend; cancelling what it does."""

import bpy
from bpy.props import IntProperty

from ...protocol.client import BackendLost
from .. import pump, root, runtime
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
        pump.redraw()
        return {"FINISHED"}


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
        pump.redraw()
        return {"FINISHED"}


class LOOM_OT_backend_log(bpy.types.Operator):
    """Open what the backend wrote as a text in Blender's Text Editor"""

    bl_idname = "loom.backend_log"
    bl_label = "Show Log"
    bl_options = {"REGISTER"}

    NAME = "Loom Backend Log"

    def execute(self, context):
        log = root.run_folder() / "backend.log"
        if not log.is_file():
            self.report({"ERROR"}, "There is no log yet: Blender has started no backend.")
            return {"CANCELLED"}
        text = bpy.data.texts.get(self.NAME) or bpy.data.texts.new(self.NAME)
        text.clear()
        text.write(log.read_text("utf-8", "replace")[-200_000:])
        for window in context.window_manager.windows:
            for area in window.screen.areas:
                if area.type == "TEXT_EDITOR":
                    area.spaces.active.text = text
                    return {"FINISHED"}
        self.report({"INFO"}, f"Open the text {self.NAME!r} in a Text Editor to read it.")
        return {"FINISHED"}


class LOOM_OT_copy_command(bpy.types.Operator):
    """Copy the commands that install and run the backend in an environment of your own"""

    bl_idname = "loom.copy_command"
    bl_label = "Copy Commands"
    bl_options = {"REGISTER"}

    def execute(self, context):
        wheel = root.backend_wheel()
        what = f'"{wheel}"' if wheel else "latent-loom"
        context.window_manager.clipboard = f"python3 -m pip install {what}\nlatent-loom serve\n"
        self.report({"INFO"}, "Copied; paste it into a terminal, then choose Connect to One That Runs.")
        return {"FINISHED"}


CLASSES = (
    LOOM_OT_backend_start,
    LOOM_OT_backend_connect,
    LOOM_OT_backend_stop,
    LOOM_OT_refresh,
    LOOM_OT_cancel,
    LOOM_OT_dismiss,
    LOOM_OT_backend_log,
    LOOM_OT_copy_command,
)
