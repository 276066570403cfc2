# SPDX-License-Identifier: GPL-3.0-or-later
"""Setting up the backend from the wheel that came with the add-on, after asking; mending it; stopping that."""

import time
from pathlib import Path

import bpy

from .. import machine, pump, root, runtime, screen, setup

OFFLINE = (
    "Blender is set to stay offline: allow online access in Preferences, System, "
    "or use Copy Command and install the backend yourself"
)


class SetsUp:
    """What setting up and repairing share; `anew` says whether what is there goes first."""

    bl_options = {"REGISTER"}
    anew = False

    @classmethod
    def poll(cls, context):
        installation = runtime.installation()
        if installation is not None and installation.running:
            cls.poll_message_set("It is being set up already")
            return False
        return True

    def invoke(self, context, event):
        return context.window_manager.invoke_props_dialog(self, width=440, title=self.bl_label, confirm_text="Set Up")

    def draw(self, context):
        """What is asked: what is fetched, from where, how much, and where it goes."""
        layout, preferences = self.layout, root.preferences()
        torch, folder = root.torch(), root.backend_folder()
        column = layout.column(align=True)
        column.label(text="The program that makes the textures runs beside Blender, not in it.")
        column.label(text="Nothing is installed into Blender; removing the add-on removes this too.")
        column.separator()
        column.label(text=f"It fetches about {torch.download_gib:g} GB and takes {torch.disk_gib:g} GB of the disk")
        column.label(text=f"({machine.free_gib(folder):.0f} GB are free), for: {torch.about}.")
        column.label(text=f"From {'pytorch.org and ' if torch.index else ''}PyPI, into {_short(folder)}")
        box = layout.column()
        box.use_property_split = True
        box.prop(preferences, "setup_torch")
        if machine.too_deep(folder):
            layout.label(text="Windows may refuse a folder so deep: choose a shorter one.", icon="ERROR")
            box.prop(preferences, "setup_folder")
        if not bpy.app.online_access:
            layout.label(text="Blender is set to stay offline.", icon="INTERNET_OFFLINE")
            if not bpy.app.online_access_override:
                layout.prop(context.preferences.system, "use_online_access")

    def execute(self, context):
        refusal = _refusal()
        if refusal:
            self.report({"ERROR"}, refusal)
            return {"CANCELLED"}
        session = runtime.session()
        session.stop()
        installation = _begin(anew=self.anew)
        pump.start_timer()
        if pump.must_wait():
            while installation.running:
                pump.step()
                time.sleep(0.1)
            if installation.state != setup.FINISHED:
                self.report({"ERROR"}, installation.problem())
                return {"CANCELLED"}
        return {"FINISHED"}


class LOOM_OT_backend_setup(SetsUp, bpy.types.Operator):
    """Install the program that makes the textures into a folder of its own, and start it. Nothing goes into Blender"""

    bl_idname = "loom.backend_setup"
    bl_label = "Set Up Backend"


class LOOM_OT_backend_repair(SetsUp, bpy.types.Operator):
    """Remove the installed backend and set it up anew; styles and texture models stay"""

    bl_idname = "loom.backend_repair"
    bl_label = "Repair Backend"
    anew = True


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


class LOOM_OT_setup_log(bpy.types.Operator):
    """Open what was written while the backend was set up as a text in Blender's Text Editor"""

    bl_idname = "loom.setup_log"
    bl_label = "Show Log"
    bl_options = {"REGISTER"}

    def execute(self, context):
        log = root.setup_log()
        if not log.is_file():
            self.report({"ERROR"}, "There is no log yet: nothing was set up from here.")
            return {"CANCELLED"}
        screen.show_text(context, "Loom Setup Log", log)
        return {"FINISHED"}


class LOOM_OT_copy_command(bpy.types.Operator):
    """Copy the one command that installs and starts the backend in a place of your own"""

    bl_idname = "loom.copy_command"
    bl_label = "Copy Command"
    bl_options = {"REGISTER"}

    def execute(self, context):
        context.window_manager.clipboard = setup.own_command(root.backend_wheel(), root.torch())
        self.report({"INFO"}, "Copied; paste it into a terminal, then choose Connect to One That Runs here.")
        return {"FINISHED"}


def _refusal() -> str:
    """Why setting up cannot begin, or ""."""
    wheel, folder, torch = root.backend_wheel(), root.backend_folder(), root.torch()
    if wheel is None:
        return "This build of the add-on brought no backend; install latent-loom with pip instead."
    if not bpy.app.online_access:
        return OFFLINE
    there = setup.condition(folder, wheel) in (setup.READY, setup.OUTDATED)
    free = machine.free_gib(folder)
    if not there and free < torch.disk_gib:
        return (
            f"There are {free:.1f} GB free where {folder} is, and it needs about {torch.disk_gib:g} GB; make room, or "
            "choose another folder in the preferences."
        )
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return f"Cannot make the folder {folder.parent}: {error.strerror}; choose another in the preferences."
    return ""


def _begin(*, anew: bool) -> setup.Installation:
    wheel, folder, torch = root.backend_wheel(), root.backend_folder(), root.torch()
    todo = setup.steps(Path(root.base_python()), folder, wheel, torch, anew=anew)
    session = runtime.session()
    installation = setup.Installation(
        todo,
        root.setup_log(),
        folder=folder,
        wheel=wheel,
        expected=setup.expected_bytes(torch),
        when=lambda: session.child is None,
    )
    runtime.begin_installation(installation)
    return installation


def _short(folder: Path) -> str:
    """The end of a long path, which is what tells folders apart."""
    text = str(folder)
    return text if len(text) <= 48 else f"…{text[-47:]}"


CLASSES = (
    LOOM_OT_backend_setup,
    LOOM_OT_backend_repair,
    LOOM_OT_setup_cancel,
    LOOM_OT_setup_log,
    LOOM_OT_copy_command,
)
