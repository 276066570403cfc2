# SPDX-License-Identifier: GPL-3.0-or-later
"""A style from two prompts."""

import bpy

from .. import params, place, pump, runtime
from ..job import FINISHED, Job


class Adapts(pump.NeedsBackend):
    """Training a style of the scene's prompts; `overwrite` says whether one of the same name is replaced."""

    bl_options = {"REGISTER"}
    overwrite = False

    def execute(self, context):
        settings = context.scene.loom
        here = place.here(context, "IMAGE")

        def make_params():
            return params.adapt(
                generator=settings.generator,
                source=settings.source,
                target=settings.target,
                name=settings.style_name,
                taken=[str(style.get("name")) for style in runtime.session().styles],
                method=settings.method,
                iterations=settings.iterations,
                seed=settings.adapt_seed,
                overwrite=self.overwrite,
            )

        title = f"{settings.source} → {settings.target}"
        return pump.begin(self, "adapt", make_params, title=title, on_end=lambda job: _ended(job, here))


class LOOM_OT_adapt(Adapts, bpy.types.Operator):
    """Train a style that turns the one into the other, by these words alone"""

    bl_idname = "loom.adapt"
    bl_label = "Adapt"


class LOOM_OT_adapt_again(Adapts, bpy.types.Operator):
    """Train it anew, in the place of the style that has this name"""

    bl_idname = "loom.adapt_again"
    bl_label = "Adapt Again"
    overwrite = True


def _ended(job: Job, here: place.Place) -> None:
    """Put the new style into the mix of the scene it was asked for in. A cancelled one may have left a part behind."""
    scene = place.scene_at(here)
    if job.state == FINISHED and scene is not None and not job.detached:
        scene.loom.add_style(str(job.value["style"]["name"]))
        pump.push_undo("Loom: new style")
    if runtime.session().connected:
        runtime.session().refresh()


CLASSES = (LOOM_OT_adapt, LOOM_OT_adapt_again)
