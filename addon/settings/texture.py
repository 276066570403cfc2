# SPDX-License-Identifier: GPL-3.0-or-later
"""A texture: which one, how large, and where it goes."""

import bpy
from bpy.props import BoolProperty, EnumProperty, FloatProperty, IntProperty, PointerProperty

from ..params import PBR_MAPS, Look, tile_name


class TextureSettings:
    """One texture and its material."""

    seed: IntProperty(name="Seed", default=0, min=0, description="Every number is another texture")
    count: IntProperty(
        name="Variations", default=1, min=1, max=1000, soft_max=16, description="How many, counting the seed up"
    )
    width: IntProperty(name="Width", default=512, min=16, max=8192, subtype="PIXEL")
    height: IntProperty(name="Height", default=512, min=16, max=8192, subtype="PIXEL")
    tile_x: BoolProperty(name="X", default=True, description="The left edge meets the right one without a seam")
    tile_y: BoolProperty(name="Y", default=True, description="The top edge meets the bottom one without a seam")
    variety: FloatProperty(
        name="Variety",
        default=0.8,
        min=0.0,
        max=1.5,
        subtype="FACTOR",
        description="Low: safe and alike. High: varied, with odd ones among them",
    )
    pbr: BoolProperty(
        name="Material Maps", default=True, description="Also make height, normal, roughness and ambient occlusion"
    )
    apply_to: EnumProperty(
        name="Put On",
        items=(
            ("MATERIAL", "Active Material", "Add it to the active object's material; your own nodes stay as they are"),
            ("NEW", "New Material", "Make a new material and put it into the active slot"),
            ("IMAGE", "Image Only", "Only load the pictures"),
        ),
        default="MATERIAL",
    )
    mapping: EnumProperty(
        name="Mapping",
        items=(
            ("UV", "UV Map", "Along the object's UV map"),
            ("BOX", "Box", "From six sides; needs no UV map"),
        ),
        default="UV",
    )
    scale: FloatProperty(name="Repeat", default=1.0, min=0.001, soft_max=20.0, description="How often it repeats")
    texture: PointerProperty(
        type=bpy.types.Image, name="Texture", description="The colour picture that Apply to Material takes"
    )

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
        )
