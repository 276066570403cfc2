# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-on's preferences: which backend, and where results go."""

from pathlib import Path

import bpy
from bpy.props import EnumProperty, StringProperty

from ..protocol.connection_file import default_path
from . import root
from .child import find_backend


class LoomPreferences(bpy.types.AddonPreferences):
    bl_idname = root.ROOT

    mode: EnumProperty(
        name="Backend",
        description="Who runs the program that does the work",
        items=(
            ("OWN", "Start It from Blender", "Blender starts the backend and ends it when it quits"),
            ("CONNECT", "Connect to One That Runs", "Use a backend that you started with: latent-loom serve"),
        ),
        default="OWN",
    )
    command: StringProperty(
        name="Command",
        description="What starts the backend: the latent-loom command, or the Python that has Latent Loom installed. "
        "Empty: the one set up here, else latent-loom from the search path",
    )
    connection_file: StringProperty(
        name="Connection File",
        description="File in which the running backend says where it listens. Empty: the usual place",
        subtype="FILE_PATH",
    )
    data_folder: StringProperty(
        name="Data Folder",
        description="Where the backend started here keeps styles and texture models. Empty: the usual place",
        subtype="DIR_PATH",
    )
    output_folder: StringProperty(
        name="Output Folder",
        description="Where pictures are written. Empty: loom_textures beside the .blend file, or the add-on's own "
        "folder while that is not saved",
        subtype="DIR_PATH",
    )

    def draw(self, context):
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        layout.prop(self, "mode")
        if self.mode == "OWN":
            layout.prop(self, "command")
            layout.prop(self, "data_folder")
            row = layout.row(align=True)
            row.operator("loom.backend_setup")
            row.operator("loom.copy_command", icon="COPYDOWN")
        else:
            layout.prop(self, "connection_file")
        layout.prop(self, "output_folder")

    def backend_command(self) -> list[str] | None:
        """The words that run `latent-loom`, or None where there is no backend yet."""
        return find_backend(self.command, venv_folder())

    def backend_connection_file(self) -> Path:
        """The file through which a backend that runs already is found."""
        return Path(bpy.path.abspath(self.connection_file)) if self.connection_file else default_path()


def venv_folder() -> Path:
    """Where "Set Up Backend" makes the backend's environment."""
    return root.own_data() / "backend"


CLASSES = (LoomPreferences,)
