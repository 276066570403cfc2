# SPDX-License-Identifier: GPL-3.0-or-later
"""Where results are written and how a free place is found. No bpy."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

from .params import BadInput

KEPT_S = 7 * 24 * 3600.0


def output_root(chosen: str, blend_file: str, own: Path) -> Path:
    """The folder for textures: the artist's choice, else beside the saved .blend, else in the add-on's own data.

    chosen      absolute already (Blender's // resolved), or ""
    blend_file  path of the open file, "" while it is unsaved
    """
    if chosen:
        return Path(chosen)
    if blend_file:
        return Path(blend_file).parent / "loom_textures"
    return own / "textures"


def ready(folder: Path) -> Path:
    """Make `folder` and see that it can be written. Raises BadInput."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK | os.X_OK)
    except OSError as error:
        raise BadInput(f"Cannot make the folder {folder}: {error.strerror}; choose another output folder.") from error
    if not writable:
        raise BadInput(f"The folder {folder} cannot be written; choose another output folder.")
    return folder


def fresh(folder: Path) -> Path:
    """`folder` if nothing lies there yet, else `folder-2`, `folder-3`, ...: walks are never mixed."""
    candidate, number = folder, 2
    while candidate.exists() and any(candidate.iterdir()):
        candidate = folder.with_name(f"{folder.name}-{number}")
        number += 1
    return candidate


def run_folder(runs: Path, process: int) -> Path:
    """The folder of this Blender (by its process number) for connection file and logs: two Blenders each have one.

    Those that other Blenders left more than a week ago are removed.
    """
    own = runs / str(process)
    own.mkdir(parents=True, exist_ok=True)
    for other in runs.iterdir():
        if other != own and time.time() - other.stat().st_mtime > KEPT_S:
            shutil.rmtree(other, ignore_errors=True)
    return own
