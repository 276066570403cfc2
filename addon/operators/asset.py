# SPDX-License-Identifier: GPL-3.0-or-later
"""A material in the Asset Browser."""

from pathlib import Path

import bpy
from bpy.props import StringProperty

from .. import ball, catalogues, images, material


class LOOM_OT_asset_mark(bpy.types.Operator):
    """Put the active material into the Asset Browser, with a preview, tags and a catalogue of its styles"""

    bl_idname = "loom.asset_mark"
    bl_label = "Mark as Asset"
    bl_options = {"REGISTER", "UNDO"}

    tags: StringProperty(
        name="More Tags", options={"SKIP_SAVE"}, description="Words to find it by, with commas between them"
    )

    @classmethod
    def poll(cls, context):
        thing = context.object
        target = thing.active_material if thing is not None and hasattr(thing, "active_material") else None
        if target is None or target.library is not None or not pictures_of(target):
            cls.poll_message_set("Select an object of this file whose material has a Loom texture")
            return False
        return True

    def execute(self, context):
        target = context.object.active_material
        maps = pictures_of(target)
        asked = (images.record_of(maps["color"]) or {}).get("params", {})
        styles = [str(name) for name, _strength in asked.get("styles", ())]
        target.asset_mark()
        about = target.asset_data
        about.author = "Latent Loom"
        about.description = description(asked)
        for tag in tags_of(asked, self.tags):
            about.tags.new(tag, skip_if_exists=True)
        catalogue = catalogues.path_of(
            (str(asked.get("generator", "builtin")), *(["-".join(styles)] if styles else []))
        )
        about.catalog_id = catalogues.identity(catalogue)
        ball.show(target, maps)
        self._file_catalogue(catalogue)
        return {"FINISHED"}

    def _file_catalogue(self, catalogue: str) -> None:
        """Blender finds a catalogue's name beside the .blend."""
        if not bpy.data.filepath:
            self.report({"INFO"}, "Save the file and mark it again to see its catalogue in the Asset Browser.")
            return
        try:
            catalogues.write(Path(bpy.data.filepath).parent, catalogue)
        except OSError as error:
            self.report({"WARNING"}, f"The catalogue could not be written beside the file: {error.strerror or error}.")


def pictures_of(target: bpy.types.Material) -> dict[str, bpy.types.Image]:
    """The pictures in our node of `target` by map name; empty where it has none with colour."""
    node = material.find_node(target)
    if node is None:
        return {}
    found = {}
    for inside in node.node_tree.nodes:
        if inside.type == "TEX_IMAGE" and inside.image is not None:
            record = images.record_of(inside.image) or {}
            found[record.get("map", "color")] = inside.image
    return found if "color" in found else {}


def description(asked: dict) -> str:
    """`builtin + mossy 0.8, seed 7`."""
    parts = [str(asked.get("generator", "")), *(f"{name} {strength:g}" for name, strength in asked.get("styles", ()))]
    seeds = ", ".join(str(seed) for seed in asked.get("seeds", ()))
    return " + ".join(part for part in parts if part) + (f", seed {seeds}" if seeds else "")


def tags_of(asked: dict, more: str) -> list[str]:
    found = [str(name).partition("@")[0] for name, _strength in asked.get("styles", ())]
    found += [str(asked["generator"])] if "generator" in asked else []
    found += ["seamless"] if asked.get("tile") == "xy" else []
    family = asked.get("material", "auto")
    found += [family] if family != "auto" else []
    return [*found, *(word.strip() for word in more.split(",") if word.strip())]


CLASSES = (LOOM_OT_asset_mark,)
