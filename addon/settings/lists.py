# SPDX-License-Identifier: GPL-3.0-or-later
"""The backend's lists, on the WindowManager: they do not save with the file."""

import bpy
from bpy.props import CollectionProperty, StringProperty


class LoomName(bpy.types.PropertyGroup):
    """One name in a list to choose from; `name` is built in."""

    label: StringProperty()


class LoomLists(bpy.types.PropertyGroup):
    """What the backend has, for search fields."""

    generators: CollectionProperty(type=LoomName)
    styles: CollectionProperty(type=LoomName)
