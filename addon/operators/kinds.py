# SPDX-License-Identifier: GPL-3.0-or-later
"""Seeds that show a certain kind of picture, for texture models that know kinds."""

import random

import bpy
from bpy.props import StringProperty

from .. import place, pump, runtime
from ..job import FINISHED, Job
from ..params import BadInput


class LOOM_OT_seed_of_kind(pump.NeedsBackend, bpy.types.Operator):
    """Another seed by chance, among those that show this kind of material"""

    bl_idname = "loom.seed_of_kind"
    bl_label = "Seed of a Kind"
    bl_options = {"REGISTER"}

    kind: StringProperty(name="Kind", options={"SKIP_SAVE"}, description="One that the texture model knows: brick")

    def execute(self, context):
        settings = context.scene.loom
        where = place.here(context, "IMAGE")

        def make_params():
            if not self.kind:
                raise BadInput("Say which kind of material the seed shall show, such as brick.")
            start = random.randrange(1_000_000)
            return {"generator": settings.generator, "kind": self.kind, "count": 1, "start": start}

        def ended(job: Job) -> None:
            scene = place.scene_at(where)
            if job.state == FINISHED and scene is not None and not job.detached and not scene.loom.seed_locked:
                scene.loom.kept, scene.loom.seed = "", int(job.value["seeds"][0])
                pump.push_undo("Loom: seed")

        return pump.begin(self, "seeds", make_params, title="Looking for a seed", on_end=ended)


class LOOM_MT_kinds(bpy.types.Menu):
    """The kinds of picture that the texture model knows."""

    bl_idname = "LOOM_MT_kinds"
    bl_label = "Another of a Kind"

    def draw(self, context):
        for kind in kinds_of(context.scene.loom.generator):
            self.layout.operator("loom.seed_of_kind", text=kind.capitalize()).kind = kind


def kinds_of(generator: str) -> list[str]:
    """The names of what the seeds of `generator` show; empty where it knows none."""
    entry = next((one for one in runtime.session().generators if one.get("name") == generator), {})
    return [str(kind) for kind in entry.get("kinds") or ()]


CLASSES = (LOOM_OT_seed_of_kind, LOOM_MT_kinds)
