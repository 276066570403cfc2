# SPDX-License-Identifier: GPL-3.0-or-later
"""A finished batch as an asset library: a material for every texture, an asset with preview, catalogue and tags.

    PYTHON addon/headless/library.py PLAN      PYTHON has the bpy package
    blender -b --factory-startup --python addon/headless/library.py -- PLAN

PLAN is a JSON file: {"blend": path, "pack": bool, "assets": [{"name", "maps": {map: path}, "catalogue", "catalogue_id",
"tags", "description", "record"}]}. The last line of standard output is one JSON object. It uses `material.py` beside
it in the add-on, which need not be installed.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import bpy
import numpy as np

PREVIEW_PX = 256
LIGHT = np.array((-0.45, 0.5, 0.75)) / np.linalg.norm((-0.45, 0.5, 0.75))
AMBIENT = 0.28


def main() -> int:
    plan = json.loads(Path(sys.argv[-1]).read_text(encoding="utf-8"))
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.context.preferences.filepaths.save_version = 0
    material = sibling("material")
    blend = Path(plan["blend"])
    for number, asset in enumerate(plan["assets"], start=1):
        add(asset, material, blend.parent, pack=plan["pack"])
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


def add(asset: dict, material: ModuleType, folder: Path, *, pack: bool) -> None:
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
    show(made, ball(pixels(pictures["color"]), *(pixels(pictures[n]) if n in pictures else None for n in RELIEF)))
    for image in pictures.values():
        if pack:
            image.pack()
        else:
            image.filepath = bpy.path.relpath(image.filepath, start=str(folder))
        image.buffers_free()


RELIEF = ("normal", "roughness")


def pixels(image: bpy.types.Image) -> np.ndarray:
    """float32 [H, W, 3], bottom row first, as stored."""
    values = np.empty(image.size[0] * image.size[1] * 4, np.float32)
    image.pixels.foreach_get(values)
    return values.reshape(image.size[1], image.size[0], 4)[..., :3]


def ball(color: np.ndarray, normal: np.ndarray | None, roughness: np.ndarray | None) -> np.ndarray:
    """A lit ball of the material, float32 [P, P, 4], bottom row first, without a renderer, which would want a display.

    color, normal, roughness  [H, W, 3] in 0..1. The texture goes round the front once in each direction.
    Source  Lambert, and Blinn's highlight with an exponent of 2 / roughness^4 - 2
    """
    y, x = (np.mgrid[:PREVIEW_PX, :PREVIEW_PX] + 0.5) / PREVIEW_PX * 2.1 - 1.05
    r2 = x * x + y * y
    z = np.sqrt(np.clip(1 - r2, 0, 1))
    surface = np.stack([x, y, z], axis=-1)
    u, v = np.arctan2(x, np.maximum(z, 1e-6)) / np.pi + 0.5, np.arcsin(np.clip(y, -1, 1)) / np.pi + 0.5

    def at(picture: np.ndarray) -> np.ndarray:
        # Four taps for each pixel: a large texture must not glitter.
        h, w = picture.shape[:2]
        step = 0.25 / PREVIEW_PX
        taps = ((step, step), (-step, step), (step, -step), (-step, -step))
        found = [picture[(((v + dv) % 1) * h).astype(int) % h, (((u + du) % 1) * w).astype(int) % w] for du, dv in taps]
        return np.mean(found, axis=0)

    if normal is not None:
        n = at(normal) * 2 - 1
        east = np.stack([z, np.zeros_like(z), -x], axis=-1) / np.maximum(np.hypot(x, z), 1e-6)[..., None]
        north = np.cross(surface, east)
        surface = n[..., :1] * east + n[..., 1:2] * north + np.maximum(n[..., 2:], 0.05) * surface
        surface /= np.linalg.norm(surface, axis=-1, keepdims=True)
    light = np.clip(surface @ LIGHT, 0, 1)[..., None]
    half = LIGHT + np.array((0, 0, 1.0))
    rough = np.clip(at(roughness)[..., :1] if roughness is not None else 0.6, 0.15, 1)
    power = np.maximum(2 / rough**4 - 2, 1)
    shine = 0.04 * (power + 2) / 8 * np.clip(surface @ (half / np.linalg.norm(half)), 0, 1)[..., None] ** power
    linear = at(color) ** 2.2 * (AMBIENT + 0.95 * light) + shine * light
    edge = np.clip((1 - np.sqrt(r2)) * PREVIEW_PX / 2.1 + 0.5, 0, 1)[..., None]
    return np.concatenate([np.clip(linear, 0, 1) ** (1 / 2.2), edge], axis=-1).astype(np.float32)


def show(material: bpy.types.Material, picture: np.ndarray) -> None:
    preview = material.preview_ensure()
    preview.image_size = picture.shape[1], picture.shape[0]
    preview.image_pixels_float.foreach_set(picture.ravel())


if __name__ == "__main__":
    sys.exit(main())
