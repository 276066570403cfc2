# SPDX-License-Identifier: GPL-3.0-or-later
"""A generator from a checkpoint on disk or at an address. Nothing is fetched before the artist has agreed."""

from urllib.parse import urlsplit

import bpy
from bpy.props import BoolProperty, EnumProperty, StringProperty

from .. import params, place, pump, runtime, screen
from ..job import FINISHED, Job

OFFLINE = "Blender is set to stay offline: allow online access in Preferences, System, or import a file from disk"


class LOOM_OT_import_generator(pump.NeedsBackend, bpy.types.Operator):
    """Take in a StyleGAN2 checkpoint (.pkl, .pt or .safetensors); no code in it is ever run"""

    bl_idname = "loom.import_generator"
    bl_label = "Import Texture Model"
    bl_options = {"REGISTER"}

    source: EnumProperty(
        name="From",
        items=[("FILE", "Disk", "A file on this computer"), ("URL", "Address", "A file that the backend downloads")],
        default="FILE",
        description="Where the model's file comes from",
    )
    filepath: StringProperty(
        name="File", subtype="FILE_PATH", options={"SKIP_SAVE"}, description="The model's file on this computer"
    )
    url: StringProperty(name="Address", description="Where the file lies: https://…", options={"SKIP_SAVE"})
    sha256: StringProperty(
        name="SHA-256", description="If its publisher names one: another file is refused", options={"SKIP_SAVE"}
    )
    name: StringProperty(name="Name", description="What the generator is called here", options={"SKIP_SAVE"})
    overwrite: BoolProperty(name="Replace", description="Replace a generator of this name", options={"SKIP_SAVE"})
    agreed: BoolProperty(
        name="Download It", description="The backend may fetch this file from the network", options={"SKIP_SAVE"}
    )

    def invoke(self, context, event):
        return context.window_manager.invoke_props_dialog(self, width=420)

    def draw(self, context):
        layout = self.layout
        layout.use_property_split = True
        layout.row().prop(self, "source", expand=True)
        if self.source == "FILE":
            layout.prop(self, "filepath")
        else:
            layout.prop(self, "url")
            layout.prop(self, "sha256", placeholder="if known")
        layout.prop(self, "name", placeholder="from the file's name")
        layout.prop(self, "overwrite")
        if self.source == "URL":
            column = layout.column()
            if not bpy.app.online_access:
                column.label(text="Blender is set to stay offline.", icon="INTERNET_OFFLINE")
                return
            column.label(text=f"The backend connects to {_host(self.url)}; checkpoints are some 100 to 400 MB.")
            column.prop(self, "agreed")

    def execute(self, context):
        remote = self.source == "URL"
        if remote and not bpy.app.online_access:
            self.report({"ERROR"}, OFFLINE)
            return {"CANCELLED"}
        if remote and not self.agreed:
            self.report({"ERROR"}, f"Nothing was fetched: tick Download It to let the backend ask {_host(self.url)}")
            return {"CANCELLED"}
        here = place.here(context, "IMAGE")

        def make_params():
            return params.import_generator(
                file="" if remote else bpy.path.abspath(self.filepath),
                url=self.url if remote else "",
                sha256=self.sha256 if remote else "",
                name=self.name,
                overwrite=self.overwrite,
            )

        return pump.begin(self, "import", make_params, title="Importing", on_end=lambda job: _ended(job, here))


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or "the address"
    except ValueError:
        return "the address"


def _ended(job: Job, here: place.Place) -> None:
    """Choose the new generator in the scene it was asked for in."""
    scene = place.scene_at(here)
    if job.state == FINISHED and scene is not None and not job.detached:
        scene.loom.generator = str(job.value["generator"]["name"])
        screen.push_undo("Loom: new generator")
    if runtime.session().connected:
        runtime.session().refresh()


CLASSES = (LOOM_OT_import_generator,)
