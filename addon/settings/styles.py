# SPDX-License-Identifier: GPL-3.0-or-later
"""The mix of styles, and the directions in which a texture can be edited beside them."""

import bpy
from bpy.props import BoolProperty, CollectionProperty, FloatProperty, IntProperty

from .. import live, runtime


class LoomStyleSlot(bpy.types.PropertyGroup):
    """One style of the mix. `name` (built in) is the style's name in the backend."""

    use: BoolProperty(name="Use", default=True, description="Whether this style takes part", update=live.changed)
    strength: FloatProperty(
        name="Strength",
        default=1.0,
        soft_min=0.0,
        soft_max=1.5,
        min=-2.0,
        max=3.0,
        description="0 leaves the texture as it was, 1 is the style as trained, more exaggerates it",
        update=live.changed,
    )
    moment: FloatProperty(
        name="How Far Trained",
        default=1.0,
        min=0.0,
        max=1.0,
        subtype="FACTOR",
        description="Goes back in the training: lower is what the style was earlier on, often closer to the original. "
        "1 is the style as it was saved",
        update=live.changed,
    )
    steps: IntProperty(options={"HIDDEN"}, description="Steps of its training that can be gone back; 0: none are kept")

    def reference(self) -> str:
        """How the backend calls the style at this moment of its training: `mossy`, or `mossy@62.5`."""
        if self.moment >= 1.0 or self.steps <= 0:
            return self.name
        return f"{self.name}@{max(1.0, round(self.moment * self.steps, 1)):g}"


class LoomDirection(bpy.types.PropertyGroup):
    """One edit direction. `name` (built in) is what the backend calls it: d0, d3-fine."""

    amount: FloatProperty(
        name="Amount",
        default=0.0,
        soft_min=-3.0,
        soft_max=3.0,
        min=-20.0,
        max=20.0,
        description="How far the texture is moved this way; from -3 to 3 most textures stay good",
        update=live.changed,
    )

    def label(self) -> str:
        """`Detail 3` of d2-fine."""
        number, _, layers = self.name.removeprefix("d").partition("-")
        kind = {"": "Direction", "coarse": "Layout", "middle": "Shapes", "fine": "Detail"}.get(layers, layers)
        return f"{kind} {int(number) + 1}" if number.isdecimal() else self.name


class StyleSettings:
    """Styles and how strong each is; directions and how far."""

    styles: CollectionProperty(type=LoomStyleSlot, description="Styles that are mixed")
    style_index: IntProperty(default=0, description="The style that is selected in the list")
    directions: CollectionProperty(type=LoomDirection, description="Ways in which the texture is changed by a slider")

    def chosen_styles(self) -> list[tuple[str, float]]:
        return [(slot.reference(), slot.strength) for slot in self.styles if slot.use]

    def chosen_directions(self) -> list[tuple[str, float]]:
        return [(one.name, one.amount) for one in self.directions if one.amount]

    def add_style(self, name: str, strength: float = 1.0) -> None:
        """Put `name` into the mix and select it; the others are switched off, not forgotten."""
        for slot in self.styles:
            slot.use = False
        self.mix_style(name, strength)

    def mix_style(self, name: str, strength: float = 1.0) -> None:
        """Put `name` into the mix beside what is there, and select it."""
        index = self.styles.find(name)
        if index < 0:
            slot = self.styles.add()
            slot.name = name
            index = len(self.styles) - 1
        slot = self.styles[index]
        slot.steps = runtime.session().steps_of(name) or 0
        slot.strength, slot.moment, slot.use = strength, 1.0, True
        self.style_index = index
