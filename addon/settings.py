# SPDX-License-Identifier: GPL-3.0-or-later
"""What the panels hold: settings on the Scene, which save with the file; the backend's lists on the WindowManager."""

import bpy
from bpy.props import (
    BoolProperty,
    CollectionProperty,
    EnumProperty,
    FloatProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)

from .params import PBR_MAPS, Look, tile_name

METHODS = (
    ("auto", "Automatic", "The small method that does best for this texture model"),
    ("style", "Style Vectors", "Fastest and smallest: moves the strengths of features only"),
    ("lowrank", "Low Rank", "Small changes to every layer"),
    ("layers", "Chosen Layers", "Retrains the layers that matter most to the target: changes of shape, large files"),
    ("full", "Everything", "Retrains the whole model: slow, large files, strongest changes"),
)


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


class LoomSettings(bpy.types.PropertyGroup):
    generator: StringProperty(
        name="Texture Model", default="builtin", description="The model that makes the textures, before any style"
    )
    # A style by words.
    source: StringProperty(name="From", default="stone", description="What the textures are now, in a few words")
    target: StringProperty(name="To", default="mossy stone", description="What they shall become, in a few words")
    style_name: StringProperty(name="Name", description="What the style is called. Empty: made from the To prompt")
    method: EnumProperty(name="Method", items=METHODS, default="auto")
    iterations: IntProperty(
        name="Steps", default=0, min=0, soft_max=600, description="How long it trains. 0: as long as usually needed"
    )
    adapt_seed: IntProperty(name="Seed", default=0, min=0, description="The same seed trains the same style again")
    # The mix of styles.
    styles: CollectionProperty(type=LoomStyleSlot)
    style_index: IntProperty(default=0)
    # A texture.
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
    # A walk.
    walk_seeds: StringProperty(name="Seeds", default="0, 1, 2", description="Textures to pass by, such as 3, 7, 12-15")
    walk_frames: IntProperty(name="Frames", default=120, min=2, soft_max=1000)
    walk_loop: BoolProperty(name="Loop", default=True, description="End where it began")
    walk_speed: EnumProperty(
        name="Speed",
        items=(
            ("visual", "Even to the Eye", "Each frame differs from the last by about as much"),
            ("linear", "Even Steps", "Equal steps in the model's own space"),
        ),
        default="visual",
    )
    # A set.
    batch_seeds: StringProperty(name="Seeds", default="0-15", description="Which textures to make, such as 0-15")
    batch_each: BoolProperty(
        name="One Set per Style", default=True, description="Off: all styles that are switched on, mixed"
    )
    batch_folder: StringProperty(
        name="Folder", subtype="DIR_PATH", description="Where the set is written. Empty: a folder in the output folder"
    )

    def chosen_styles(self) -> list[tuple[str, float]]:
        return [(slot.name, slot.strength) for slot in self.styles if slot.use]

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


class LoomName(bpy.types.PropertyGroup):
    """One name in a list to choose from; `name` is built in."""

    label: StringProperty()


class LoomLists(bpy.types.PropertyGroup):
    """What the backend has, for search fields."""

    generators: CollectionProperty(type=LoomName)
    styles: CollectionProperty(type=LoomName)


CLASSES = (LoomStyleSlot, LoomSettings, LoomName, LoomLists)


def attach() -> None:
    bpy.types.Scene.loom = PointerProperty(type=LoomSettings)
    bpy.types.WindowManager.loom = PointerProperty(type=LoomLists, options={"SKIP_SAVE"})


def detach() -> None:
    del bpy.types.Scene.loom
    del bpy.types.WindowManager.loom
