# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbered pictures as image sequences on a material, or as an image strip in the sequencer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import bpy

from . import images
from .params import BadInput


def load(files: Sequence[Mapping[str, Any]], record: Mapping[str, Any]) -> dict[str, bpy.types.Image]:
    """One image sequence for each map of `files` ({"map", "path"}), all of one set."""
    paths: dict[str, list[Path]] = {}
    for file in files:
        paths.setdefault(str(file.get("map", "color")), []).append(Path(str(file["path"])))
    whole = {**record, "set": record["uuid"]}
    return {name: images.load_sequence(sorted(found), whole, name) for name, found in sorted(paths.items())}


def as_strip(scene: bpy.types.Scene, name: str, files: Sequence[Path], start: int) -> Any:
    """An image strip of `files` from the frame `start` on, in the lowest channel that is free there."""
    editor = scene.sequence_editor or scene.sequence_editor_create()
    strips = editor.strips if hasattr(editor, "strips") else editor.sequences  # 4.4 renamed it, 5.0 dropped the old
    first, last = start, start + len(files)
    taken = {
        strip.channel for strip in strips if int(strip.frame_final_start) < last and first < int(strip.frame_final_end)
    }
    channel = next((number for number in range(1, 129) if number not in taken), None)
    if channel is None:
        raise BadInput("The sequencer has no free channel at these frames; make room and try again.")
    strip = strips.new_image(name=name, filepath=str(files[0]), channel=channel, frame_start=start)
    for path in files[1:]:
        strip.elements.append(path.name)
    if hasattr(strip, "frame_final_duration"):
        strip.frame_final_duration = len(files)
    return strip
