# SPDX-License-Identifier: GPL-3.0-or-later
"""What was made in this scene, with small pictures."""

import bpy

from .. import history, icons
from .base import LoomPanel
from .parts import columns, draw_lines


class History(LoomPanel):
    bl_label = "History"
    bl_options = {"DEFAULT_CLOSED"}

    def draw_here(self, layout, context, settings, session):
        if not settings.history:
            draw_lines(layout, "Every texture and walk made in this scene appears here.", "INFO", columns(context))
            return
        row = layout.row()
        row.template_list("LOOM_UL_history", "", settings, "history", settings, "history_index", rows=4)
        column = row.column(align=True)
        column.operator("loom.history_delete", text="", icon="REMOVE")
        column.operator("loom.history_clear", text="", icon="TRASH")
        if not 0 <= settings.history_index < len(settings.history):
            return
        item = settings.history[settings.history_index]
        picture = icons.result_id(item.uuid)
        if picture:
            layout.template_icon(icon_value=picture, scale=6.0)
        entry = history.read(item.record)
        if entry is not None:
            draw_lines(layout, entry.line() or entry.title, "INFO", columns(context))
        row = layout.row(align=True)
        row.operator("loom.history_recall", icon="LOOP_BACK")
        row.operator("loom.history_show", icon="IMAGE_DATA")
        row.operator("loom.history_reveal", text="", icon="FILE_FOLDER")


class LOOM_UL_history(bpy.types.UIList):
    """One row for each result."""

    def draw_item(self, context, layout, data, item, icon, active_data, active_property, index=0, flt_flag=0):
        picture = icons.result_id(item.uuid)
        if picture:
            layout.label(text=item.name, icon_value=picture)
        else:
            layout.label(text=item.name, icon="IMAGE_DATA")
