# SPDX-License-Identifier: GPL-3.0-or-later
"""A set of textures."""

from bpy.props import BoolProperty, StringProperty


class BatchSettings:
    """Which textures to export, and where to."""

    batch_seeds: StringProperty(name="Seeds", default="0-15", description="Which textures to make, such as 0-15")
    batch_each: BoolProperty(
        name="One Set per Style", default=True, description="Off: all styles that are switched on, mixed"
    )
    batch_folder: StringProperty(
        name="Folder", subtype="DIR_PATH", description="Where the set is written. Empty: a folder in the output folder"
    )
