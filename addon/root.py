# SPDX-License-Identifier: GPL-3.0-or-later
"""The extension's own name and places. Blender knows an extension by its root package, one above this one."""

from __future__ import annotations

import os
from pathlib import Path

import bpy

from . import folders

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
