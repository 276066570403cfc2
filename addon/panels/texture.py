# SPDX-License-Identifier: GPL-3.0-or-later
"""A texture: which one, how large, and where it goes."""

from .base import LoomPanel
from .parts import draw_job


class Texture(LoomPanel):
    bl_label = "Texture"

    def draw_here(self, layout, context, settings, session):
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
        job = session.running("generate")
        if job is not None:
            draw_job(layout, job)
        else:
            layout.operator("loom.generate", icon="TEXTURE")


class Restyle(LoomPanel):
    bl_label = "From a Picture"
    bl_options = {"DEFAULT_CLOSED"}
    parent = Texture

    def draw_here(self, layout, context, settings, session):
        job = session.running("project")
        column = layout.column()
        column.enabled = job is None
        column.prop(settings, "restyle_image")
        column.prop(settings, "restyle_name", placeholder="from the picture")
        column.prop(settings, "restyle_detail")
        column.prop(settings, "restyle_steps")
        if job is not None:
            draw_job(layout, job)
        else:
            layout.operator("loom.restyle", icon="IMAGE_REFERENCE")
