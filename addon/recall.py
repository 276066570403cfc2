# SPDX-License-Identifier: GPL-3.0-or-later
"""All settings of a property group as plain values, and back. Knows no names: what is added later comes along. No bpy.

Works on anything that has Blender's `bl_rna.properties`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LEFT_OUT = frozenset({"rna_type", "history", "history_index"})
PLAIN = frozenset({"BOOLEAN", "INT", "FLOAT", "STRING", "ENUM"})


def snapshot(group: Any) -> dict[str, Any]:
    """Plain values of all settings that can be written; collections as lists of the same. Pointers are left out."""
    values: dict[str, Any] = {}
    for prop in group.bl_rna.properties:
        name = prop.identifier
        if name in LEFT_OUT:
            continue
        if prop.type == "COLLECTION":
            values[name] = [snapshot(item) for item in getattr(group, name)]
        elif prop.type in PLAIN and not prop.is_readonly:
            values[name] = _plain(getattr(group, name))
    return values


def restore(group: Any, values: Mapping[str, Any]) -> list[str]:
    """Put `values` back; returns the names of those that do not fit any more, which stay as they are.

    In the group's order, whatever that of `values` is: to set one may take another, declared later, to its default.
    """
    odd = []
    place = {prop.identifier: number for number, prop in enumerate(group.bl_rna.properties)}
    for name, value in sorted(values.items(), key=lambda item: place.get(item[0], -1)):
        prop = group.bl_rna.properties.get(name)
        if prop is None or name in LEFT_OUT:
            odd.append(name)
            continue
        try:
            if prop.type == "COLLECTION":
                held = getattr(group, name)
                held.clear()
                for entry in value:
                    odd += [f"{name}.{inner}" for inner in restore(held.add(), entry)]
            elif prop.type in PLAIN and not prop.is_readonly:
                setattr(group, name, set(value) if prop.type == "ENUM" and prop.is_enum_flag else value)
        except (TypeError, ValueError, AttributeError):
            odd.append(name)
    return odd


def _plain(value: Any) -> Any:
    if isinstance(value, set | frozenset):
        return sorted(value)
    if isinstance(value, str | bool | int | float):
        return value
    return [_plain(item) for item in value]
