# SPDX-License-Identifier: GPL-3.0-or-later
"""A texture onto a material."""

import bpy

from .. import images, material, place
from ..params import PBR_MAPS, BadInput
from ..settings.texture import TextureSettings
from .takes import take, takes

SHOWN = frozenset({"color", *PBR_MAPS})


@takes(TextureSettings, "apply_to", "mapping", "scale")
class LOOM_OT_apply(bpy.types.Operator):
    """Put the texture on the active object's material; what you have connected there stays as it is"""

    bl_idname = "loom.apply"
    bl_label = "Apply to Material"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context):
        if context.scene.loom.texture is None:
            cls.poll_message_set("Generate a texture first, or choose one")
            return False
        return True

    def execute(self, context):
        settings = context.scene.loom
        take(self, settings)
        apply_to = "NEW" if settings.apply_to == "NEW" else "MATERIAL"
        try:
            place.here(context, apply_to)
        except BadInput as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        report(self, put_on(context.scene, context.object, apply_to))
        return {"FINISHED"}


def put_on(scene: bpy.types.Scene, thing: bpy.types.Object | None, apply_to: str) -> material.Applied:
    """Put the scene's chosen texture, with the maps that belong to it, on the material of `thing`."""
    image = scene.loom.texture
    maps = {name: one for name, one in images.set_of(image).items() if name in SHOWN} | {"color": image}
    return put_maps(scene, thing, apply_to, maps)


def put_maps(
    scene: bpy.types.Scene,
    thing: bpy.types.Object | None,
    apply_to: str,
    maps: dict[str, bpy.types.Image],
) -> material.Applied:
    """Put `maps` on the material of `thing`, as the scene's settings say."""
    settings, image = scene.loom, maps["color"]
    if thing is not None and not hasattr(thing.data, "materials"):
        thing = None
    target = place.material_for(thing, apply_to, f"Loom {image.name.partition('_color')[0]}")
    return material.apply(
        target, maps, mapping=settings.mapping, scale=settings.scale, sequence=_sequence(scene, image)
    )


def _sequence(scene: bpy.types.Scene, image: bpy.types.Image) -> material.Sequence | None:
    """How `image` plays, from the scene's first frame on; None for a still picture."""
    if image.source != "SEQUENCE":
        return None
    record = images.record_of(image) or {}
    return material.Sequence(frames=int(record.get("frames", image.frame_duration)), start=scene.frame_start)


def report(operator: bpy.types.Operator, applied: material.Applied) -> None:
    """Say what was left alone, and why nothing is seen where nothing could be linked."""
    if applied.kept:
        operator.report({"INFO"}, f"Left your own links into {', '.join(applied.kept)} as they are.")
    elif not applied.linked:
        operator.report({"INFO"}, "This material has no Principled shader; connect the Loom Texture node by hand.")


CLASSES = (LOOM_OT_apply,)
