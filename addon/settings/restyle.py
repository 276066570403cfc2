# SPDX-License-Identifier: GPL-3.0-or-later
"""A picture that becomes a texture of the model, to be restyled."""

import bpy
from bpy.props import EnumProperty, IntProperty, PointerProperty, StringProperty


class RestyleSettings:
    """Which picture, and how closely."""

    restyle_image: PointerProperty(
        type=bpy.types.Image,
        name="Picture",
        description="The picture to take in. Empty: that of the Image Editor, or of the active image node",
    )
    restyle_name: StringProperty(name="Keep As", description="What the texture is called. Empty: the picture's name")
    restyle_detail: EnumProperty(
        name="Detail",
        items=(
            ("OWN", "As the Model", "At the model's own size: fast, and it keeps what that size shows"),
            ("DOUBLE", "Twice", "Twice as wide and high: four times the work"),
            ("FOURFOLD", "Four Times", "Four times as wide and high: sixteen times the work"),
        ),
        default="OWN",
        description="How much of the picture is kept",
    )
    restyle_steps: IntProperty(
        name="Steps", default=600, min=3, soft_max=2000, description="More come nearer to the picture and take longer"
    )
