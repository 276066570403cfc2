# SPDX-License-Identifier: GPL-3.0-or-later
"""Textures that are kept under a name."""

import bpy
from bpy.props import BoolProperty, StringProperty

from .. import params, place, pump, runtime, screen
from ..job import FINISHED, Job
from ..params import BadInput


class LOOM_OT_keep(pump.NeedsBackend, bpy.types.Operator):
    """Keep the texture of this seed under a name, without its styles, to use it wherever a seed may stand"""

    bl_idname = "loom.keep"
    bl_label = "Keep Texture"
    bl_options = {"REGISTER"}

    name: StringProperty(name="Name", options={"SKIP_SAVE"}, description="What it is called from now on")
    overwrite: BoolProperty(name="Replace", options={"SKIP_SAVE"}, description="Replace another one of that name")

    def invoke(self, context, event):
        return context.window_manager.invoke_props_dialog(self)

    def execute(self, context):
        settings = context.scene.loom
        where = place.here(context, "IMAGE")

        def make_params():
            name = params.name_from(self.name)
            if not name:
                raise BadInput("Give the texture a name of letters or digits.")
            look = settings.look().params()
            asked = {key: look[key] for key in ("generator", "psi", "directions", "class_index") if key in look}
            return asked | {"seed": settings.seed, "name": name, "overwrite": self.overwrite}

        return pump.begin(
            self, "keep", make_params, title="Keeping the texture", on_end=lambda job: choose_kept(job, where)
        )


class LOOM_OT_texture_delete(pump.NeedsBackend, bpy.types.Operator):
    """Delete the kept texture from the backend; this cannot be undone"""

    bl_idname = "loom.texture_delete"
    bl_label = "Delete Kept Texture"
    bl_options = {"REGISTER"}

    def invoke(self, context, event):
        return context.window_manager.invoke_confirm(self, event)

    def execute(self, context):
        name = context.scene.loom.kept

        def make_params():
            if not name:
                raise BadInput("Choose the kept texture to delete first.")
            return {"name": name}

        def ended(job: Job) -> None:
            if job.state == FINISHED:
                for scene in bpy.data.scenes:
                    if scene.loom.kept == name:
                        scene.loom.kept = ""
                runtime.session().refresh()

        return pump.begin(self, "delete_texture", make_params, title=f"Deleting {name}", on_end=ended)


def choose_kept(job: Job, where: place.Place) -> None:
    """Let the texture that `job` kept be the one that the scene uses."""
    if job.state != FINISHED:
        if runtime.session().connected:
            runtime.session().refresh()  # a cancelled one may have left what it had
        return
    scene = place.scene_at(where)
    if scene is not None and not job.detached:
        scene.loom.kept = str(job.value["texture"]["name"])
        screen.push_undo("Loom: kept texture")
    runtime.session().refresh()


CLASSES = (LOOM_OT_keep, LOOM_OT_texture_delete)
