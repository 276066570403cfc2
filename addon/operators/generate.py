# SPDX-License-Identifier: GPL-3.0-or-later
"""Textures, their maps, and what becomes of them."""

import random
from collections.abc import Sequence
from pathlib import Path

import bpy

from .. import folders, images, params, place, provenance, pump, root, runtime, screen
from ..job import FINISHED, Job
from ..params import BadInput
from ..settings.adapt import AdaptSettings
from ..settings.texture import TextureSettings
from . import kinds
from .apply import put_on
from .takes import take, takes

TAKEN = (
    *("seed", "kept", "class_index", "count", "width", "height", "tile_x", "tile_y", "variety", "pbr", "family"),
    *("relief", "apply_to", "mapping", "scale"),
)


@takes(TextureSettings, *TAKEN)
@takes(AdaptSettings, "generator")  # is set first: another one takes the class back to the first
class LOOM_OT_generate(pump.NeedsBackend, bpy.types.Operator):
    """Make textures with these settings; they are written to the output folder and loaded"""

    bl_idname = "loom.generate"
    bl_label = "Generate"
    bl_options = {"REGISTER"}

    def execute(self, context):
        settings = context.scene.loom
        take(self, settings)
        apply_to = settings.apply_to
        sent = {}

        def make_params():
            sent["place"] = place.here(context, apply_to)
            sent["params"] = params.generate(
                settings.look(),
                seeds=seeds_of(settings),
                name=style_name(settings),
                out=folders.ready(root.output_root()),
            )
            return sent["params"]

        def ended(job: Job) -> None:
            if job.state == FINISHED and not job.detached:
                _place(job, sent["params"], sent["place"], apply_to)

        return pump.begin(self, "generate", make_params, title="Generating", on_end=ended)


class LOOM_OT_dice(bpy.types.Operator):
    """Another seed by chance; of the chosen material, if there is one"""

    bl_idname = "loom.dice"
    bl_label = "Roll the Dice"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context):
        if context.scene.loom.seed_locked:
            cls.poll_message_set("The seed is locked")
            return False
        return True

    def execute(self, context):
        settings = context.scene.loom
        kind, seed = settings.kind, random.randrange(100_000)
        try:
            if kind:
                (seed,) = kinds.others(settings, 1)
        except BadInput:  # the file was just opened
            return bpy.ops.loom.seed_of_kind(kind=kind) if bpy.ops.loom.seed_of_kind.poll() else {"CANCELLED"}
        settings.kept, settings.seed = "", seed
        settings.kind = kind
        return {"FINISHED"}


def seeds_of(settings) -> list[int | str]:
    """The kept texture; else the seed and those after it, or others of its material. Raises BadInput"""
    if settings.kept:
        return [settings.kept]
    if settings.kind:
        return [settings.seed, *kinds.others(settings, settings.count - 1)]
    return list(range(settings.seed, settings.seed + settings.count))


def style_name(settings) -> str:
    """What files are called after: the styles in the mix, else the texture model."""
    styles = "-".join(name for name, strength in settings.chosen_styles() if strength)
    return params.name_from(styles) or params.name_from(settings.generator) or "texture"


def _place(job: Job, sent: dict, where: place.Place, apply_to: str) -> None:
    """Load the files of a finished job, and put the first texture where it was wanted."""
    scene = place.scene_at(where)
    textures = load_textures(job.value["files"], sent)
    if scene is None or not textures:
        return
    scene.loom.texture = textures[0]["color"]
    if apply_to != "IMAGE":
        scene.loom.live = False  # the files stand in its place now
        put_on(scene, place.object_at(where), apply_to)
    images.show_in_editors(textures[0]["color"])
    screen.push_undo("Loom: Generate")


def load_textures(files: Sequence[dict], sent: dict) -> list[dict[str, bpy.types.Image]]:
    """The images of each seed by map name, in the order of the seeds."""
    version = runtime.session().backend_version
    textures: dict[int, dict[str, bpy.types.Image]] = {}
    for seed in dict.fromkeys(file["seed"] for file in files):
        own = {**sent, "seeds": [seed]}
        record = provenance.describe("generate", own, version=version)
        record["set"] = record["uuid"]
        textures[seed] = {
            file["map"]: images.load(Path(file["path"]), file["map"], record) for file in files if file["seed"] == seed
        }
    return [maps for maps in textures.values() if "color" in maps]


CLASSES = (LOOM_OT_generate, LOOM_OT_dice)
