# SPDX-License-Identifier: GPL-3.0-or-later
"""The mix of styles: adding, taking away, deleting for good."""

import bpy
from bpy.props import BoolProperty, FloatProperty, StringProperty

from .. import live, place, pump, runtime, thumbnails
from ..job import FINISHED, Job


class LOOM_OT_style_add(bpy.types.Operator):
    """Add a trained style to the mix; hold Shift to keep the others switched on"""

    bl_idname = "loom.style_add"
    bl_label = "Add Style"
    bl_options = {"REGISTER", "UNDO"}

    name: StringProperty(name="Style", options={"SKIP_SAVE"}, description="A style that the backend has")
    strength: FloatProperty(name="Strength", default=1.0, options={"SKIP_SAVE"}, description="1 is as trained")
    mix: BoolProperty(name="Mix", options={"SKIP_SAVE"}, description="Leave the other styles switched on")

    def invoke(self, context, event):
        self.mix = self.mix or event.shift
        return self.execute(context)

    def execute(self, context):
        if not self.name:
            self.report({"ERROR"}, "Choose a style to add; train one with Adapt if there is none yet.")
            return {"CANCELLED"}
        settings = context.scene.loom
        (settings.mix_style if self.mix else settings.add_style)(self.name, self.strength)
        thumbnails.fetch()
        live.changed(settings, context)
        return {"FINISHED"}


class LOOM_OT_style_remove(bpy.types.Operator):
    """Take the selected style out of the mix; it stays in the backend"""

    bl_idname = "loom.style_remove"
    bl_label = "Remove Style"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context):
        return bool(context.scene.loom.styles)

    def execute(self, context):
        settings = context.scene.loom
        settings.styles.remove(settings.style_index)
        settings.style_index = min(settings.style_index, len(settings.styles) - 1)
        live.changed(settings, context)
        return {"FINISHED"}


class LOOM_OT_style_delete(bpy.types.Operator):
    """Delete the selected style's file from the backend; this cannot be undone"""

    bl_idname = "loom.style_delete"
    bl_label = "Delete Style File"
    bl_options = {"REGISTER"}

    @classmethod
    def poll(cls, context):
        settings = context.scene.loom
        return 0 <= settings.style_index < len(settings.styles)

    def invoke(self, context, event):
        return context.window_manager.invoke_confirm(self, event)

    def execute(self, context):
        settings = context.scene.loom
        name = settings.styles[settings.style_index].name

        def ended(job: Job) -> None:
            if job.state == FINISHED:
                runtime.session().refresh()

        outcome = pump.begin(self, "delete_style", lambda: {"name": name}, title=f"Deleting {name}", on_end=ended)
        if outcome == {"FINISHED"}:
            bpy.ops.loom.style_remove()
        return outcome


class LOOM_OT_style_settle(pump.NeedsBackend, bpy.types.Operator):
    """Save the selected style as it was at this point of its training; every point can be chosen again later"""

    bl_idname = "loom.style_settle"
    bl_label = "Make This the Style"
    bl_options = {"REGISTER"}

    @classmethod
    def poll(cls, context):
        settings = context.scene.loom
        if not 0 <= settings.style_index < len(settings.styles) or not settings.styles[settings.style_index].steps:
            cls.poll_message_set("Select a style that was trained here")
            return False
        return super().poll(context)

    def execute(self, context):
        scene = context.scene
        slot = scene.loom.styles[scene.loom.style_index]
        name, where = slot.name, place.here(context, "IMAGE")
        asked = {"name": name, "iterations": max(1.0, round(slot.moment * slot.steps, 1))}

        def ended(job: Job) -> None:
            found = place.scene_at(where)
            if job.state != FINISHED:
                return
            if found is not None and not job.detached and name in found.loom.styles:
                found.loom.styles[name].moment = 1.0
            runtime.session().refresh()

        return pump.begin(self, "choose_snapshot", lambda: asked, title=f"Saving {name}", on_end=ended)


class LOOM_MT_styles(bpy.types.Menu):
    """The styles that the backend has; one made elsewhere meanwhile is found by asking again."""

    bl_idname = "LOOM_MT_styles"
    bl_label = "Styles"

    def draw(self, context):
        styles = context.window_manager.loom.styles
        if not styles:
            self.layout.label(text="None yet: train one with Adapt")
        for style in styles:
            self.layout.operator("loom.style_add", text=style.name).name = style.name
        self.layout.separator()
        self.layout.operator("loom.refresh", icon="FILE_REFRESH")


CLASSES = (LOOM_OT_style_add, LOOM_OT_style_remove, LOOM_OT_style_delete, LOOM_OT_style_settle, LOOM_MT_styles)
