# SPDX-License-Identifier: GPL-3.0-or-later
"""What was made in this scene, newest first; it saves with the file."""

import bpy
from bpy.props import CollectionProperty, IntProperty, StringProperty


class LoomHistoryItem(bpy.types.PropertyGroup):
    """One result. `name` (built in) is its title; `record` is the whole of it (`history.Entry` as text)."""

    uuid: StringProperty(description="Tells it from all others")
    record: StringProperty(description="All that is known of it, as JSON")


class HistorySettings:
    """The list, and which of it is selected."""

    history: CollectionProperty(type=LoomHistoryItem, description="What was made in this scene")
    history_index: IntProperty(default=0, name="Result", description="A texture or walk that was made before")
