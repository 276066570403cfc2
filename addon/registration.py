# SPDX-License-Identifier: GPL-3.0-or-later
"""What is registered with Blender, in order, and taken back in reverse."""

from __future__ import annotations

import atexit

import bpy
from bpy.app.handlers import persistent

from . import icons, operators, panels, preferences, pump, runtime, settings

CLASSES = (*preferences.CLASSES, *settings.CLASSES, *operators.CLASSES, *panels.CLASSES)


def register() -> None:
    for kind in CLASSES:
        bpy.utils.register_class(kind)
    settings.attach()
    icons.attach()
    for handlers, handler in _handlers():
        handlers.append(handler)
    # exit_pre comes while Blender still has its data, but only 5.1 and later have it; closing twice is harmless.
    atexit.register(runtime.close)
    pump.start_timer()


def unregister() -> None:
    pump.stop_timer()
    runtime.close()
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
    runtime.session().detach_jobs()


@persistent
def after_load(*_arguments: object) -> None:
    pump.show_lists()


@persistent
def before_exit(*_arguments: object) -> None:
    runtime.close()


def _handlers() -> list[tuple[list, object]]:
    pairs = [(bpy.app.handlers.load_pre, before_load), (bpy.app.handlers.load_post, after_load)]
    if hasattr(bpy.app.handlers, "exit_pre"):
        pairs.append((bpy.app.handlers.exit_pre, before_exit))
    return pairs
