# SPDX-License-Identifier: GPL-3.0-or-later
"""A texture that changes over time."""

import bpy

from .. import thumbnails
from .base import LoomPanel
from .parts import columns, draw_lines, draw_work


class Walk(LoomPanel):
    bl_label = "Walk"
    bl_options = {"DEFAULT_CLOSED"}

    def draw_here(self, layout, context, settings, session):
        row = layout.row()
        row.template_list("LOOM_UL_walk_keys", "", settings, "walk_keys", settings, "walk_key_index", rows=3)
        column = row.column(align=True)
        column.operator("loom.walk_key_add", text="", icon="ADD")
        column.operator("loom.walk_key_remove", text="", icon="REMOVE")
        column.separator()
        column.operator("loom.walk_key_move", text="", icon="TRIA_UP").way = "UP"
        column.operator("loom.walk_key_move", text="", icon="TRIA_DOWN").way = "DOWN"
        if settings.walk_key() is not None:
            _draw_key(layout, settings.walk_key())
        if not settings.walk_keys:
            draw_lines(layout, "+ takes what the sliders show as a key. Without keys:", "INFO", columns(context))
            layout.prop(settings, "walk_seeds")
        layout.prop(settings, "walk_frames")
        layout.prop(settings, "walk_loop")
        layout.prop(settings, "walk_speed")
        layout.prop(settings, "walk_pbr")
        layout.prop(settings, "walk_to")
        draw_work(layout, context, session, "walk", "loom.walk", icon="RENDER_ANIMATION")


class LOOM_UL_walk_keys(bpy.types.UIList):
    """One row for each key: its picture, texture and styles."""

    def draw_item(self, context, layout, data, item, icon, active_data, active_property, index=0, flt_flag=0):
        picture = thumbnails.icon_of_key(data, item)
        if picture:
            layout.label(text=item.label(), icon_value=picture)
        else:
            layout.label(text=item.label(), icon="KEYFRAME")


def _draw_key(layout, key) -> None:
    """What can be changed about a key by itself, and the way between it and the sliders."""
    row = layout.row(align=True)
    row.operator("loom.walk_key_show", text="Show", icon="HIDE_OFF")
    row.operator("loom.walk_key_set", text="Set from Sliders", icon="IMPORT")
    for slot in key.styles:
        if slot.use:
            layout.prop(slot, "strength", text=slot.name, slider=True)
    for one in key.directions:
        layout.prop(one, "amount", text=one.label(), slider=True)
    layout.prop(key, "hold")
    layout.prop(key, "ease")
