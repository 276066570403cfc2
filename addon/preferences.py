# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-on's preferences: which backend, and where results go."""

from pathlib import Path

import bpy
from bpy.props import EnumProperty, IntProperty, StringProperty

from ..protocol.connection_file import default_path
from . import remote, root, setup
from .child import find_backend

CONDITIONS = {
    setup.ABSENT: ("Not set up yet", "INFO"),
    setup.PARTIAL: ("Begun and not finished: press Set Up, it goes on", "ERROR"),
    setup.OUTDATED: ("From another version of the add-on: press Set Up to bring it up to date", "ERROR"),
    setup.READY: ("Set up", "CHECKMARK"),
}


class LoomPreferences(bpy.types.AddonPreferences):
    bl_idname = root.ROOT

    mode: EnumProperty(
        name="Backend",
        description="Who runs the program that makes the textures",
        items=(
            ("OWN", "Start It from Blender", "Blender starts the backend and ends it when it quits"),
            ("CONNECT", "Connect to One That Runs", "Use a backend that you started with: latent-loom serve"),
            ("REMOTE", "On Another Computer", "Use a backend that runs elsewhere, with a pair of keys"),
        ),
        default="OWN",
    )
    command: StringProperty(
        name="Command",
        description="What starts the backend: the latent-loom command, or the Python that has Latent Loom installed. "
        "Empty: the one set up here, else latent-loom from the search path",
    )
    setup_python: StringProperty(
        name="Python",
        description="The Python (3.11 or newer) that the backend's environment is made with. Empty: Blender's own, "
        "which stays as it is",
        subtype="FILE_PATH",
    )
    setup_torch: EnumProperty(
        name="For",
        description="What the backend shall compute on; this decides how much is fetched",
        items=(
            ("AUTO", "What Is Here", "A version that fits this computer"),
            ("GPU", "NVIDIA GPU", "The version for NVIDIA graphics cards: large, and many times faster with one"),
            ("CPU", "Processor Only", "The small version, for computers without an NVIDIA graphics card"),
        ),
        default="AUTO",
    )
    setup_folder: StringProperty(
        name="Folder",
        description="Where the backend is installed. Empty: a folder of the add-on's own, deleted with it",
        subtype="DIR_PATH",
    )
    connection_file: StringProperty(
        name="Connection File",
        description="File in which the running backend says where it listens. Empty: the usual place",
        subtype="FILE_PATH",
    )
    pair_file: StringProperty(
        name="Key File",
        description="The file that `latent-loom keys add` made on the other computer: it holds address and keys",
        subtype="FILE_PATH",
    )
    address: StringProperty(
        name="Address",
        description="Where the other computer's backend listens, such as tcp://192.168.1.20:5760",
    )
    server_key: StringProperty(
        name="Its Key",
        description="The other backend's public key: the file that it gave you, or the 40 characters themselves",
        subtype="FILE_PATH",
    )
    client_key: StringProperty(
        name="Your Key",
        description="The file with your own secret key; the other backend must know its public half",
        subtype="FILE_PATH",
    )
    idle_minutes: IntProperty(
        name="Free Memory After",
        description="Minutes without work after which the backend gives its memory back by itself; the next texture "
        "then takes a moment longer. 0: never",
        default=15,
        min=0,
        soft_max=120,
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
        {"OWN": self._draw_own, "CONNECT": self._draw_connect, "REMOTE": self._draw_remote}[self.mode](layout)
        layout.prop(self, "output_folder")

    def _draw_own(self, layout):
        words, icon = CONDITIONS[root.backend_condition()]
        box = layout.box()
        box.label(text=words, icon=icon)
        row = box.row(align=True)
        row.operator("loom.backend_setup")
        row.operator("loom.backend_repair", text="Repair")
        row.operator("loom.setup_log")
        row = box.row()
        row.operator("loom.copy_command", icon="COPYDOWN")
        box.prop(self, "setup_torch")
        box.prop(self, "setup_python", placeholder="Blender's own")
        box.prop(self, "setup_folder", placeholder="the add-on's own")
        layout.prop(self, "command", placeholder="what was set up here")
        layout.prop(self, "idle_minutes")
        layout.prop(self, "data_folder", placeholder="the usual place")

    def _draw_connect(self, layout):
        layout.prop(self, "connection_file", placeholder="the usual place")
        layout.operator("loom.copy_command", icon="COPYDOWN")

    def _draw_remote(self, layout):
        layout.prop(self, "pair_file")
        if not self.pair_file:
            column = layout.column(heading="Or by Hand")
            column.prop(self, "address", placeholder="tcp://192.168.1.20:5760")
            column.prop(self, "server_key")
            column.prop(self, "client_key")
        layout.label(text="Pictures come back through an output folder that both computers see.", icon="INFO")

    def backend_command(self) -> list[str] | None:
        """The words that run `latent-loom`, or None where there is no backend yet."""
        return find_backend(self.command, root.backend_folder())

    def backend_connection_file(self) -> Path:
        """The file through which a backend that runs already is found."""
        return Path(bpy.path.abspath(self.connection_file)) if self.connection_file else default_path()

    def backend_address(self) -> remote.Remote:
        """The backend on another computer. Raises BadInput."""
        if self.pair_file:
            return remote.read_file(bpy.path.abspath(self.pair_file))
        return remote.read(self.address, bpy.path.abspath(self.server_key), bpy.path.abspath(self.client_key))


CLASSES = (LoomPreferences,)
