# SPDX-License-Identifier: GPL-3.0-or-later
"""Setting up the backend from the wheel that came with the add-on, after asking."""

import sys
import time
from pathlib import Path

import bpy

from .. import preferences, pump, root, runtime, setup


class LOOM_OT_backend_setup(bpy.types.Operator):
    """Install the backend into a folder of the add-on's own; nothing is installed into Blender"""

    bl_idname = "loom.backend_setup"
    bl_label = "Set Up Backend"
    bl_options = {"REGISTER"}

    @classmethod
    def poll(cls, context):
        installation = runtime.installation()
        return installation is None or not installation.running

    def invoke(self, context, event):
        return context.window_manager.invoke_confirm(
            self,
            event,
            title="Set up the backend?",
            message="It fetches PyTorch and what belongs to it: some 6 GB in the add-on's own folder.",
            confirm_text="Set Up",
            icon="INFO",
        )

    def execute(self, context):
        wheel = root.backend_wheel()
        if wheel is None:
            self.report({"ERROR"}, "This build of the add-on brought no backend; install latent-loom with pip instead.")
            return {"CANCELLED"}
        if not bpy.app.online_access:
            self.report(
                {"ERROR"},
                "Blender is set to stay offline: allow online access in Preferences, System, "
                "or use Copy Commands and install the backend yourself",
            )
            return {"CANCELLED"}
        todo = setup.steps(Path(sys.executable), preferences.venv_folder(), wheel)
        installation = setup.Installation(todo, root.run_folder() / "setup.log")
        runtime.begin_installation(installation)
        pump.start_timer()
        if pump.must_wait():
            while installation.running:
                pump.step()
                time.sleep(0.1)
            if installation.state != setup.FINISHED:
                self.report({"ERROR"}, installation.problem())
                return {"CANCELLED"}
        return {"FINISHED"}


class LOOM_OT_setup_cancel(bpy.types.Operator):
    """Stop setting up; what was fetched so far is used the next time"""

    bl_idname = "loom.setup_cancel"
    bl_label = "Cancel"
    bl_options = {"REGISTER"}

    def execute(self, context):
        installation = runtime.installation()
        if installation is not None:
            installation.cancel()
        return {"FINISHED"}


CLASSES = (LOOM_OT_backend_setup, LOOM_OT_setup_cancel)
