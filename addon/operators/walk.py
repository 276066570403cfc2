# SPDX-License-Identifier: GPL-3.0-or-later
"""A texture that changes over time: an image sequence on the material."""

from pathlib import Path

import bpy

from .. import folders, images, params, place, provenance, pump, runtime
from ..job import FINISHED, Job
from .apply import put_on
from .generate import output_root, show, style_name


class LOOM_OT_walk(pump.NeedsBackend, bpy.types.Operator):
    """Make a sequence that passes smoothly from texture to texture, and play it on the material"""

    bl_idname = "loom.walk"
    bl_label = "Make Walk"
    bl_options = {"REGISTER"}

    def execute(self, context):
        settings = context.scene.loom
        apply_to = settings.apply_to
        sent = {}

        def make_params():
            sent["place"] = place.here(context, apply_to)
            folder = folders.fresh(folders.ready(output_root()) / f"{style_name(settings)}-walk")
            sent["params"] = params.walk(
                settings.look(maps=("color",)),
                seeds=params.parse_seeds(settings.walk_seeds),
                frames=settings.walk_frames,
                loop=settings.walk_loop,
                speed=settings.walk_speed,
                out=folders.ready(folder),
            )
            return sent["params"]

        def ended(job: Job) -> None:
            if job.state == FINISHED and not job.detached:
                _place(job, sent["params"], sent["place"], apply_to)

        return pump.begin(self, "walk", make_params, title="Walking", on_end=ended)


def _place(job: Job, sent: dict, where: place.Place, apply_to: str) -> None:
    """Load the frames as a sequence that repeats, and put it where it was wanted."""
    scene = place.scene_at(where)
    files = [Path(path) for path in frame_files(job.value["files"])]
    if scene is None or not files:
        return
    record = provenance.describe("walk", sent, version=runtime.session().backend_version, frames=len(files))
    image = images.load_sequence(files, record)
    scene.loom.texture = image
    if apply_to != "IMAGE":
        put_on(scene, place.object_at(where), apply_to)
    show(image)
    pump.push_undo("Loom: Walk")


def frame_files(files: list[dict]) -> list[str]:
    """The paths of the colour frames in order."""
    return sorted(str(file["path"]) for file in files if file.get("map", "color") == "color")


CLASSES = (LOOM_OT_walk,)
