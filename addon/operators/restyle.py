# SPDX-License-Identifier: GPL-3.0-or-later
"""A picture that exists already becomes a texture of the model, and takes styles like any other."""

import bpy
from bpy.props import BoolProperty, StringProperty

from .. import images, params, place, pump, root, runtime, screen
from ..job import FINISHED, Job
from ..params import BadInput
from ..settings.restyle import RestyleSettings
from .keep import choose_kept
from .takes import take, takes

TIMES = {"OWN": None, "DOUBLE": 2, "FOURFOLD": 4}


@takes(RestyleSettings, "restyle_name", "restyle_detail", "restyle_steps")
class LOOM_OT_restyle(pump.NeedsBackend, bpy.types.Operator):
    """Take this picture into the texture model: then every style, slider and walk works on it"""

    bl_idname = "loom.restyle"
    bl_label = "Take In Picture"
    bl_options = {"REGISTER"}

    image: StringProperty(name="Picture", options={"SKIP_SAVE"}, description="Name of an image of this file")
    then_generate: BoolProperty(
        name="Then Generate", options={"SKIP_SAVE"}, description="Generate at once, with the styles that are chosen"
    )

    def execute(self, context):
        scene = context.scene
        settings = scene.loom
        take(self, settings)
        then_generate = self.then_generate
        where = place.here(context, "IMAGE")
        found = {}

        def make_params():
            image = found["image"] = self._image(context)
            taken = [str(one.get("name")) for one in runtime.session().textures]
            wanted = settings.restyle_name or params.free_name(params.name_from(image.name) or "picture", taken)
            look = settings.look()
            return params.project(
                generator=settings.generator,
                name=wanted,
                tile=look.tile,
                styles=look.styles,
                size=_size(settings),
                steps=settings.restyle_steps,
                seed=settings.seed,
                class_index=look.class_index,
                overwrite=bool(settings.restyle_name),
            )

        def ended(job: Job) -> None:
            images.settle(images.PREVIEW_NAME, root.run_folder())
            choose_kept(job, where)
            if job.state == FINISHED and then_generate and not job.detached:
                with screen.in_window():
                    if place.scene_at(where) == bpy.context.scene:
                        _generate()

        return pump.begin(
            self,
            "project",
            make_params,
            title="Taking in the picture",
            on_end=ended,
            make_arrays=lambda: {"picture": images.picture_of(found["image"])},
        )

    def _image(self, context) -> bpy.types.Image:
        """The picture that was named, chosen, or is active. Raises BadInput."""
        if self.image:
            image = bpy.data.images.get(self.image)
            if image is None:
                raise BadInput(f"There is no image {self.image!r} in this file.")
            return image
        image = context.scene.loom.restyle_image or active_image(context)
        if image is None:
            raise BadInput("Choose the picture to take in, or open it in an Image Editor or an image node.")
        return image


def _generate() -> None:
    """Raises BadInput where the operator fails."""
    try:
        bpy.ops.loom.generate()
    except RuntimeError as error:
        raise BadInput(str(error).removeprefix("Error: ").strip()) from error


def active_image(context) -> bpy.types.Image | None:
    """The image of the Image Editor, else that of the active image node of the object's material."""
    space = context.space_data
    if space is not None and space.type == "IMAGE_EDITOR" and space.image is not None:
        return space.image
    thing = context.object
    material = thing.active_material if thing is not None and hasattr(thing, "active_material") else None
    node = material.node_tree.nodes.active if material is not None and material.node_tree is not None else None
    return node.image if node is not None and node.type == "TEX_IMAGE" else None


def _size(settings) -> tuple[int, int] | None:
    """None for the model's own, else a multiple of it."""
    times = TIMES[settings.restyle_detail]
    if times is None:
        return None
    own = next((one for one in runtime.session().generators if one.get("name") == settings.generator), {})
    resolution = int(own.get("resolution") or 64)
    return resolution * times, resolution * times


CLASSES = (LOOM_OT_restyle,)
