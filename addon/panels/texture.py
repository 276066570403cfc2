# SPDX-License-Identifier: GPL-3.0-or-later
"""A texture: which one, how large, and where it goes."""

from .base import LoomPanel
from .parts import draw_kind, draw_preview, draw_work


class Texture(LoomPanel):
    bl_label = "Texture"

    def draw_here(self, layout, context, settings, session):
        draw_kind(layout, settings)
        row = layout.row(align=True)
        row.prop_search(settings, "kept", context.window_manager.loom, "textures", icon="TEXTURE")
        if settings.kept:
            row.operator("loom.texture_delete", text="", icon="TRASH")
        else:
            row.operator("loom.keep", text="", icon="FAKE_USER_OFF")
            layout.prop(settings, "count")
        column = layout.column(align=True)
        column.prop(settings, "width")
        column.prop(settings, "height")
        row = layout.row(heading="Seamless")
        row.prop(settings, "tile_x", toggle=True)
        row.prop(settings, "tile_y", toggle=True)
        layout.prop(settings, "pbr")
        if settings.pbr:
            layout.prop_search(settings, "family", context.window_manager.loom, "materials", icon="MATERIAL")
            layout.prop(settings, "relief")
        layout.prop(settings, "apply_to")
        draw_work(layout, context, session, "generate", "loom.generate", icon="TEXTURE")


class Restyle(LoomPanel):
    bl_label = "From a Picture"
    bl_options = {"DEFAULT_CLOSED"}
    parent = Texture

    def draw_here(self, layout, context, settings, session):
        works = session.running("project") is not None
        column = layout.column()
        column.enabled = not works
        column.prop(settings, "restyle_image")
        column.prop(settings, "restyle_name", placeholder="from the picture")
        column.prop(settings, "restyle_detail")
        column.prop(settings, "restyle_steps")
        draw_work(layout, context, session, "project", "loom.restyle", icon="IMAGE_REFERENCE")
        if works:
            draw_preview(layout)
