# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole sets of textures, written by the backend to a folder."""

from pathlib import Path

import bpy

from .. import folders, params, pump, root, runtime, troubles
from ..job import FINISHED, Job


class LOOM_OT_batch(pump.NeedsBackend, bpy.types.Operator):
    """Write a set of textures for every style that is switched on; files that are there already are not made again"""

    bl_idname = "loom.batch"
    bl_label = "Export Set"
    bl_options = {"REGISTER"}

    def execute(self, context):
        settings = context.scene.loom

        def make_params():
            chosen = settings.batch_folder
            out = Path(bpy.path.abspath(chosen)) if chosen else root.output_root() / "set"
            return params.batch(
                settings.look(),
                seeds=params.parse_seeds(settings.batch_seeds),
                each_style=settings.batch_each,
                file_format="png",
                out=folders.ready(out),
            )

        return pump.begin(self, "batch", make_params, title="Exporting", on_end=_ended)


def _ended(job: Job) -> None:
    """Nothing is loaded: a set can be hundreds of files. A line says where it lies, or what went wrong in it."""
    if job.state != FINISHED:
        return
    session, value = runtime.session(), job.value
    failed = value.get("failed", ())
    if failed:
        first = failed[0]
        session.trouble = troubles.trouble(f"{len(failed)} of the set failed; {first['name']}: {first['message']}")
    session.notice = f"Wrote {_count(value['written'])}, kept {_count(value['skipped'])}: {value['out']}"


def _count(things: int | list) -> int:
    return things if isinstance(things, int) else len(things)


CLASSES = (LOOM_OT_batch,)
