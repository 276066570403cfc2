# SPDX-License-Identifier: GPL-3.0-or-later
"""The keys of a walk: textures as the sliders had them."""

import bpy
from bpy.props import EnumProperty, IntProperty

from .. import thumbnails


class ChangesKey:
    """Works on the key that is selected."""

    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context):
        if context.scene.loom.walk_key() is None:
            cls.poll_message_set("Add a key first")
            return False
        return True


class LOOM_OT_walk_key_add(bpy.types.Operator):
    """Let the walk pass by the texture that the sliders show now"""

    bl_idname = "loom.walk_key_add"
    bl_label = "Add Key"
    bl_options = {"REGISTER", "UNDO"}

    hold: IntProperty(name="Stay", min=0, max=10_000, description="For how many more frames the walk stays here")

    def execute(self, context):
        settings = context.scene.loom
        key = settings.walk_keys.add()
        key.take(settings)
        key.hold = self.hold
        settings.walk_key_index = len(settings.walk_keys) - 1
        thumbnails.fetch()
        return {"FINISHED"}


class LOOM_OT_walk_key_remove(ChangesKey, bpy.types.Operator):
    """Take the selected key out of the walk"""

    bl_idname = "loom.walk_key_remove"
    bl_label = "Remove Key"

    def execute(self, context):
        settings = context.scene.loom
        settings.walk_keys.remove(settings.walk_key_index)
        settings.walk_key_index = max(0, min(settings.walk_key_index, len(settings.walk_keys) - 1))
        return {"FINISHED"}


class LOOM_OT_walk_key_move(ChangesKey, bpy.types.Operator):
    """Let the selected key come earlier or later"""

    bl_idname = "loom.walk_key_move"
    bl_label = "Move Key"

    way: EnumProperty(
        name="Way",
        items=(("UP", "Earlier", "One place earlier"), ("DOWN", "Later", "One place later")),
        description="Which way it goes",
    )

    def execute(self, context):
        settings = context.scene.loom
        index = settings.walk_key_index
        other = index + (1 if self.way == "DOWN" else -1)
        if 0 <= other < len(settings.walk_keys):
            settings.walk_keys.move(index, other)
            settings.walk_key_index = other
        return {"FINISHED"}


class LOOM_OT_walk_key_set(ChangesKey, bpy.types.Operator):
    """Let the selected key be what the sliders show now"""

    bl_idname = "loom.walk_key_set"
    bl_label = "Set Key"

    def execute(self, context):
        settings = context.scene.loom
        settings.walk_key().take(settings)
        thumbnails.fetch()
        return {"FINISHED"}


class LOOM_OT_walk_key_show(ChangesKey, bpy.types.Operator):
    """Set the sliders to what the selected key is"""

    bl_idname = "loom.walk_key_show"
    bl_label = "Show Key"

    def execute(self, context):
        settings = context.scene.loom
        settings.walk_key().give(settings)
        return {"FINISHED"}


CLASSES = (
    LOOM_OT_walk_key_add,
    LOOM_OT_walk_key_remove,
    LOOM_OT_walk_key_move,
    LOOM_OT_walk_key_set,
    LOOM_OT_walk_key_show,
)
