# SPDX-License-Identifier: GPL-3.0-or-later
"""How a texture lies on a material, and the material as an asset."""

from .base import LoomPanel


class Material(LoomPanel):
    bl_label = "Material"
    bl_options = {"DEFAULT_CLOSED"}

    def draw_here(self, layout, context, settings, session):
        layout.prop(settings, "texture")
        layout.prop(settings, "mapping")
        layout.prop(settings, "scale")
        row = layout.row(align=True)
        row.operator("loom.apply", icon="MATERIAL")
        row.operator("loom.asset_mark", icon="ASSET_MANAGER")
