# SPDX-License-Identifier: GPL-3.0-or-later
"""A set of textures."""

import bpy
from bpy.props import BoolProperty, EnumProperty, PointerProperty, StringProperty

MAPS = (
    ("color", "Colour", "The colour of the surface"),
    ("normal", "Normal", "Which way the surface faces"),
    ("height", "Height", "How high it stands"),
    ("roughness", "Roughness", "How matt it is"),
    ("ao", "Occlusion", "Where little light gets to"),
    ("orm", "Packed", "Occlusion, roughness and metal in one picture, as game engines take them"),
)
FORMATS = (
    ("png", "PNG", "8 bits a channel, without loss"),
    ("png16", "PNG, 16 Bit", "Needs the backend's extra formats"),
    ("exr", "OpenEXR", "Half floats in linear light; needs the backend's extra formats"),
    ("jpeg", "JPEG", "Small, with loss"),
    ("webp", "WebP", "Small, with loss"),
)


class BatchSettings:
    """Which textures to export, and where to."""

    batch_source: EnumProperty(
        name="Of",
        description="Where it is written what to make",
        items=(
            ("STYLES", "Styles in Use", "The styles that are switched on under Styles"),
            ("TEXT", "List in a Text", "A text of this .blend: a style, or prompts to train one of, in each line"),
            ("FILE", "Batch File", "A .csv, .jsonl or .toml file, which says everything itself"),
        ),
        default="STYLES",
    )
    batch_text: PointerProperty(
        type=bpy.types.Text,
        name="List",
        description="One in each line: a style, or prompts such as stone -> mossy stone. A table as CSV works too",
    )
    batch_file: StringProperty(
        name="File", subtype="FILE_PATH", description="A batch file: .csv, .jsonl or .toml (see the guide)"
    )
    batch_seeds: StringProperty(
        name="Seeds",
        default="0-15",
        description="Which textures to make, such as 0-15. With a material: of those that show it, from 0 on",
    )
    batch_each: BoolProperty(
        name="One Set per Style", default=True, description="Off: all styles that are switched on, mixed"
    )
    batch_sizes: StringProperty(
        name="Sizes", description="Sizes in pixels, such as 512, 1024x512. Empty: the one under Texture"
    )
    batch_maps: EnumProperty(
        name="Maps",
        items=MAPS,
        options={"ENUM_FLAG"},
        default={"color", "normal", "height", "roughness", "ao"},
        description="Which pictures are made of each texture",
    )
    batch_format: EnumProperty(
        name="Format", items=FORMATS, default="png", description="Of the colour; the other maps are always PNG"
    )
    batch_naming: StringProperty(
        name="Names",
        description="How files are called, such as {style}/{name}-{size}-{seed:04}_{map}. Empty: NAME-SEED_MAP",
    )
    batch_detach: BoolProperty(
        name="Outlives Blender",
        default=True,
        description="The set is made by a process of its own: Blender may be closed, and finds it again",
    )
    batch_folder: StringProperty(
        name="Folder", subtype="DIR_PATH", description="Where the set is written. Empty: a folder in the output folder"
    )
