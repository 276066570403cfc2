# SPDX-License-Identifier: GPL-3.0-or-later
"""A texture: which one, how large, and where it goes."""

from .base import LoomPanel
from .parts import draw_job


class Texture(LoomPanel):
    bl_label = "Texture"

    def draw_here(self, layout, context, settings, session):
        row = layout.row(align=True)
        row.prop(settings, "seed")
        row.operator("loom.dice", text="", icon="FILE_REFRESH")
        layout.prop(settings, "count")
        column = layout.column(align=True)
        column.prop(settings, "width")
        column.prop(settings, "height")
        row = layout.row(heading="Seamless")
        row.prop(settings, "tile_x", toggle=True)
        row.prop(settings, "tile_y", toggle=True)
        layout.prop(settings, "variety")
        layout.prop(settings, "pbr")
        layout.prop(settings, "apply_to")
        job = session.running("generate")
        if job is not None:
            draw_job(layout, job)
        else:
            layout.operator("loom.generate", icon="TEXTURE")
