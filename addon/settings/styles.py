# SPDX-License-Identifier: GPL-3.0-or-later
"""The mix of styles."""

import bpy
from bpy.props import BoolProperty, CollectionProperty, FloatProperty, IntProperty


class LoomStyleSlot(bpy.types.PropertyGroup):
    """One style of the mix. `name` (built in) is the style's name in the backend."""

    use: BoolProperty(name="Use", default=True, description="Whether this style takes part")
    strength: FloatProperty(
        name="Strength",
        default=1.0,
        soft_min=0.0,
        soft_max=1.5,
        min=-2.0,
        max=3.0,
        description="0 leaves the texture as it was, 1 is the style as trained, more exaggerates it",
    )


class StyleSettings:
    """Styles and how strong each is."""

    styles: CollectionProperty(type=LoomStyleSlot)
    style_index: IntProperty(default=0)

    def chosen_styles(self) -> list[tuple[str, float]]:
        return [(slot.name, slot.strength) for slot in self.styles if slot.use]

    def add_style(self, name: str) -> None:
        """Put `name` into the mix at full strength and select it; the others are switched off, not forgotten."""
        for slot in self.styles:
            slot.use = False
        index = self.styles.find(name)
        if index < 0:
            slot = self.styles.add()
            slot.name = name
            index = len(self.styles) - 1
        self.styles[index].use = True
        self.style_index = index
