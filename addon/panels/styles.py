# SPDX-License-Identifier: GPL-3.0-or-later
"""The mix of styles."""

import bpy

from .base import LoomPanel


class Styles(LoomPanel):
    bl_label = "Styles"

    def draw_here(self, layout, context, settings, session):
        row = layout.row()
        row.template_list("LOOM_UL_styles", "", settings, "styles", settings, "style_index", rows=3)
        column = row.column(align=True)
        column.menu("LOOM_MT_styles", text="", icon="ADD")
        column.operator("loom.style_remove", text="", icon="REMOVE")
        column.separator()
        column.operator("loom.style_delete", text="", icon="TRASH")


class LOOM_UL_styles(bpy.types.UIList):
    """One row for each style of the mix: on or off, name, strength."""

    def draw_item(self, context, layout, data, item, icon, active_data, active_property, index=0, flt_flag=0):
        layout.use_property_split = False
        layout.use_property_decorate = False
        row = layout.row(align=True)
        row.prop(item, "use", text="")
        split = row.split(factor=0.55)
        split.label(text=item.name)
        strength = split.row(align=True)
        strength.active = item.use
        strength.prop(item, "strength", text="", slider=True)
