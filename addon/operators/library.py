# SPDX-License-Identifier: GPL-3.0-or-later
"""A finished set as an asset library of this Blender."""

import sys
from pathlib import Path

import bpy
from bpy.props import BoolProperty

from .. import pump, root, runtime
from ..job import FINISHED, Job
from .batch import OfBatch


class LOOM_OT_batch_library(OfBatch, pump.NeedsBackend, bpy.types.Operator):
    """Make materials with previews and tags of this set, for Blender's Asset Browser"""

    bl_idname = "loom.batch_library"
    bl_label = "Open as Asset Library"

    add: BoolProperty(
        name="Add to Preferences",
        description="Have Blender list the folder among its asset libraries; off: only make the library's file in it",
        default=True,
        options={"SKIP_SAVE"},
    )
    pack: BoolProperty(
        name="Pack Pictures", description="Put the pictures into the library's file, so that it can be given away alone"
    )

    def invoke(self, context, event):
        return context.window_manager.invoke_props_dialog(self, width=400, confirm_text="Make Library")

    def draw(self, context):
        layout = self.layout
        layout.use_property_split = True
        layout.label(text="A Blender without a window makes a material of every texture; it takes a while.")
        layout.prop(self, "add")
        layout.prop(self, "pack")

    def execute(self, context):
        held = {"add": self.add}

        def make_params():
            held["folder"] = self.batch().out
            return {
                "folder": held["folder"],
                "blender": bpy.app.binary_path or sys.executable,  # the bpy module has no program
                "addon": str(root.FOLDER / "addon"),
                "pack": self.pack,
            }

        return pump.begin(
            self, "asset_library", make_params, title="Making a library", on_end=lambda job: _made(job, held)
        )


def _made(job: Job, held: dict) -> None:
    if job.state != FINISHED:
        return
    session, folder = runtime.session(), Path(held["folder"])
    if held["add"]:
        add_library(folder)
        session.notice = f"{job.value['materials']} materials are in the Asset Browser, library {folder.name}."
    else:
        session.notice = f"Wrote {job.value['blend']} with {job.value['materials']} materials."


def add_library(folder: Path) -> None:
    """Have Blender list `folder` among its asset libraries, once."""
    libraries = bpy.context.preferences.filepaths.asset_libraries
    if any(Path(bpy.path.abspath(one.path)) == folder for one in libraries):
        return
    libraries.new(name=folder.name, directory=str(folder))
    bpy.context.preferences.is_dirty = True


CLASSES = (LOOM_OT_batch_library,)
