# SPDX-License-Identifier: GPL-3.0-or-later
"""A finished batch as an asset library: a material for every texture, an asset with preview, catalogue and tags.

    PYTHON addon/headless/library.py PLAN      PYTHON has the bpy package
    blender -b --factory-startup --python addon/headless/library.py -- PLAN

PLAN is a JSON file: {"blend": path, "pack": bool, "assets": [{"name", "maps": {map: path}, "catalogue", "catalogue_id",
"tags", "description", "record"}]}. The last line of standard output is one JSON object. It uses `material.py` and
`ball.py` beside it in the add-on, which need not be installed.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import bpy


def main() -> int:
    plan = json.loads(Path(sys.argv[-1]).read_text(encoding="utf-8"))
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.context.preferences.filepaths.save_version = 0
    material, ball = sibling("material"), sibling("ball")
    blend = Path(plan["blend"])
    for number, asset in enumerate(plan["assets"], start=1):
        add(asset, material, ball, blend.parent, pack=plan["pack"])
        print(f"progress {number} {len(plan['assets'])}", flush=True)
    bpy.ops.wm.save_as_mainfile(filepath=str(blend), compress=True, relative_remap=False)
    print(json.dumps({"blend": str(blend), "materials": len(plan["assets"]), "blender": bpy.app.version_string}))
    return 0


def sibling(name: str) -> ModuleType:
    """A module of the add-on that needs nothing but bpy, from the file beside this folder."""
    path = Path(__file__).resolve().parents[1] / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"loom_{name}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def add(asset: dict, material: ModuleType, ball: ModuleType, folder: Path, *, pack: bool) -> None:
    """One material with its node group, marked as an asset."""
    made = bpy.data.materials.new(asset["name"])
    pictures = {}
    for name, path in asset["maps"].items():
        image = bpy.data.images.load(path)
        image.colorspace_settings.name = "sRGB" if name == "color" else "Non-Color"
        image["latent_loom"] = json.dumps(asset["record"] | {"map": name}, sort_keys=True)
        pictures[name] = image
    material.apply(made, pictures)
    made.asset_mark()
    about = made.asset_data
    about.catalog_id, about.description, about.author = asset["catalogue_id"], asset["description"], "Latent Loom"
    for tag in asset["tags"]:
        about.tags.new(tag, skip_if_exists=True)
    ball.show(made, pictures)
    for image in pictures.values():
        if pack:
            image.pack()
        else:
            image.filepath = bpy.path.relpath(image.filepath, start=str(folder))
        image.buffers_free()


if __name__ == "__main__":
    sys.exit(main())
