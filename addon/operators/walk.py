# SPDX-License-Identifier: GPL-3.0-or-later
"""A texture that changes over time: an image sequence on the material, or a strip in the sequencer."""

from pathlib import Path

import bpy

from .. import folders, images, params, place, provenance, pump, root, runtime, screen, sequences
from ..job import FINISHED, Job
from ..params import PBR_MAPS
from ..settings.texture import TextureSettings
from ..settings.walk import WalkSettings
from .apply import put_on
from .generate import style_name
from .takes import take, takes


@takes(TextureSettings, "width", "height", "tile_x", "tile_y", "apply_to", "mapping", "scale")
@takes(WalkSettings, "walk_seeds", "walk_frames", "walk_loop", "walk_speed", "walk_pbr", "walk_to")
class LOOM_OT_walk(pump.NeedsBackend, bpy.types.Operator):
    """Make a sequence that passes smoothly from texture to texture, and play it"""

    bl_idname = "loom.walk"
    bl_label = "Make Walk"
    bl_options = {"REGISTER"}

    def execute(self, context):
        settings = context.scene.loom
        take(self, settings)
        # A strip wants no material.
        apply_to = settings.apply_to if settings.walk_to == "MATERIAL" else "STRIP"
        start = context.scene.frame_current
        sent = {}

        def make_params():
            sent["place"] = place.here(context, "IMAGE" if apply_to == "STRIP" else apply_to)
            folder = folders.fresh(folders.ready(root.output_root()) / f"{style_name(settings)}-walk")
            sent["params"] = params.walk(
                settings.look(maps=("color", *PBR_MAPS) if settings.walk_pbr else ("color",)),
                keys=settings.keys_of_walk(lambda: params.parse_seeds(settings.walk_seeds)),
                frames=settings.walk_frames,
                loop=settings.walk_loop,
                speed=settings.walk_speed,
                out=folders.ready(folder),
            )
            return sent["params"]

        def ended(job: Job) -> None:
            if job.state == FINISHED and not job.detached:
                _place(job, sent["params"], sent["place"], apply_to, start)

        return pump.begin(self, "walk", make_params, title="Walking", on_end=ended)


def _place(job: Job, sent: dict, where: place.Place, apply_to: str, start: int) -> None:
    """Load the frames as a sequence that repeats, and put it where it was wanted."""
    scene = place.scene_at(where)
    files = [Path(path) for path in frame_files(job.value["files"])]
    if scene is None or not files:
        return
    record = provenance.describe("walk", sent, version=runtime.session().backend_version, frames=len(files))
    made = sequences.load(job.value["files"], record)
    scene.loom.texture = made["color"]
    if apply_to == "STRIP":
        sequences.as_strip(scene, made["color"].name, files, start)
    elif apply_to != "IMAGE":
        scene.loom.live = False
        put_on(scene, place.object_at(where), apply_to)
    images.show_in_editors(made["color"])
    screen.push_undo("Loom: Walk")


def frame_files(files: list[dict]) -> list[str]:
    """The paths of the colour frames in order."""
    return sorted(str(file["path"]) for file in files if file.get("map", "color") == "color")


CLASSES = (LOOM_OT_walk,)
