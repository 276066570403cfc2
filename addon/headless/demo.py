# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-on shows what it does in a Blender without a window: install, connect, generate, apply, walk, render.

    PYTHON addon/headless/demo.py --zip ZIP --connection FILE --out DIR [--style NAME] ...   PYTHON has the bpy package
    blender -b --python addon/headless/demo.py -- --zip ZIP ...

A user folder of its own takes the extension, so nothing is installed into anybody's Blender. The last line of standard
output is one JSON object that says what was written. This file runs on its own: it may be copied out of the zip.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import ModuleType

USER_FOLDER = "BLENDER_USER_RESOURCES"
PACKAGE = "bl_ext.user_default.latent_loom"


def parse(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="demo.py", description="Show the add-on in a Blender without a window.")
    parser.add_argument("--zip", type=Path, required=True, help="the extension that build_addon.py made")
    parser.add_argument("--connection", type=Path, required=True, help="connection file of a running backend")
    parser.add_argument("--out", type=Path, required=True, help="folder for what is made")
    parser.add_argument("--style", default="", help="a style that the backend has")
    parser.add_argument("--generator", default="builtin", help="the texture model")
    parser.add_argument("--adapt", nargs=2, metavar=("FROM", "TO"), help="train a style by these prompts first")
    parser.add_argument("--iterations", type=int, default=0, help="steps of that training; 0: as long as needed")
    parser.add_argument("--seed", type=int, default=3, help="seed of the texture (default: 3)")
    parser.add_argument("--walk-seeds", default="3, 7, 12", help="seeds that the walk passes by")
    parser.add_argument("--frames", type=int, default=12, help="frames of the walk and of the film; 0: no walk")
    parser.add_argument("--size", type=int, default=512, help="edge of the texture in pixels")
    parser.add_argument("--width", type=int, default=640, help="width of the rendered picture in pixels")
    parser.add_argument("--samples", type=int, default=24, help="paths traced for each pixel")
    return parser.parse_args(words)


def main() -> int:
    args = parse(sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else sys.argv[1:])
    if USER_FOLDER not in os.environ:
        return again_with_own_folder()
    Path(os.environ[USER_FOLDER]).mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    install(args.zip)
    written = show(args)
    written["seconds"] = round(time.monotonic() - began, 1)
    print(json.dumps(written))
    return 0


def again_with_own_folder() -> int:
    """Run this once more with a user folder that nobody else has: Blender reads where that is when it starts."""
    command = [sys.executable, *sys.argv]
    if "--" in sys.argv:
        import bpy

        command = [bpy.app.binary_path, *sys.argv[1:]]
    with tempfile.TemporaryDirectory(prefix="latent-loom-blender-") as folder:
        return subprocess.run(command, env=os.environ | {USER_FOLDER: folder}, check=False).returncode


def install(archive: Path) -> None:
    """Install and enable the extension the way Blender does it for a file that is dropped into its window."""
    import bpy

    bpy.ops.extensions.package_install_files(
        filepath=str(archive.resolve()), repo="user_default", enable_on_install=True
    )
    if PACKAGE not in bpy.context.preferences.addons:
        raise SystemExit(f"{archive} could not be installed; what Blender says of it stands above.")


def part(name: str) -> ModuleType:
    """A module of the installed extension."""
    return importlib.import_module(f"{PACKAGE}.addon.{name}")


def show(args: argparse.Namespace) -> dict:
    """The whole job, through the add-on's operators."""
    import bpy

    out = args.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    preferences = bpy.context.preferences.addons[PACKAGE].preferences
    preferences.mode, preferences.connection_file = "CONNECT", str(args.connection.resolve())
    preferences.output_folder = str(out / "textures")
    stage = part("headless.stage")
    sphere, block = stage.build()
    bpy.ops.loom.backend_connect()

    settings = bpy.context.scene.loom
    settings.generator, settings.seed = args.generator, args.seed
    settings.width = settings.height = args.size
    if args.adapt:
        settings.source, settings.target = args.adapt
        settings.iterations = args.iterations
        bpy.ops.loom.adapt()
    elif args.style:
        bpy.ops.loom.style_add(name=args.style)
    written = {"blender": bpy.app.version_string, "styles": [name for name, _strength in settings.chosen_styles()]}

    bpy.ops.loom.generate()
    share_material(sphere, block)
    scene = bpy.context.scene
    stage.use_cycles(scene, width=args.width, height=args.width * 9 // 16, samples=args.samples)
    written["material"] = str(stage.render_still(scene, out / "material.png"))
    written["texture"] = bpy.path.abspath(settings.texture.filepath)
    if args.frames > 0:
        written |= show_walk(args, out, stage)
    blend = out / "material.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(blend), compress=True)
    return written | {"blend": str(blend)}


def show_walk(args: argparse.Namespace, out: Path, stage: ModuleType) -> dict:
    """The latent walk, playing on the object."""
    import bpy

    scene = bpy.context.scene
    settings = scene.loom
    scene.frame_start = 1
    settings.walk_seeds, settings.walk_frames, settings.walk_loop = args.walk_seeds, args.frames, True
    settings.width = settings.height = min(args.size, 256)
    bpy.ops.loom.walk()
    stage.use_cycles(scene, width=384, height=216, samples=max(8, args.samples // 3))
    frames = stage.render_frames(scene, out / "walk_on_object", args.frames)
    film = stage.film(frames, out / "walk_on_object.mp4", rate=12, repeat=4)
    return {"frames": [str(path) for path in frames], "film": str(film) if film else None}


def share_material(source, other) -> None:
    """Show the material of `source` on `other` too."""
    other.data.materials.clear()
    other.data.materials.append(source.active_material)


if __name__ == "__main__":
    sys.exit(main())
