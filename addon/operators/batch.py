# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole sets of textures, written by the backend to a folder; they may outlive Blender."""

from pathlib import Path

import bpy
from bpy.props import BoolProperty, StringProperty

from .. import batch_jobs, batches, folders, model_jobs, pump, root, runtime, troubles
from ..job import FINISHED, Job, duration
from ..params import BadInput
from . import kinds

_said = [""]


class LOOM_OT_batch(pump.NeedsBackend, bpy.types.Operator):
    """Write a set of textures to a folder; files that are there already are not made again"""

    bl_idname = "loom.batch"
    bl_label = "Export Set"
    bl_options = {"REGISTER"}

    wait: BoolProperty(
        name="Wait",
        default=True,
        description="In background mode: wait until the whole set is made, whatever Outlives Blender says",
        options={"SKIP_SAVE"},
    )

    def execute(self, context):
        settings = context.scene.loom
        detach = settings.batch_detach and not (pump.must_wait() and self.wait)
        held = {}

        def make_params():
            held.update(_asked(settings, detach=detach))
            return held

        def ended(job: Job) -> None:
            _ended(job, held)

        return pump.begin(self, "batch", make_params, title="Starting the set" if detach else "Exporting", on_end=ended)


class LOOM_OT_batch_estimate(pump.NeedsBackend, bpy.types.Operator):
    """Say how many files this makes, how long it takes and how large they are, from a few that are thrown away again"""

    bl_idname = "loom.batch_estimate"
    bl_label = "Estimate"
    bl_options = {"REGISTER"}

    def execute(self, context):
        def make_params():
            return _asked(context.scene.loom, dry_run=True)

        return pump.begin(self, "batch", make_params, title="Estimating", on_end=_estimated)


class OfBatch:
    """Something done with a set that was begun before."""

    bl_options = {"REGISTER"}
    folder: StringProperty(name="Folder", description="The set's folder", options={"SKIP_SAVE"})

    def batch(self) -> batches.Batch:
        """Raises BadInput."""
        known = runtime.batches()
        folder = bpy.path.abspath(self.folder) if self.folder else (known.all[0].out if known.all else "")
        found = known.find(folder) or (batches.Batch(out=folder) if folder else None)
        if found is None:
            raise BadInput("Name the folder of a set.")
        return found


class LOOM_OT_batch_cancel(OfBatch, pump.NeedsBackend, bpy.types.Operator):
    """Stop this set after the texture it is at; what is made stays, and it can be taken up again"""

    bl_idname = "loom.batch_cancel"
    bl_label = "Stop Set"

    def execute(self, context):
        held = {}

        def make_params():
            held["out"] = self.batch().out
            return held

        def ended(job: Job) -> None:  # the operator itself is gone by then
            if job.state == FINISHED:
                runtime.batches().note(held["out"], job.value)

        return pump.begin(self, "batch_cancel", make_params, title="Stopping the set", on_end=ended)


class LOOM_OT_batch_resume(OfBatch, pump.NeedsBackend, bpy.types.Operator):
    """Go on with this set; what is there already is not made again"""

    bl_idname = "loom.batch_resume"
    bl_label = "Go On"

    def execute(self, context):
        held = {}

        def make_params():
            batch = self.batch()
            source = batches.source_of(batch)
            if not source.is_file():
                raise BadInput(f"The list of what to make, {source}, is gone; export the set again from the panel.")
            held.update(batch_jobs.request(None, source, Path(batch.out), detach=not pump.must_wait()))
            return held

        return pump.begin(
            self, "batch", make_params, title="Taking up the set", on_end=lambda job: _ended(job, held)
        )  # fmt: skip


class LOOM_OT_batch_forget(OfBatch, bpy.types.Operator):
    """Take this set out of the list; its files stay, and one that runs goes on"""

    bl_idname = "loom.batch_forget"
    bl_label = "Forget Set"

    def execute(self, context):
        try:
            runtime.batches().forget(self.batch().out)
        except (BadInput, OSError) as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return {"FINISHED"}


