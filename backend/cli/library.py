"""`latent-loom library`: a finished batch as an asset library for Blender."""

from __future__ import annotations

import argparse
from typing import Any

from . import values
from .console import Console
from .inprocess import call
from .options import add_common
from .replacing import add_overwrite, refuse_to_replace
from .textures import counted


def add(commands) -> None:
    parser = commands.add_parser("library", help="make an asset library for Blender of a finished batch")
    parser.add_argument("folder", type=values.path, metavar="DIR", help="output folder of the batch")
    parser.add_argument(
        "--blender", type=values.path, metavar="PROGRAM", help="Blender, or a Python that has bpy (default: the path's)"
    )
    parser.add_argument("--addon", type=values.path, metavar="DIR", help="the add-on's folder (default: beside this)")
    parser.add_argument("--pack", action="store_true", help="put the pictures into the .blend")
    add_overwrite(parser, "a library that is there, whatever was changed in it")
    add_common(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    from ..textures.asset_library import BLEND

    refuse_to_replace([args.folder / BLEND], args.overwrite, "move it away")
    params: dict[str, Any] = {"folder": str(args.folder.absolute()), "pack": args.pack}
    params |= {name: str(getattr(args, name).absolute()) for name in ("blender", "addon") if getattr(args, name)}
    value = call(args, console, "asset_library", params, title="library")
    console.say(
        f"{counted(value['materials'], 'material')} in {counted(value['catalogues'], 'catalogue')}: {value['blend']} "
        f"({value['seconds']:.1f} s). Add {args.folder} in Blender under Preferences, File Paths, Asset Libraries."
    )
    return value
