# SPDX-License-Identifier: GPL-3.0-or-later
"""The mix of styles, the directions beside them, and the texture that follows both."""

import bpy

from .. import icons, thumbnails
from ..operators import kinds
from ..operators.variations import icon_key, seeds_shown, shows_sheet
from ..variations import columns_of
from .base import LoomPanel
from .parts import columns, draw_lines, draw_running, draw_trouble_with, draw_work


class Styles(LoomPanel):
    bl_label = "Styles"

    def draw_here(self, layout, context, settings, session):
        row = layout.row(align=True)
        if settings.live:
            row.operator("loom.live_stop", text="Live", icon="RADIOBUT_ON", depress=True)
        else:
            row.operator("loom.live_start", icon="RADIOBUT_OFF")
        row.prop(settings, "live_size", text="")
        draw_trouble_with(layout, context, session, "live")
        row = layout.row()
        row.template_list("LOOM_UL_styles", "", settings, "styles", settings, "style_index", rows=3)
        column = row.column(align=True)
        column.menu("LOOM_MT_styles", text="", icon="ADD")
        column.operator("loom.style_remove", text="", icon="REMOVE")
        column.separator()
        column.operator("loom.style_delete", text="", icon="TRASH")
        layout.use_property_decorate = True
        if not settings.styles:
            draw_lines(layout, "Adapt makes a style; + takes one that is there.", "INFO", columns(context))
        if 0 <= settings.style_index < len(settings.styles):
            slot = settings.styles[settings.style_index]
            if slot.steps:
                row = layout.row(align=True)
                row.use_property_split = False  # beside it there is no room for the name
                row.prop(slot, "moment", slider=True)
                row.operator("loom.style_settle", text="", icon="CHECKMARK")
        layout.prop(settings, "variety", slider=True)
        row = layout.row(align=True)
        row.prop(settings, "seed")
        row.prop(settings, "seed_locked", text="", icon="LOCKED" if settings.seed_locked else "UNLOCKED")
        row.operator("loom.dice", text="", icon="FILE_REFRESH")
        if kinds.known(settings.generator):
            row.menu("LOOM_MT_kinds", text="", icon="DOWNARROW_HLT")
        classes = kinds.classes(settings.generator)
        if classes > 1 or settings.class_index:  # one that is chosen is shown, so that it can be taken back
            layout.prop(settings, "class_index", text=f"Class (0 to {classes - 1})" if classes else "Class")


class Directions(LoomPanel):
    bl_label = "Directions"
    bl_options = {"DEFAULT_CLOSED"}
    parent = Styles

    def draw_here(self, layout, context, settings, session):
        layout.use_property_decorate = True
        for index, one in enumerate(settings.directions):
            row = layout.row(align=True)
            row.prop(one, "amount", text=one.label(), slider=True)
            row.operator("loom.direction_remove", text="", icon="X").index = index
        row = layout.row(align=True)
        row.operator_menu_enum("loom.direction_add", "layers", text="Add", icon="ADD")
        if not draw_running(layout, session, "directions"):
            row.operator_menu_enum("loom.directions_show", "layers", text="Show", icon="IMAGE_DATA")
        draw_trouble_with(layout, context, session, "directions")


class Variations(LoomPanel):
    bl_label = "Variations"
    bl_options = {"DEFAULT_CLOSED"}
    parent = Styles

    def draw_here(self, layout, context, settings, session):
        draw_work(layout, context, session, "variations", "loom.variations")
        if shows_sheet(context):
            layout.operator("loom.variation_click", icon="RESTRICT_SELECT_OFF")
        seeds = seeds_shown()
        if not seeds:
            return
        grid = layout.grid_flow(row_major=True, columns=min(4, columns_of(len(seeds))), even_columns=True, align=True)
        for cell, seed in enumerate(seeds):
            column = grid.column(align=True)
            icon = icons.number(icon_key(seed))
            if icon:
                column.template_icon(icon_value=icon, scale=3.6)
            column.operator("loom.variation_pick", text=str(seed), depress=seed == settings.seed).cell = cell


class Live(LoomPanel):
    bl_label = "Live and Animation"
    bl_options = {"DEFAULT_CLOSED"}
    parent = Styles

    def draw_here(self, layout, context, settings, session):
        layout.prop(settings, "live_pbr")
        layout.prop(settings, "live_limit_s")
        layout.prop(settings, "bake_pbr")
        draw_work(layout, context, session, "batch", "loom.bake", icon="RENDER_ANIMATION")


class LOOM_UL_styles(bpy.types.UIList):
    """One row for each style of the mix: on or off, picture, name, strength."""

    def draw_item(self, context, layout, data, item, icon, active_data, active_property, index=0, flt_flag=0):
        layout.use_property_split = False
        layout.use_property_decorate = False
        row = layout.row(align=True)
        row.prop(item, "use", text="")
        split = row.split(factor=0.66)
        split.label(text=item.name, icon_value=thumbnails.icon_of(item.name))
        strength = split.row(align=True)
        strength.active = item.use
        strength.prop(item, "strength", text="", slider=True)
