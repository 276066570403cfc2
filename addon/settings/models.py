# SPDX-License-Identifier: GPL-3.0-or-later
"""Which language model is used, and a texture model of one's own pictures."""

from bpy.props import BoolProperty, EnumProperty, IntProperty, StringProperty


class ModelSettings:
    """What is trained on which folder."""

    clip: StringProperty(
        name="Language Model",
        default="builtin",
        description="What understands the words of a new style: the built-in one knows some hundred words of materials "
        "and weather, a full one all",
    )
    train_folder: StringProperty(
        name="Pictures", subtype="DIR_PATH", description="Folder of your textures: PNG, JPEG and the like, of any size"
    )
    train_name: StringProperty(name="Name", description="What the texture model is called. Empty: as the folder is")
    train_size: EnumProperty(
        name="Detail",
        items=(
            ("64", "64 px", "Quick; for coarse materials"),
            ("128", "128 px", "Four times as slow"),
            ("256", "256 px", "For a graphics card"),
        ),
        default="64",
        description="The size at which it sees your pictures. Textures of any size come out of it all the same",
    )
    train_total: IntProperty(
        name="Pictures Shown",
        default=100_000,
        min=1_000,
        soft_max=2_000_000,
        step=10_000,
        description="How long it learns: 100,000 is a beginning, hours on a processor",
    )
    train_tileable: BoolProperty(
        name="They Are Seamless", description="Your pictures repeat without a seam: then each is used whole"
    )
    train_start: BoolProperty(
        name="From Chosen Model",
        description="Go on from the texture model chosen above: good for small folders; its size is kept",
    )
