# SPDX-License-Identifier: GPL-3.0-or-later
"""What all panels of the Loom tab share, and how each comes into three editors."""

import bpy

from .. import runtime

TAB = "Loom"
EDITORS = ("VIEW_3D", "IMAGE_EDITOR", "NODE_EDITOR")


class LoomPanel:
    """What all panels share. `draw_here` draws; it is never given another's context."""

    bl_region_type = "UI"
    bl_category = TAB

    @classmethod
    def poll(cls, context):
        return context.area.type != "NODE_EDITOR" or context.space_data.tree_type == "ShaderNodeTree"

    def draw(self, context):
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        self.draw_here(layout, context, context.scene.loom, runtime.session())


def for_editor(base: type, editor: str, main: type) -> type:
    """The panel class of `base` for one editor; Blender wants a class of its own for each.

    It lies under the panel that `base.parent` names, else under `main`.
    """
    members = {"bl_idname": idname(base, editor), "bl_space_type": editor, "bl_label": base.bl_label}
    parent = getattr(base, "parent", main if base is not main else None)
    if parent is not None:
        members["bl_parent_id"] = idname(parent, editor)
    return type(members["bl_idname"], (base, bpy.types.Panel), members)


def idname(base: type, editor: str) -> str:
    return f"LOOM_PT_{base.__name__.lower()}_{editor.lower()}"
