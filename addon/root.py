# SPDX-License-Identifier: GPL-3.0-or-later
"""The extension's own name and places. Blender knows an extension by its root package, one above this one."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import bpy

from ..protocol.data_folder import data_folder
from . import folders, machine, setup

ROOT = __package__.rpartition(".")[0]
FOLDER = Path(__file__).resolve().parent.parent


def own_data(name: str = "") -> Path:
    """A folder of the add-on's own: kept on upgrade, deleted with the extension."""
    return Path(bpy.utils.extension_path_user(ROOT, path=name, create=True))


def run_folder() -> Path:
    """Where this Blender keeps the connection file and the logs of the processes that it starts."""
    return folders.run_folder(own_data("run"), os.getpid())


def preferences():
    """The add-on's preferences (`preferences.LoomPreferences`)."""
    return bpy.context.preferences.addons[ROOT].preferences


def backend_wheel() -> Path | None:
    """The backend's wheel that came with this extension, so that both are of one version."""
    return next(iter(sorted((FOLDER / "backend_wheel").glob("*.whl"))), None)


def output_root() -> Path:
    """The folder for pictures that the preferences and the open file lead to."""
    chosen = preferences().output_folder
    return folders.output_root(bpy.path.abspath(chosen) if chosen else "", bpy.data.filepath, own_data())


def backend_folder() -> Path:
    """Where "Set Up Backend" makes the backend's environment."""
    chosen = preferences().setup_folder
    return machine.backend_folder(bpy.path.abspath(chosen) if chosen else "", own_data() / "backend", data_folder())


def torch() -> machine.Torch:
    """The PyTorch that is right for this computer and for what the preferences say."""
    return machine.torch_for(machine.this_machine(), preferences().setup_torch)


def base_python() -> str:
    """The Python that the environment is made with: the user's choice, else the one that Blender carries."""
    chosen = preferences().setup_python
    return bpy.path.abspath(chosen) if chosen else sys.executable


def setup_log() -> Path:
    return own_data("run") / "setup.log"


def backend_condition() -> str:
    """Whether the backend's environment is there (`setup.condition`)."""
    return setup.condition(backend_folder(), backend_wheel())
