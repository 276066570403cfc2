# SPDX-License-Identifier: GPL-3.0-or-later
"""A texture: which one, how large, and where it goes."""

import bpy
from bpy.props import BoolProperty, EnumProperty, FloatProperty, IntProperty, PointerProperty, StringProperty

from .. import live
from ..params import PBR_MAPS, Look, tile_name


def _edge(name: str, description: str):
    return IntProperty(
        name=name, default=512, min=16, max=8192, subtype="PIXEL", description=description, update=live.changed
    )


class TextureSettings:
    """One texture and its material."""

    seed: IntProperty(
        name="Seed", default=0, min=0, description="Every number is another texture", update=live.moved_on
    )
    seed_locked: BoolProperty(
        name="Lock Seed", description="The dice and the grid of variations leave the seed as it is"
    )
    kept: StringProperty(
        name="Kept Texture",
        description="A texture that was kept under a name, or made from a picture, instead of a seed. Empty: the seed",
        update=live.moved_on,
    )
    kind: StringProperty(
        name="Material",
        description="What the seed shows, where the texture model knows materials. Empty: any",
    )
    class_index: IntProperty(
        name="Class",
        default=0,
        min=0,
        description="Which of its classes, from 0 on, a texture model that has classes makes",
        update=live.changed,
    )
    count: IntProperty(
        name="How Many", default=1, min=1, max=1000, soft_max=16, description="Textures at once, counting the seed up"
    )
    width: _edge("Width", "How wide the picture is")
    height: _edge("Height", "How high the picture is")
    tile_x: BoolProperty(
        name="X", default=True, description="The left edge meets the right one without a seam", update=live.changed
    )
    tile_y: BoolProperty(
        name="Y", default=True, description="The top edge meets the bottom one without a seam", update=live.changed
    )
    variety: FloatProperty(
        name="Variety",
        default=0.8,
        min=0.0,
        max=1.5,
        subtype="FACTOR",
        description="Low: safe and alike. High: varied, with odd ones among them",
        update=live.changed,
    )
    pbr: BoolProperty(
        name="Material Maps",
        default=True,
        description="Also make height, normal, roughness and ambient occlusion",
    )
    family: StringProperty(
        name="Surface",
        default="auto",
        description="What the material is: sets how deep and how rough it is taken to be",
        update=live.changed,
    )
    relief: FloatProperty(
        name="Relief",
        default=1.0,
        min=0.0,
        max=10.0,
        soft_max=3.0,
        description="How deep hollows are in the maps",
        update=live.changed,
    )
    apply_to: EnumProperty(
        name="Put On",
        items=(
            ("MATERIAL", "Active Material", "Add it to the active object's material; your own nodes stay as they are"),
            ("NEW", "New Material", "Make a new material and put it into the active slot"),
            ("IMAGE", "Image Only", "Only load the pictures"),
        ),
        default="MATERIAL",
        description="What becomes of the pictures",
    )
    mapping: EnumProperty(
        name="Mapping",
        items=(
            ("UV", "UV Map", "Along the object's UV map"),
            ("BOX", "Box", "From six sides; needs no UV map"),
        ),
        default="UV",
        description="How the texture lies on the object",
    )
    scale: FloatProperty(name="Repeat", default=1.0, min=0.001, soft_max=20.0, description="How often it repeats")
    texture: PointerProperty(
        type=bpy.types.Image, name="Texture", description="The colour picture that Apply to Material takes"
    )

    def source_of_texture(self) -> int | str:
        """The seed, or the name of the kept texture that stands in its place."""
        return self.kept or self.seed

    def look(self, maps: tuple[str, ...] | None = None) -> Look:
        """These settings as requests need them; `maps` None: colour, and the others where they are wanted."""
        wanted = ("color", *PBR_MAPS) if self.pbr else ("color",)
        return Look(
            generator=self.generator,
            styles=self.chosen_styles(),
            size=(self.width, self.height),
            tile=tile_name(self.tile_x, self.tile_y),
            psi=self.variety,
            maps=wanted if maps is None else maps,
            directions=self.chosen_directions(),
            class_index=self.class_index or None,  # the first one is anyone's: so no other model refuses it
            material=self.family or "auto",
            relief=self.relief,
        )
