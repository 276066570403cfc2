# SPDX-License-Identifier: GPL-3.0-or-later
"""Seeds that show a certain material, for texture models that know materials; how many classes one has.

A choice asks for a handful of them; the dice, the variations and several textures at once then stay with it.
"""

import random
from collections.abc import Mapping
from typing import Any

import bpy
from bpy.props import StringProperty

from .. import place, pump, runtime, screen
from ..job import FINISHED, Job
from ..params import BadInput

AT_ONCE = 64
_seeds: dict[tuple[str, str], list[int]] = {}
"""(texture model, material) -> seeds that show it."""


class LOOM_OT_seed_of_kind(pump.NeedsBackend, bpy.types.Operator):
    """Another seed by chance, among those that show this kind of material"""

    bl_idname = "loom.seed_of_kind"
    bl_label = "Seed of a Kind"
    bl_options = {"REGISTER"}

    kind: StringProperty(
        name="Kind", options={"SKIP_SAVE"}, description="One that the texture model knows, such as brick; empty: any"
    )

    @classmethod
    def description(cls, context, properties):
        if not properties.kind:
            return "Any material: the dice and the variations take every seed"
        return f"Textures of {properties.kind} from now on, by the dice and the variations too"

    @classmethod
    def poll(cls, context):
        if context.scene.loom.seed_locked:
            cls.poll_message_set("The seed is locked")
            return False
        return super().poll(context)

    def execute(self, context):
        settings, kind = context.scene.loom, self.kind
        if not kind:
            settings.kind = ""
            return {"FINISHED"}
        generator, where = settings.generator, place.here(context, "IMAGE")

        def ended(job: Job) -> None:
            scene = place.scene_at(where)
            if job.state == FINISHED:
                _seeds[generator, kind] = [int(seed) for seed in job.value["seeds"]]
            if job.state == FINISHED and scene is not None and not job.detached:
                _show(scene.loom, kind)
                screen.push_undo("Loom: seed")

        def make_params():
            start = random.randrange(1_000_000)
            return {"generator": generator, "kind": kind, "count": AT_ONCE, "start": start}

        return pump.begin(self, "seeds", make_params, title="Looking for a seed", on_end=ended)


class LOOM_MT_kinds(bpy.types.Menu):
    """The materials that the texture model knows"""

    bl_idname = "LOOM_MT_kinds"
    bl_label = "Material"

    def draw(self, context):
        self.layout.operator("loom.seed_of_kind", text="Any").kind = ""
        for kind in known(context.scene.loom.generator):
            self.layout.operator("loom.seed_of_kind", text=kind.capitalize()).kind = kind


def known(generator: str) -> list[str]:
    """The names of what the seeds of `generator` show; empty where it knows none."""
    return [str(kind) for kind in _entry(generator).get("kinds") or ()]


def classes(generator: str) -> int:
    """How many classes `generator` has; 0: none, or nobody knows it."""
    return int(_entry(generator).get("classes") or 0)


def _entry(generator: str) -> Mapping[str, Any]:
    """What the backend says of it; empty where it has not said anything."""
    return next((one for one in runtime.session().generators if one.get("name") == generator), {})


def others(settings, count: int) -> list[int]:
    """`count` other seeds that show the chosen material, by chance. Raises BadInput"""
    here = [seed for seed in _seeds.get((settings.generator, settings.kind), ()) if seed != settings.seed]
    if not here and count:
        raise BadInput(f"Choose the material {settings.kind} once more: its seeds are not known yet.")
    if count > len(here):
        raise BadInput(f"At most {len(here) + 1} textures of {settings.kind} are made at once; make fewer.")
    return random.sample(here, count)


def _show(settings, kind: str) -> None:
    """Take one of the seeds of `kind`, and the surface that belongs to it."""
    settings.kept, settings.seed = "", random.choice(_seeds[settings.generator, kind])
    settings.family = kind if kind in bpy.context.window_manager.loom.materials else "auto"
    settings.kind = kind


CLASSES = (LOOM_OT_seed_of_kind, LOOM_MT_kinds)