class LOOM_OT_batch_open(OfBatch, bpy.types.Operator):
    """Open the folder of this set"""

    bl_idname = "loom.batch_open"
    bl_label = "Open Folder"

    def execute(self, context):
        try:
            folder = self.batch().out
        except BadInput as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        if not Path(folder).is_dir():
            self.report({"ERROR"}, f"The folder {folder} is gone.")
            return {"CANCELLED"}
        bpy.ops.wm.path_open(filepath=folder)
        return {"FINISHED"}


def _asked(settings, **more) -> dict:
    """The params of the batch that the panel describes. Raises BadInput."""
    chosen = settings.batch_folder
    out = folders.ready(Path(bpy.path.abspath(chosen)) if chosen else root.output_root() / "set")
    if settings.batch_source == "FILE":
        return batch_jobs.request(None, batch_jobs.file_of(bpy.path.abspath(settings.batch_file)), out, **more)
    maps = [name for name in ("color", "normal", "height", "roughness", "ao", "orm") if name in settings.batch_maps]
    wanted = batch_jobs.Wanted(
        look=settings.look(),
        seeds=settings.batch_seeds,
        kind=settings.kind if settings.kind in kinds.known(settings.generator) else "",
        sizes=settings.batch_sizes,
        maps=maps,
        format=settings.batch_format,
        naming=settings.batch_naming,
    )
    if settings.batch_source == "STYLES":
        return batch_jobs.request(batch_jobs.of_styles(wanted, each_style=settings.batch_each), None, out, **more)
    if settings.batch_text is None:
        raise BadInput("Choose a text of this .blend with the list, or make one in the Text Editor.")
    text = settings.batch_text.as_string()
    if batch_jobs.is_csv(text):
        file = out / "batch.list.csv"
        file.write_text(text, encoding="utf-8")
        return batch_jobs.request(None, file, out, **more)
    styles = [str(style.get("name")) for style in runtime.session().styles]
    trained = {"generator": settings.generator, "method": settings.method, "seed": settings.adapt_seed}
    if settings.iterations:
        trained["iterations"] = settings.iterations
    trained = model_jobs.with_clip(trained, settings.clip, runtime.session().clips)
    jobs = batch_jobs.of_lines(wanted, text, source=settings.source, styles=styles, adapt=trained)
    return batch_jobs.request(jobs, None, out, **more)


def _ended(job: Job, asked: dict) -> None:
    """Nothing is loaded: a set can be hundreds of files. A line says where it lies, or what went wrong in it."""
    if job.state != FINISHED:
        return
    session, value = runtime.session(), job.value
    if value.get("detached"):
        try:
            runtime.batches().add(str(value["out"]), file=str(asked.get("file", "")), state=value)
        except OSError as error:
            session.trouble = troubles.trouble(f"The set runs, but cannot be remembered here: {error.strerror}")
        _say("The set is being made; Blender may be closed meanwhile.")
        return
    failed = value.get("failed", ())
    if failed:
        first = failed[0]
        session.trouble = troubles.trouble(f"{len(failed)} of the set failed; {first['name']}: {first['message']}")
    _say(f"Wrote {_count(value['written'])}, kept {_count(value['skipped'])}: {value['out']}")


def _estimated(job: Job) -> None:
    if job.state != FINISHED:
        return
    session, value = runtime.session(), job.value
    if value.get("missing"):
        session.trouble = troubles.trouble(str(value["missing"][0]))
    there = f" ({value['there']} are there already)" if value.get("there") else ""
    trained = [entry for entry in value.get("adapt", ()) if not entry.get("there")]
    before = f", after training {len(trained)} styles" if trained else ""
    _say(
        f"{value['textures']} textures in {value['files']} files{there}, about {duration(value['seconds'])} and "
        f"{model_jobs.amount(value['bytes'])}{before}."
    )


def _say(sentence: str) -> None:
    runtime.session().notice = _said[0] = sentence


def said() -> str:
    """What was last said of sets, as long as nothing else was said; "" else."""
    return _said[0] if runtime.session().notice == _said[0] else ""


def _count(things: int | list) -> int:
    return things if isinstance(things, int) else len(things)


CLASSES = (
    LOOM_OT_batch,
    LOOM_OT_batch_estimate,
    LOOM_OT_batch_cancel,
    LOOM_OT_batch_resume,
    LOOM_OT_batch_forget,
    LOOM_OT_batch_open,
)
