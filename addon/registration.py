# SPDX-License-Identifier: GPL-3.0-or-later
"""What is registered with Blender, in order, and taken back in reverse."""

from __future__ import annotations

import atexit

import bpy
from bpy.app.handlers import persistent

from . import (
    frame_handlers,
    history_list,
    icons,
    live,
    operators,
    panels,
    preferences,
    pump,
    root,
    runtime,
    settings,
    thumbnails,
)

CLASSES = (*preferences.CLASSES, *settings.CLASSES, *operators.CLASSES, *panels.CLASSES)


def register() -> None:
    for kind in CLASSES:
        bpy.utils.register_class(kind)
    settings.attach()
    icons.attach()
    pump.on_lists[:] = [live.lists_came, thumbnails.fetch]
    for handlers, handler in _handlers():
        handlers.append(handler)
    runtime.remember_batches(root.own_data() / "batches.json")
    # exit_pre comes while Blender still has its data, but only 5.1 and later have it; closing twice is harmless.
    atexit.register(runtime.close)
    pump.start_timer()


def unregister() -> None:
    pump.stop_timer()
    frame_handlers.restore()
    runtime.close()
    live.forget()
    live.cache.clear()
    thumbnails.forget()
    pump.on_lists.clear()
    atexit.unregister(runtime.close)
    for handlers, handler in _handlers():
        if handler in handlers:
            handlers.remove(handler)
    icons.detach()
    settings.detach()
    for kind in reversed(CLASSES):
        bpy.utils.unregister_class(kind)


@persistent
def before_load(*_arguments: object) -> None:
    """Another file comes: running jobs keep writing their files, but touch no data-block any more."""
    frame_handlers.restore()
    runtime.session().detach_jobs()


@persistent
def after_load(*_arguments: object) -> None:
    live.forget()
    pump.show_lists()
    live.follow_all()
    thumbnails.fetch()
    history_list.show_icons()


@persistent
def after_undo(*_arguments: object) -> None:
    history_list.mend_after_undo()


@persistent
def before_exit(*_arguments: object) -> None:
    runtime.close()


def _handlers() -> list[tuple[list, object]]:
    pairs = [(bpy.app.handlers.load_pre, before_load), (bpy.app.handlers.load_post, after_load)]
    pairs += frame_handlers.pairs()
    pairs += [(bpy.app.handlers.undo_post, after_undo), (bpy.app.handlers.redo_post, after_undo)]
    if hasattr(bpy.app.handlers, "exit_pre"):
        pairs.append((bpy.app.handlers.exit_pre, before_exit))
    return pairs
