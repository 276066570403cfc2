# SPDX-License-Identifier: GPL-3.0-or-later
"""A style from prompts and pictures."""

import bpy

from .. import images, model_jobs, params, place, pump, root, runtime, screen
from ..job import FINISHED, Job
from ..settings.adapt import AdaptSettings
from .takes import take, takes

TAKEN = (
    *("generator", "source", "target", "keep_fixed", "image_weight", "preset", "style_name"),
    *("method", "iterations", "adapt_seed", "one_class"),
)


class Adapts(pump.NeedsBackend):
    """Training a style of the scene's prompts; `overwrite` says whether one of the same name is replaced."""

    bl_options = {"REGISTER"}
    overwrite = False

    def execute(self, context):
        settings = context.scene.loom
        take(self, settings)
        here = place.here(context, "IMAGE")

        def make_params():
            made = params.adapt(
                generator=settings.generator,
                source=settings.source,
                target=settings.target,
                targets=[(phrase.words, phrase.weight) for phrase in settings.targets],
                negatives=[(phrase.words, phrase.weight) for phrase in settings.negatives],
                images=_paths(settings),
                image_weight=settings.image_weight,
                keep=settings.keep_fixed,
                preset=settings.preset,
                name=settings.style_name,
                taken=[str(style.get("name")) for style in runtime.session().styles],
                method=settings.method,
                iterations=settings.iterations,
                seed=settings.adapt_seed,
                class_index=settings.class_index if settings.one_class else None,
                overwrite=self.overwrite,
            )
            return model_jobs.with_clip(made, settings.clip, runtime.session().clips)

        title = f"{settings.source} → {settings.target}" if settings.target else "Learning from pictures"
        outcome = pump.begin(self, "adapt", make_params, title=title, on_end=lambda job: _ended(job, here))
        if outcome == {"FINISHED"}:
            images.show_preview_in_editors()
        return outcome


@takes(AdaptSettings, *TAKEN)
class LOOM_OT_adapt(Adapts, bpy.types.Operator):
    """Train a style that turns the one into the other, by words, pictures or both"""

    bl_idname = "loom.adapt"
    bl_label = "Adapt"


@takes(AdaptSettings, *TAKEN)
class LOOM_OT_adapt_again(Adapts, bpy.types.Operator):
    """Train it anew, in the place of the style that has this name"""

    bl_idname = "loom.adapt_again"
    bl_label = "Adapt Again"
    overwrite = True


def _paths(settings) -> list[str]:
    """The target pictures as files; those that live in Blender alone are written for the backend first."""
    folder = root.own_data("pictures")
    return [
        str(images.as_file(picture.image, folder)) if picture.image is not None else bpy.path.abspath(picture.path)
        for picture in settings.pictures
    ]


def _ended(job: Job, here: place.Place) -> None:
    """Put the new style into the mix of the scene it was asked for in. A cancelled one may have left a part behind."""
    scene = place.scene_at(here)
    images.settle(images.PREVIEW_NAME, root.run_folder())
    if job.state == FINISHED and scene is not None and not job.detached:
        scene.loom.add_style(str(job.value["style"]["name"]))
        screen.push_undo("Loom: new style")
    if runtime.session().connected:
        runtime.session().refresh()


CLASSES = (LOOM_OT_adapt, LOOM_OT_adapt_again)
