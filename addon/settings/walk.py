# SPDX-License-Identifier: GPL-3.0-or-later
"""A walk from texture to texture."""

import bpy
from bpy.props import BoolProperty, CollectionProperty, EnumProperty, FloatProperty, IntProperty, StringProperty

from ..params import WalkKey
from .styles import LoomDirection, LoomStyleSlot

EASES = (
    ("linear", "Even", "As fast all the way"),
    ("smooth", "Smooth", "Leave slowly and arrive slowly"),
    ("in", "Slow Start", "Leave slowly"),
    ("out", "Slow End", "Arrive slowly"),
)


class LoomWalkKey(bpy.types.PropertyGroup):
    """One station: a texture as the sliders had it when it was taken."""

    seed: IntProperty(name="Seed", min=0, description="Which texture it is")
    kept: StringProperty(name="Kept Texture", description="A texture that was kept under a name, instead of the seed")
    styles: CollectionProperty(type=LoomStyleSlot, description="Styles here")
    directions: CollectionProperty(type=LoomDirection, description="Directions here")
    variety: FloatProperty(
        name="Variety", default=0.8, min=0.0, max=1.5, subtype="FACTOR", description="Low: safe. High: varied"
    )
    hold: IntProperty(name="Stay", min=0, max=10_000, description="For how many more frames the walk stays here")
    ease: EnumProperty(name="Way On", items=EASES, description="How it goes on from here to the next key")

    def label(self) -> str:
        """`Seed 7 · mossy 0.8, snowy 0.2`."""
        styles = ", ".join(f"{slot.name} {slot.strength:.2g}" for slot in self.styles if slot.use and slot.strength)
        return (self.kept or f"Seed {self.seed}") + (f" · {styles}" if styles else "")

    def take(self, settings) -> None:
        """Become what the sliders show."""
        self.seed, self.kept, self.variety = settings.seed, settings.kept, settings.variety
        copy_slots(settings, self)

    def give(self, settings) -> None:
        """Set the sliders to what this is."""
        settings.seed, settings.kept, settings.variety = self.seed, self.kept, self.variety
        copy_slots(self, settings)

    def as_key(self) -> WalkKey:
        return WalkKey(
            source=self.kept or self.seed,
            styles=[(slot.reference(), slot.strength) for slot in self.styles if slot.use],
            directions=[(one.name, one.amount) for one in self.directions if one.amount],
            psi=self.variety,
            hold=self.hold,
            ease=self.ease,
        )


def copy_slots(source, target) -> None:
    """Styles and directions with their values, from one owner of both to another."""
    target.styles.clear()
    for slot in source.styles:
        new = target.styles.add()
        for name in ("name", "steps", "moment", "strength", "use"):
            setattr(new, name, getattr(slot, name))
    target.directions.clear()
    for one in source.directions:
        new = target.directions.add()
        new.name, new.amount = one.name, one.amount


class WalkSettings:
    """Textures to pass by, and how."""

    walk_keys: CollectionProperty(type=LoomWalkKey, description="Textures to pass by, each with styles of its own")
    walk_key_index: IntProperty(default=0, description="The key that is selected in the list")
    walk_seeds: StringProperty(
        name="Seeds", default="0, 1, 2", description="Textures to pass by while there are no keys, such as 3, 7, 12-15"
    )
    walk_frames: IntProperty(
        name="Frames", default=120, min=2, soft_max=1000, description="How many pictures the walk has"
    )
    walk_loop: BoolProperty(name="Loop", default=True, description="End where it began")
    walk_speed: EnumProperty(
        name="Speed",
        items=(
            ("visual", "Even to the Eye", "Each frame differs from the last by about as much"),
            ("linear", "Even Steps", "Equal steps in the model's own space"),
        ),
        default="visual",
        description="What is kept even from frame to frame",
    )
    walk_pbr: BoolProperty(
        name="Material Maps", description="Also make height, normal, roughness and ambient occlusion for every frame"
    )
    walk_to: EnumProperty(
        name="Play It",
        items=(
            ("MATERIAL", "On the Material", "As an image sequence that repeats, where the texture is put"),
            ("STRIP", "In the Sequencer", "As an image strip, from the current frame on"),
        ),
        default="MATERIAL",
        description="What becomes of the frames",
    )

    def walk_key(self) -> LoomWalkKey | None:
        """The key that is selected, if any."""
        there = 0 <= self.walk_key_index < len(self.walk_keys)
        return self.walk_keys[self.walk_key_index] if there else None

    def keys_of_walk(self, seeds) -> list[WalkKey]:
        """The keys, or `seeds()` with the styles and directions of the sliders where there are none."""
        if self.walk_keys:
            return [key.as_key() for key in self.walk_keys]
        shared = {"styles": self.chosen_styles(), "directions": self.chosen_directions()}
        return [WalkKey(source=seed, **shared) for seed in seeds()]
