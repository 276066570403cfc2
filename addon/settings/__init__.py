# SPDX-License-Identifier: GPL-3.0-or-later
"""What the panels hold: settings on the Scene, which save with the file; the backend's lists on the WindowManager.

One subject a file, each a class without a registration of its own; `LoomSettings` inherits them all.
"""

import bpy
from bpy.props import PointerProperty

from .adapt import AdaptSettings, LoomPhrase, LoomPicture
from .batch import BatchSettings
from .history import HistorySettings, LoomHistoryItem
from .lists import LoomLists, LoomName
from .live import LiveSettings
from .models import ModelSettings
from .restyle import RestyleSettings
from .styles import LoomDirection, LoomStyleSlot, StyleSettings
from .texture import TextureSettings
from .walk import LoomWalkKey, WalkSettings


class LoomSettings(
    StyleSettings,
    TextureSettings,
    LiveSettings,
    RestyleSettings,
    WalkSettings,
    BatchSettings,
    HistorySettings,
    ModelSettings,
    AdaptSettings,
    bpy.types.PropertyGroup,
):
    """`scene.loom`. The last class's properties come first: what is recalled sets the texture model before what goes
    back to its default with another one.
    """


CLASSES = (
    *(LoomPhrase, LoomPicture, LoomStyleSlot, LoomDirection, LoomWalkKey, LoomHistoryItem),
    *(LoomSettings, LoomName, LoomLists),
)


def attach() -> None:
    bpy.types.Scene.loom = PointerProperty(
        type=LoomSettings, name="Latent Loom", description="Settings of the Loom tab"
    )
    bpy.types.WindowManager.loom = PointerProperty(
        type=LoomLists, options={"SKIP_SAVE"}, name="Latent Loom", description="What the backend has"
    )


def detach() -> None:
    del bpy.types.Scene.loom
    del bpy.types.WindowManager.loom
