# SPDX-License-Identifier: GPL-3.0-or-later
"""The animation of the live texture as files, so that a farm needs no backend."""

from pathlib import Path

import bpy

from .. import folders, images, live, params, place, provenance, pump, root, runtime, screen, sequences
from ..job import FINISHED, Job
from ..params import PBR_MAPS, BadInput
from ..settings.live import LiveSettings
from .apply import put_on
from .generate import style_name
from .takes import take, takes


@takes(LiveSettings, "bake_pbr")
class LOOM_OT_bake(pump.NeedsBackend, bpy.types.Operator):
    """Write the texture of every frame of the scene to files and play those: rendering then needs no backend"""

    bl_idname = "loom.bake"
    bl_label = "Bake to Sequence"
    bl_options = {"REGISTER"}

    def execute(self, context):
        scene = context.scene
        settings = scene.loom
        take(self, settings)
        apply_to, start = settings.apply_to, scene.frame_start
        sent = {}

        def make_params():
            sent["place"] = place.here(context, apply_to)
            folder = folders.fresh(folders.ready(root.output_root()) / f"{style_name(settings)}-bake")
            frames = asked_frames(scene, ("color", *PBR_MAPS) if settings.bake_pbr else ("color",))
            sent["frames"] = frames
            return params.bake(frames, out=folders.ready(folder))

        def ended(job: Job) -> None:
            if job.state == FINISHED and not job.detached:
                _place(job, sent["frames"], sent["place"], apply_to, start)

        return pump.begin(self, "batch", make_params, title="Baking", on_end=ended)


def asked_frames(scene: bpy.types.Scene, maps: tuple[str, ...]) -> list[dict]:
    """The params of the texture of every frame from the scene's first to its last, as the animation has them."""
    current = scene.frame_current
    found = []
    with live.paused():
        for frame in range(scene.frame_start, scene.frame_end + 1):
            scene.frame_set(frame)
            settings = scene.evaluated_get(bpy.context.evaluated_depsgraph_get()).loom
            found.append(params.generate(settings.look(maps=maps), seeds=[settings.source_of_texture()], out=None))
        scene.frame_set(current)
    return found


def _place(job: Job, frames: list[dict], where: place.Place, apply_to: str, start: int) -> None:
    scene = place.scene_at(where)
    failed = job.value.get("failed", ())
    if failed:
        raise BadInput(f"{failed[0]['name']} could not be made: {failed[0]['message']}")
    out = Path(job.value["out"])
    maps = frames[0]["maps"]
    files = [
        {"map": name, "path": str(out / name / f"frame-{number:04d}.png")}
        for name in maps
        for number in range(1, len(frames) + 1)
    ]
    if scene is None:
        return
    version = runtime.session().backend_version
    # Each frame's own settings are in the folder's manifest; the image says those of the first.
    record = provenance.describe("bake", frames[0], version=version, frames=len(frames), start=start)
    made = sequences.load(files, record)
    for name, image in made.items():
        image.name = out.name if name == "color" else f"{out.name} {name}"
    scene.loom.texture = made["color"]
    scene.loom.live = False
    if apply_to != "IMAGE":
        put_on(scene, place.object_at(where), apply_to)
    images.show_in_editors(made["color"])
    runtime.session().notice = f"Baked {len(frames)} frames: {out}"
    screen.push_undo("Loom: Bake")


CLASSES = (LOOM_OT_bake,)
