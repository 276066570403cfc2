# SPDX-License-Identifier: GPL-3.0-or-later
"""What a new style is made of."""

from bpy.props import EnumProperty, IntProperty, StringProperty

METHODS = (
    ("auto", "Automatic", "The small method that does best for this texture model"),
    ("style", "Style Vectors", "Fastest and smallest: moves the strengths of features only"),
    ("lowrank", "Low Rank", "Small changes to every layer"),
    ("layers", "Chosen Layers", "Retrains the layers that matter most to the target: changes of shape, large files"),
    ("full", "Everything", "Retrains the whole model: slow, large files, strongest changes"),
)


class AdaptSettings:
    """A style by words. `generator` is also what textures are made with."""

    generator: StringProperty(
        name="Texture Model", default="builtin", description="The model that makes the textures, before any style"
    )
    source: StringProperty(name="From", default="stone", description="What the textures are now, in a few words")
    target: StringProperty(name="To", default="mossy stone", description="What they shall become, in a few words")
    style_name: StringProperty(name="Name", description="What the style is called. Empty: made from the To prompt")
    method: EnumProperty(name="Method", items=METHODS, default="auto")
    iterations: IntProperty(
        name="Steps", default=0, min=0, soft_max=600, description="How long it trains. 0: as long as usually needed"
    )
    adapt_seed: IntProperty(name="Seed", default=0, min=0, description="The same seed trains the same style again")
