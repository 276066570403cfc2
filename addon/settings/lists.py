# SPDX-License-Identifier: GPL-3.0-or-later
"""The backend's lists, on the WindowManager: they do not save with the file."""

import bpy
from bpy.props import CollectionProperty, StringProperty


class LoomName(bpy.types.PropertyGroup):
    """One name in a list to choose from; `name` is built in."""

    label: StringProperty(description="What it is, in a few words")


class LoomLists(bpy.types.PropertyGroup):
    """What the backend has, for search fields."""

    generators: CollectionProperty(type=LoomName, description="Texture models")
    styles: CollectionProperty(type=LoomName, description="Styles")
    presets: CollectionProperty(type=LoomName, description="Kinds of change that a style can be trained for")
    materials: CollectionProperty(type=LoomName, description="Families of materials")
    textures: CollectionProperty(type=LoomName, description="Textures that were kept under a name")
