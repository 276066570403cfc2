# SPDX-License-Identifier: GPL-3.0-or-later
"""Models of one's own: language models fetched, texture models trained on a folder, both deleted."""

import bpy
from bpy.props import BoolProperty, EnumProperty, StringProperty

from .. import model_jobs, place, pump, runtime, screen
from ..job import FINISHED, Job
from ..params import BadInput
from .checkpoint import OFFLINE


class LOOM_OT_clip_fetch(pump.NeedsBackend, bpy.types.Operator):
    """Fetch a language model that knows all words, once; it then works without a network"""

    bl_idname = "loom.clip_fetch"
    bl_label = "Get Language Model"
    bl_options = {"REGISTER"}

    name: StringProperty(name="Name", description="Of the model, such as ViT-B-32:openai", options={"SKIP_SAVE"})
    agreed: BoolProperty(
        name="Download It", description="The backend may fetch this model from the network", options={"SKIP_SAVE"}
    )

    def invoke(self, context, event):
        return context.window_manager.invoke_props_dialog(self, width=420, confirm_text="Get It")

    def draw(self, context):
        clip = _clip(self.name)
        column = self.layout.column(align=True)
        column.label(text=f"{self.name}: {clip.get('about', '')}")
        column.label(
            text=f"{clip.get('mb', '?')} MB from {clip.get('source', '?')}; licence {clip.get('licence', '?')}"
        )
        if not bpy.app.online_access:
            column.label(text="Blender is set to stay offline.", icon="INTERNET_OFFLINE")
            return
        column.separator()
        column.prop(self, "agreed")

    def execute(self, context):
        if not bpy.app.online_access:
            self.report({"ERROR"}, OFFLINE)
            return {"CANCELLED"}
        if not self.agreed:
            self.report({"ERROR"}, "Nothing was fetched: tick Download It to agree.")
            return {"CANCELLED"}
        name = self.name

        def make_params():
            if not name:
                raise BadInput("Name the language model, such as ViT-B-32:openai.")
            return {"name": name}

        return pump.begin(self, "fetch_clip", make_params, title=f"Fetching {name}", on_end=_changed)


class OfModel:
    """Works on the model of that name."""

    kind: EnumProperty(
        name="Kind",
        description="What sort of model it is",
        items=[("generator", "Texture Model", "A texture model"), ("clip", "Language Model", "A language model")],
        options={"SKIP_SAVE"},
    )
    name: StringProperty(name="Name", description="Of the model", options={"SKIP_SAVE"})


class LOOM_OT_model_choose(OfModel, bpy.types.Operator):
    """Use this model: a texture model makes the textures, a language model understands the words of a new style"""

    bl_idname = "loom.model_choose"
    bl_label = "Use Model"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context):
        setattr(context.scene.loom, self.kind, self.name or "builtin")
        return {"FINISHED"}


class LOOM_OT_model_delete(OfModel, pump.NeedsBackend, bpy.types.Operator):
    """Delete this model from the disk; this cannot be undone"""

    bl_idname = "loom.model_delete"
    bl_label = "Delete Model"
    bl_options = {"REGISTER"}

    def invoke(self, context, event):
        message = "Styles that were made on it stay, and cannot be used without it." if self.kind == "generator" else ""
        return context.window_manager.invoke_confirm(
            self, event, title=f"Delete {self.name}?", message=message, confirm_text="Delete", icon="WARNING"
        )

    def execute(self, context):
        name, kind, scene = self.name, self.kind, place.here(context, "IMAGE")

        def ended(job: Job) -> None:
            found = place.scene_at(scene)
            if job.state == FINISHED and found is not None and getattr(found.loom, kind) == name:
                setattr(found.loom, kind, "builtin")
            _changed(job)

        return pump.begin(self, f"delete_{kind}", lambda: {"name": name}, title=f"Deleting {name}", on_end=ended)


class LOOM_OT_train_generator(pump.NeedsBackend, bpy.types.Operator):
    """Train a texture model on your own pictures. Cancel keeps what there is; the same again goes on"""

    bl_idname = "loom.train_generator"
    bl_label = "Train"
    bl_options = {"REGISTER"}

    goes_on: BoolProperty(
        name="Go On", description="Go on with a training of this name that was cancelled", options={"SKIP_SAVE"}
    )

    def execute(self, context):
        settings, goes_on, here = context.scene.loom, self.goes_on, place.here(context, "IMAGE")

        def make_params():
            return model_jobs.train(
                folder=bpy.path.abspath(settings.train_folder),
                name=settings.train_name,
                size=int(settings.train_size),
                total=settings.train_total,
                tileable=settings.train_tileable,
                start=settings.generator if settings.train_start else "",
                taken=[str(entry.get("name")) for entry in runtime.session().generators],
                goes_on=goes_on,
            )

        def ended(job: Job) -> None:
            scene = place.scene_at(here)
            if job.state == FINISHED and scene is not None and not job.detached:
                scene.loom.generator = str(job.value["generator"]["name"])
                screen.push_undo("Loom: new texture model")
            warnings = job.value.get("warnings") or ()
            if warnings:
                runtime.session().notice = " ".join(map(str, warnings))
            _changed(job)

        return pump.begin(self, "train_generator", make_params, title="Training", on_end=ended)


class LOOM_OT_disk(pump.NeedsBackend, bpy.types.Operator):
    """Ask how much of the disk models, styles and unfinished downloads take"""

    bl_idname = "loom.disk"
    bl_label = "Disk Used"
    bl_options = {"REGISTER"}

    def execute(self, context):
        def ended(job: Job) -> None:
            if job.state == FINISHED:
                runtime.session().disk = job.value

        return pump.begin(self, "disk", dict, title="Measuring", on_end=ended)


def _clip(name: str) -> dict:
    return next((dict(clip) for clip in runtime.session().clips if clip.get("name") == name), {})


def _changed(job: Job) -> None:
    """The lists of models are others now; a cancelled training leaves one too."""
    session = runtime.session()
    session.disk = {}
    if session.connected:
        session.refresh()


CLASSES = (LOOM_OT_clip_fetch, LOOM_OT_model_choose, LOOM_OT_model_delete, LOOM_OT_train_generator, LOOM_OT_disk)
