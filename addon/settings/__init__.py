# SPDX-License-Identifier: GPL-3.0-or-later
"""What the panels hold: settings on the Scene, which save with the file; the backend's lists on the WindowManager.

One subject a file, each a class without a registration of its own; `LoomSettings` inherits them all.
"""

import bpy
from bpy.props import PointerProperty

from .adapt import AdaptSettings
from .batch import BatchSettings
from .lists import LoomLists, LoomName
from .styles import LoomStyleSlot, StyleSettings
from .texture import TextureSettings
from .walk import WalkSettings


class LoomSettings(AdaptSettings, StyleSettings, TextureSettings, WalkSettings, BatchSettings, bpy.types.PropertyGroup):
    """`scene.loom`."""


CLASSES = (LoomStyleSlot, LoomSettings, LoomName, LoomLists)


def attach() -> None:
    bpy.types.Scene.loom = PointerProperty(type=LoomSettings)
    bpy.types.WindowManager.loom = PointerProperty(type=LoomLists, options={"SKIP_SAVE"})


def detach() -> None:
    del bpy.types.Scene.loom
    del bpy.types.WindowManager.loom
