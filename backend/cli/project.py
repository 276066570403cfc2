"""`latent-loom project | textures`: a picture as a texture of the generator, and the textures that were kept."""

from __future__ import annotations

import argparse
from typing import Any

from ..errors import not_found
from ..service.handlers.kept import written_files
from . import values
from .console import Console
from .inprocess import call, open_store, tell_warnings
from .options import add_class, add_common, add_generator
from .replacing import add_overwrite, refuse_to_replace


def add(commands) -> None:
    parser = commands.add_parser("project", help="make a picture into a texture of the generator, to restyle it")
    parser.add_argument("image", type=values.path, metavar="IMAGE", help="picture file")
    parser.add_argument("--name", required=True, metavar="NAME", help="what the texture is called")
    add_generator(parser)
    parser.add_argument(
        "--space", choices=("w", "w+", "style"), default="w+", help="where to look for it (default: w+)"
    )
    parser.add_argument(
        "--steps", type=values.count, default=600, metavar="N", help="more is nearer, and longer (default: 600)"
    )
    parser.add_argument(
        "--seed", type=values.seed, default=0, metavar="N", help="repeats the result exactly (default: 0)"
    )
    add_class(parser)
    parser.add_argument(
        "--size", type=values.size, metavar="WIDTHxHEIGHT", help="of the projection (default: the generator's own)"
    )
    parser.add_argument(
        "--tile", choices=("none", "x", "y", "xy"), default="xy", help="directions in which edges meet (default: xy)"
    )
    parser.add_argument(
        "--style", action="append", type=values.style, default=[], dest="styles", metavar="NAME[:STRENGTH]",
        help="show it restyled on the sheet; again for several",
    )  # fmt: skip
    add_overwrite(parser, "a texture of the same name, and its files")
    parser.add_argument("--out", type=values.path, metavar="DIR", help="write its picture and a sheet to this folder")
    add_common(parser)
    parser.set_defaults(run=run)

    parser = commands.add_parser("textures", help="list, show, rename or delete the textures that were kept")
    add_common(parser)
    parser.set_defaults(run=run_list)
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    for name, run_action, names, help_line in (
        ("list", run_list, (), "list the textures (what `textures` alone does)"),
        ("show", run_show, ("name",), "everything that is known of one texture"),
        ("rename", run_rename, ("name", "new_name"), "give a texture another name"),
        ("delete", run_delete, ("name",), "delete a texture"),
    ):
        action = actions.add_parser(name, help=help_line)
        for argument in names:
            action.add_argument(argument, metavar=argument.upper())
        add_common(action, repeated=True)
        action.set_defaults(run=run_action)


def run(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    params = {
        "file": str(args.image.absolute()),
        "name": args.name,
        "generator": args.generator,
        "space": args.space,
        "steps": args.steps,
        "seed": args.seed,
        "class_index": args.class_index,
        "size": list(args.size) if args.size else None,
        "tile": args.tile,
        "styles": [list(style) for style in args.styles],
        "overwrite": args.overwrite,
        "preview_every": 0,
        "out": str(args.out.absolute()) if args.out else None,
    }
    if args.out:
        files = written_files(args.out, args.name).values()
        refuse_to_replace(files, args.overwrite, "name another folder with --out")
    value = call(args, console, "project", params, title=args.image.name)
    tell_warnings(value, console)
    measures = value["texture"]["measures"]
    console.say(
        f"The texture {args.name!r} is kept: {measures['psnr_db']:.1f} dB, cosine {measures['cosine']:.3f}, "
        f"arranged anew {measures['anew']:.3f} ({value['seconds']:.1f} s)."
    )
    for file in value["files"]:
        console.say(f"  {file['path']}")
    size = "x".join(map(str, value["size"]))
    console.say(f"Use it: latent-loom generate --texture {args.name} --style NAME --size {size} --out textures")
    return value


def run_list(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    value = call(args, console, "textures", {})
    for texture in value["textures"]:
        if texture.get("broken"):
            console.say(f"{texture['name']:<24} cannot be read: {texture['broken']}")
        else:
            console.say(f"{texture['name']:<24} {texture['origin']:<11} {texture['generator']}  seed {texture['seed']}")
    if not value["textures"]:
        console.say("No textures are kept yet; make one: latent-loom project IMAGE --name NAME")
    return value


def run_show(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    textures = {texture["name"]: texture for texture in call(args, console, "textures", {})["textures"]}
    if args.name not in textures:
        raise not_found("texture", args.name, textures, "List them with: latent-loom textures")
    for field, entry in textures[args.name].items():
        console.say(f"{field:<15} {entry}")
    return {"texture": textures[args.name]}


def run_rename(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    open_store(args).textures.rename(args.name, args.new_name)
    console.say(f"The texture {args.name!r} is now called {args.new_name!r}.")
    return {"name": args.new_name}


def run_delete(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    call(args, console, "delete_texture", {"name": args.name})
    console.say(f"The texture {args.name!r} is deleted.")
    return {"deleted": args.name}
