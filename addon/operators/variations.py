# SPDX-License-Identifier: GPL-3.0-or-later
"""Many seeds at a glance; one of them is kept by a click."""

import random

import bpy
from bpy.props import IntProperty

from .. import icons, images, params, provenance, pump, root, runtime, screen, variations
from ..job import FINISHED, Job
from ..params import BadInput
from . import kinds

NAME = "Loom Variations"
CELL_PX = 256
LARGEST = 64


class LOOM_OT_variations(pump.NeedsBackend, bpy.types.Operator):
    """Show the texture of this seed beside those of others, with the same styles; click one to take it"""

    bl_idname = "loom.variations"
    bl_label = "Show Variations"
    bl_options = {"REGISTER"}

    count: IntProperty(name="Number", default=9, min=2, max=LARGEST, description="How many")

    def execute(self, context):
        settings = context.scene.loom
        seeds: list[int] = []

        def make_params():
            if settings.kind:
                seeds[:] = [settings.seed, *kinds.others(settings, self.count - 1)]
            else:
                seeds[:] = variations.other_seeds(settings.seed, self.count, random.randrange)
            asked = params.generate(settings.look(maps=("color",)), seeds=seeds, out=None)
            return asked | {"size": [min(edge, CELL_PX) for edge in asked["size"]]}

        def ended(job: Job) -> None:
            if job.state == FINISHED and not job.detached:
                _show(job, seeds)

        return pump.begin(self, "generate", make_params, title="Making variations", part="variations", on_end=ended)


class LOOM_OT_variation_pick(bpy.types.Operator):
    """Take this texture: its number becomes the seed"""

    bl_idname = "loom.variation_pick"
    bl_label = "Take Variation"
    bl_options = {"REGISTER", "UNDO"}

    cell: IntProperty(name="Cell", min=0, options={"SKIP_SAVE"}, description="Which one, row by row, from 0 on")

    @classmethod
    def poll(cls, context):
        if context.scene.loom.seed_locked:
            cls.poll_message_set("The seed is locked")
            return False
        return True

    def execute(self, context):
        seeds = seeds_shown()
        if self.cell >= len(seeds):
            self.report({"ERROR"}, "There is no such variation; press Show Variations first.")
            return {"CANCELLED"}
        settings = context.scene.loom
        kind = settings.kind if settings.seed in seeds else ""  # the sheet may be of another material
        settings.kept, settings.seed = "", seeds[self.cell]
        settings.kind = kind
        return {"FINISHED"}


class LOOM_OT_variation_click(bpy.types.Operator):
    """Click textures on the sheet of variations to take them; right click or Esc ends it"""

    bl_idname = "loom.variation_click"
    bl_label = "Pick with the Mouse"
    bl_options = {"REGISTER"}

    @classmethod
    def poll(cls, context):
        if not shows_sheet(context):
            cls.poll_message_set("Show the variations in this Image Editor first")
            return False
        return True

    def invoke(self, context, event):
        context.window_manager.modal_handler_add(self)
        context.workspace.status_text_set("Click a texture to take it · right click or Esc: done")
        return {"RUNNING_MODAL"}

    def modal(self, context, event):
        if event.type in {"ESC", "RIGHTMOUSE"} or not shows_sheet(context):
            context.workspace.status_text_set(None)
            return {"FINISHED"}
        if event.type != "LEFTMOUSE" or event.value != "PRESS":
            return {"PASS_THROUGH"}
        region = next(region for region in context.area.regions if region.type == "WINDOW")
        x, y = event.mouse_x - region.x, event.mouse_y - region.y
        if not (0 <= x < region.width and 0 <= y < region.height):
            return {"PASS_THROUGH"}
        cell = variations.cell_at(*region.view2d.region_to_view(x, y), len(seeds_shown()))
        if cell is not None and bpy.ops.loom.variation_pick.poll():
            bpy.ops.loom.variation_pick(cell=cell)
            screen.redraw()
        return {"RUNNING_MODAL"}


def seeds_shown() -> list[int]:
    """The seeds on the sheet, row by row."""
    record = images.record_of(bpy.data.images.get(NAME)) or {}
    return [int(seed) for seed in record.get("params", {}).get("seeds", ())]


def shows_sheet(context) -> bool:
    space = context.space_data
    return space is not None and space.type == "IMAGE_EDITOR" and space.image is not None and space.image.name == NAME


def icon_key(seed: int) -> str:
    return f"variation:{seed}"


def _show(job: Job, seeds: list[int]) -> None:
    pictures = list(job.arrays["color"])
    if len(pictures) != len(seeds):
        raise BadInput("The backend made another number of variations than was asked for; try again.")
    for seed, picture in zip(seeds, pictures, strict=True):
        icons.keep(icon_key(seed), picture)
    image = images.set_picture(NAME, variations.sheet(pictures))
    record = provenance.describe("variations", {"seeds": seeds}, version=runtime.session().backend_version)
    images.describe(image, "color", record)
    images.show_in_editors(image)
    images.settle(NAME, root.run_folder())


CLASSES = (LOOM_OT_variations, LOOM_OT_variation_pick, LOOM_OT_variation_click)
