# SPDX-License-Identifier: GPL-3.0-or-later
"""What a new style is made of."""

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

from .. import live

METHODS = (
    ("auto", "Automatic", "What the kind of change asks for, else the small method that does best for this model"),
    ("style", "Style Vectors", "Fastest and smallest: moves the strengths of features only"),
    ("lowrank", "Low Rank", "Small changes to every layer"),
    ("layers", "Chosen Layers", "Retrains the layers that matter most to the target: changes of shape, large files"),
    ("full", "Everything", "Retrains the whole model: slow, large files, strongest changes"),
)


class LoomPhrase(bpy.types.PropertyGroup):
    """Words with a weight."""

    words: StringProperty(name="Words", description="A few words, such as wet stone")
    weight: FloatProperty(
        name="Weight",
        default=0.5,
        min=0.0,
        max=10.0,
        soft_max=2.0,
        description="How much it counts beside the To prompt",
    )


class LoomPicture(bpy.types.PropertyGroup):
    """A picture to become like: a file, or an image of this .blend."""

    path: StringProperty(name="File", subtype="FILE_PATH", description="A picture on disk")
    image: PointerProperty(type=bpy.types.Image, name="Image", description="A picture that is open in Blender")

    def shown_name(self) -> str:
        return self.image.name if self.image is not None else bpy.path.basename(self.path)


class AdaptSettings:
    """A style by words, by pictures, or by both. `generator` is also what textures are made with."""

    generator: StringProperty(
        name="Texture Model",
        default="builtin",
        description="The model that makes the textures, before any style",
        update=live.chose_model,
    )
    source: StringProperty(name="From", default="stone", description="What the textures are now, in a few words")
    target: StringProperty(name="To", default="mossy stone", description="What they shall become, in a few words")
    targets: CollectionProperty(type=LoomPhrase, description="More words for what they shall become, with weights")
    negatives: CollectionProperty(type=LoomPhrase, description="Words to move away from, with weights")
    keep_fixed: StringProperty(
        name="Keep", description="Words for what must not change, with commas between them, such as green, cracked"
    )
    pictures: CollectionProperty(type=LoomPicture, description="Pictures that the textures shall become like")
    image_weight: FloatProperty(
        name="Pictures Count",
        default=1.0,
        min=0.0,
        max=10.0,
        soft_max=2.0,
        description="How much the pictures count beside the words",
    )
    preset: StringProperty(name="Kind of Change", description="What sort of change it is. Empty: no particular one")
    style_name: StringProperty(name="Name", description="What the style is called. Empty: made from the To prompt")
    method: EnumProperty(name="Method", items=METHODS, default="auto", description="What of the model is trained")
    iterations: IntProperty(
        name="Steps", default=0, min=0, soft_max=600, description="How long it trains. 0: as long as usually needed"
    )
    one_class: BoolProperty(
        name="Only This Class",
        description="Train on the chosen class alone, of a texture model that has classes. Off: on all of them",
    )
    adapt_seed: IntProperty(name="Seed", default=0, min=0, description="The same seed trains the same style again")
