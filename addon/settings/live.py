# SPDX-License-Identifier: GPL-3.0-or-later
"""The live texture: what follows the sliders and the animation."""

import bpy
from bpy.props import BoolProperty, EnumProperty, FloatProperty, PointerProperty

from .. import live


class LiveSettings:
    """Whether and how the texture on the object follows the settings."""

    live: BoolProperty(
        name="Live",
        description="The texture on the object follows every slider here, and the animation of every slider",
        update=live.changed,
    )
    live_image: PointerProperty(
        type=bpy.types.Image, name="Live Texture", description="The picture that follows the sliders"
    )
    live_size: EnumProperty(
        name="Live Size",
        items=(
            ("FULL", "Full", "As large as the texture itself"),
            ("HALF", "Half", "Half as wide and high: four times as fast, and a part of the texture"),
            ("QUARTER", "Quarter", "A quarter as wide and high: the fastest, and a small part of the texture"),
        ),
        default="FULL",
        description="How large the texture is while you work; renders always have the full size",
        update=live.changed,
    )
    live_pbr: BoolProperty(
        name="Live Material Maps",
        description="Height, normal, roughness and ambient occlusion follow too; slower",
        update=live.changed,
    )
    live_limit_s: FloatProperty(
        name="Wait at Most",
        default=120.0,
        min=1.0,
        soft_max=3600.0,
        subtype="TIME_ABSOLUTE",
        unit="TIME_ABSOLUTE",
        description="How long a render waits for the texture of a frame before it stops and says why",
    )
    bake_pbr: BoolProperty(
        name="Bake Material Maps",
        description="Also write height, normal, roughness and ambient occlusion for every frame",
    )
