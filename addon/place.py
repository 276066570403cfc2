# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a result shall go, remembered while the job runs and found again when it ends.

Pointers to data-blocks do not survive undo, so a place is held as names with the identities that Blender gives a
data-block for its life in this session (`session_uid`; undo keeps it).
"""

from __future__ import annotations

from dataclasses import dataclass

import bpy

from .params import BadInput


@dataclass(frozen=True, kw_only=True)
class Place:
    """A scene, and where it was asked for, the object whose active material takes the texture."""

    scene: tuple[str, int]
    object: tuple[str, int] | None


def here(context: bpy.types.Context, apply_to: str) -> Place:
    """The place that `context` shows now. Raises BadInput where nothing can be put there."""
    place = Place(scene=identity(context.scene), object=None)
    if apply_to == "IMAGE":
        return place
    thing = context.object
    if thing is None or not hasattr(thing.data, "materials"):
        return place
    _check_writable(thing, thing.active_material if apply_to == "MATERIAL" else None)
    return Place(scene=place.scene, object=identity(thing))


def scene_at(place: Place) -> bpy.types.Scene | None:
    return find(bpy.data.scenes, place.scene)


def object_at(place: Place) -> bpy.types.Object | None:
    return find(bpy.data.objects, place.object) if place.object else None


def material_for(thing: bpy.types.Object | None, apply_to: str, name: str) -> bpy.types.Material:
    """The material that takes the texture: the active one of `thing`, or a new one if that is wanted or there is none.

    A fake user keeps what nothing uses from being lost at saving: the material whose place a new one takes, and the new
    one where there is no object for it.
    """
    current = thing.active_material if thing is not None else None
    if apply_to == "MATERIAL" and current is not None:
        return current
    material = bpy.data.materials.new(name)
    if thing is None:
        material.use_fake_user = True
        return material
    if current is not None:
        current.use_fake_user = True
    thing.active_material = material
    return material


def identity(block: bpy.types.ID) -> tuple[str, int]:
    return block.name, block.session_uid


def find(blocks: bpy.types.bpy_prop_collection, identity: tuple[str, int]) -> bpy.types.ID | None:
    name, uid = identity
    named = blocks.get(name)
    if named is not None and named.session_uid == uid:
        return named
    return next((block for block in blocks if block.session_uid == uid), None)


def _check_writable(thing: bpy.types.Object, material: bpy.types.Material | None) -> None:
    if material is not None and material.library is not None:
        raise BadInput(
            f"The material {material.name} is linked from another file and cannot be changed; "
            "choose New Material, or make it local first."
        )
    if material is None and (thing.library is not None or thing.data.library is not None):
        raise BadInput(
            f"{thing.name} is linked from another file and can take no material; make it local first, "
            "or choose Image Only."
        )
