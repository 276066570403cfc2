# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames of an animation and of a render, with the live texture in them.

Blender tells by the dependency graph's mode whether a frame is rendered. A handler cannot end a render by itself: the
path that the frame is to be written to is made one that cannot be written, and its words say why; Blender then stops
and shows them. Where that does not help (a still, a movie file) the picture is pink, and without a window the process
ends with 1, so that a farm notices.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import bpy
from bpy.app.handlers import persistent

from . import live, live_images, pump, root, runtime, troubles
from .params import BadInput

_paths: dict[int, str] = {}
"""Scene -> its output path, while a render of it is being stopped."""
_reason = ""


@persistent
def after_frame(scene: bpy.types.Scene, graph: bpy.types.Depsgraph | None = None) -> None:
    if live.is_paused or not scene.loom.live or scene.loom.live_image is None:
        return
    # Animated values live in the evaluated scene; at render time they never reach the original.
    settings = scene.evaluated_get(graph).loom if graph is not None else scene.loom
    rendered = graph is not None and graph.mode == "RENDER"
    if rendered and scene.render.use_motion_blur and scene.frame_subframe:
        return  # moments of a shutter's time; the frame itself comes last
    if not rendered and not pump.must_wait():
        live.follow(scene, settings)
        return
    try:
        live.exact(scene, settings)
    except live.FrameLostError as error:
        _stop(scene, f"Frame {scene.frame_current}: {error}", rendered=rendered)


@persistent
def before_render(scene: bpy.types.Scene, *_arguments: object) -> None:
    if scene is not None and scene.loom.live:
        drop_persistent_data(scene)


def drop_persistent_data(scene: bpy.types.Scene) -> None:
    """With them Cycles goes on with the first frame's picture, whatever is done to the image (seen in 4.5 and 5.0)."""
    scene.render.use_persistent_data = False


def _stop(scene: bpy.types.Scene, reason: str, *, rendered: bool) -> None:
    global _reason
    live_images.alarm(scene)
    live.forget()
    session = runtime.session()
    session.trouble = troubles.trouble(reason, ("", "") if session.connected else troubles.START)
    print(f"Latent Loom: {reason}", file=sys.stderr, flush=True)
    if not rendered:
        return
    _reason = reason
    _paths.setdefault(scene.session_uid, scene.render.filepath)
    # No folder can lie under a file, on any system.
    words = re.sub(r"[^\w .,;()'-]+", " ", reason)[:160].strip()
    scene.render.filepath = str(Path(__file__) / words / "####")
    if pump.must_wait() and scene.render.is_movie_format:
        _end_process()


@persistent
def after_render(*_arguments: object) -> None:
    """The render ended by itself: either all is well, or it was a still, which no path could stop."""
    global _reason
    restore()
    if _reason and pump.must_wait():
        _end_process()
    _reason = ""


def _end_process() -> None:
    """End this Blender, which has no window, with 1. SystemExit out of a handler was seen to hang for good."""
    runtime.close()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)


@persistent
def after_cancel(*_arguments: object) -> None:
    global _reason
    restore()
    if _reason and not pump.must_wait():
        bpy.app.timers.register(_show_again, first_interval=0.5)
    _reason = ""


def _show_again() -> None:
    """The pink was for the render; the viewport gets its texture back when the backend has it."""
    live.follow_all()


def restore() -> None:
    """Give scenes their output paths back."""
    for scene in bpy.data.scenes:
        if scene.session_uid in _paths:
            scene.render.filepath = _paths[scene.session_uid]
    _paths.clear()


@persistent
def before_save(*_arguments: object) -> None:
    """Live textures go to disk, so that the file opens with them."""
    restore()
    for scene in bpy.data.scenes:
        try:
            live_images.write(scene, root.output_root())
        except BadInput as error:
            runtime.session().trouble = troubles.trouble(str(error))


@persistent
def after_undo(*_arguments: object) -> None:
    live.mistrust()


def pairs() -> list[tuple[list, object]]:
    handlers = bpy.app.handlers
    return [
        (handlers.frame_change_post, after_frame),
        (handlers.render_init, before_render),
        (handlers.render_complete, after_render),
        (handlers.render_cancel, after_cancel),
        (handlers.save_pre, before_save),
        (handlers.undo_post, after_undo),
        (handlers.redo_post, after_undo),
    ]
