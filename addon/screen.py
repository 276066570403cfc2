# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender's windows, as a timer sees them: what is drawn anew, texts that are shown, undo steps."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import bpy

SPACES = frozenset({"VIEW_3D", "IMAGE_EDITOR", "NODE_EDITOR", "PREFERENCES"})


def redraw(whole: tuple[str, ...] = ()) -> None:
    """Have the sidebars drawn anew, and image editors (they may show the preview) and those of `whole` in full."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type not in SPACES:
                continue
            for region in area.regions:
                if region.type == "UI" or area.type in ("IMAGE_EDITOR", "PREFERENCES", *whole):
                    region.tag_redraw()


def show_text(context: bpy.types.Context, name: str, file: Path) -> None:
    """Show the end of a text file: in a Text Editor that is open, else in a window of its own."""
    text = bpy.data.texts.get(name) or bpy.data.texts.new(name)
    text.clear()
    text.write(file.read_text("utf-8", "replace")[-200_000:])
    areas = [area for window in context.window_manager.windows for area in window.screen.areas]
    editor = next((area for area in areas if area.type == "TEXT_EDITOR"), None)
    if editor is None and not bpy.app.background:
        bpy.ops.wm.window_new()
        editor = context.window_manager.windows[-1].screen.areas[0]
        editor.type = "TEXT_EDITOR"
    if editor is not None:
        editor.spaces.active.text = text
        editor.spaces.active.top = max(0, len(text.lines) - 20)


def push_undo(message: str) -> None:
    """Make what a timer just did an undo step of its own."""
    if not bpy.app.background:
        with in_window():
            bpy.ops.ed.undo_push(message=message)


@contextlib.contextmanager
def in_window() -> Iterator[None]:
    """A timer has no window, and operators want one."""
    windows = bpy.context.window_manager.windows
    if bpy.context.window is not None or not windows:
        yield
        return
    with bpy.context.temp_override(window=windows[0]):
        yield
