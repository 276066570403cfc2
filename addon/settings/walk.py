# SPDX-License-Identifier: GPL-3.0-or-later
"""A walk from texture to texture."""

from bpy.props import BoolProperty, EnumProperty, IntProperty, StringProperty


class WalkSettings:
    """Textures to pass by, and how."""

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
