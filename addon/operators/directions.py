# SPDX-License-Identifier: GPL-3.0-or-later
"""Edit directions as sliders."""

import bpy
from bpy.props import EnumProperty, IntProperty, StringProperty

from .. import images, live, params, provenance, pump, root, runtime
from ..job import FINISHED, Job

LAYERS = (
    ("ALL", "Everything", "A change of the whole texture"),
    ("COARSE", "Layout", "Where things lie, and how large they are"),
    ("MIDDLE", "Shapes", "What shapes things have"),
    ("FINE", "Detail", "Relief, tone and colour; the layout stays"),
)
SHEET_NAME = "Loom Directions"


class LOOM_OT_direction_add(bpy.types.Operator):
    """Add a slider that changes the texture in one way"""

    bl_idname = "loom.direction_add"
    bl_label = "Add Direction"
    bl_options = {"REGISTER", "UNDO"}

    layers: EnumProperty(name="Changes", items=LAYERS, description="What of the texture it changes")
    name: StringProperty(
        name="Direction", options={"SKIP_SAVE"}, description="Such as d0 or d3-fine. Empty: the next one of its kind"
    )

    def execute(self, context):
        directions = context.scene.loom.directions
        name = self.name or self._next(directions)
        if name not in directions:
            directions.add().name = name
        return {"FINISHED"}

    def _next(self, directions) -> str:
        ending = "" if self.layers == "ALL" else f"-{self.layers.lower()}"
        return next(name for name in (f"d{number}{ending}" for number in range(1000)) if name not in directions)


class LOOM_OT_direction_remove(bpy.types.Operator):
    """Take this slider away"""

    bl_idname = "loom.direction_remove"
    bl_label = "Remove Direction"
    bl_options = {"REGISTER", "UNDO"}

    index: IntProperty(name="Number", min=0, description="Which of them, from 0 on")

    def execute(self, context):
        settings = context.scene.loom
        settings.directions.remove(self.index)
        live.changed(settings, context)
        return {"FINISHED"}


class LOOM_OT_directions_show(pump.NeedsBackend, bpy.types.Operator):
    """Show in an Image Editor what the strongest directions do to this texture"""

    bl_idname = "loom.directions_show"
    bl_label = "Show Directions"
    bl_options = {"REGISTER"}

    layers: EnumProperty(name="Changes", items=LAYERS, description="What of the texture they change")

    def execute(self, context):
        settings = context.scene.loom
        asked = {
            "generator": settings.generator,
            "styles": params.pairs(settings.chosen_styles()),
            "psi": round(settings.variety, 6),
            "seed": settings.seed,
            "layers": self.layers.lower(),
        }
        if settings.class_index:
            asked["class_index"] = settings.class_index

        def ended(job: Job) -> None:
            if job.state == FINISHED and not job.detached:
                image = images.set_picture(SHEET_NAME, job.arrays["sheet"][0])
                version = runtime.session().backend_version
                images.describe(image, "color", provenance.describe("directions", asked, version=version))
                images.show_in_editors(image)
                images.settle(SHEET_NAME, root.run_folder())

        return pump.begin(self, "directions", lambda: asked, title="Looking for directions", on_end=ended)


CLASSES = (LOOM_OT_direction_add, LOOM_OT_direction_remove, LOOM_OT_directions_show)
