# SPDX-License-Identifier: GPL-3.0-or-later
"""The mix of styles: adding, taking away, deleting for good."""

import bpy
from bpy.props import StringProperty

from .. import pump, runtime
from ..job import FINISHED, Job


class LOOM_OT_style_add(bpy.types.Operator):
    """Add a trained style to the mix"""

    bl_idname = "loom.style_add"
    bl_label = "Add Style"
    bl_options = {"REGISTER", "UNDO"}

    name: StringProperty(name="Style", options={"SKIP_SAVE"})

    def execute(self, context):
        if not self.name:
            self.report({"ERROR"}, "Choose a style to add; train one with Adapt if there is none yet.")
            return {"CANCELLED"}
        context.scene.loom.add_style(self.name)
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


CLASSES = (LOOM_OT_style_add, LOOM_OT_style_remove, LOOM_OT_style_delete, LOOM_MT_styles)
