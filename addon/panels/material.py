# SPDX-License-Identifier: GPL-3.0-or-later
"""How a texture lies on a material."""

from .base import LoomPanel


class Material(LoomPanel):
    bl_label = "Material"
    bl_options = {"DEFAULT_CLOSED"}

    def draw_here(self, layout, context, settings, session):
        layout.prop(settings, "texture")
        layout.prop(settings, "mapping")
        layout.prop(settings, "scale")
        layout.operator("loom.apply", icon="MATERIAL")
