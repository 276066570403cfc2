"""`latent-loom import | export`: generators from and to files of other programs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..errors import NotFound
from ..models.download import name_of
from . import values
from .adapt import name_from
from .console import Console
from .inprocess import call, tell_warnings
from .options import add_common
from .replacing import add_overwrite, refuse_to_replace


def add(commands) -> None:
    parser = commands.add_parser("import", help="take in a StyleGAN2 checkpoint (.pkl, .pt or .safetensors)")
    parser.add_argument(
        "source",
        type=values.source,
        metavar="FILE|URL",
        help="the checkpoint, or its address; no code in it is ever run",
    )
    parser.add_argument("--name", metavar="NAME", help="name of the new generator (default: from the file's name)")
    parser.add_argument("--sha256", metavar="HEX", help="refuse the file unless it has this SHA-256")
    parser.add_argument("--overwrite", action="store_true", help="replace a generator of the same name")
    add_common(parser)
    parser.set_defaults(run=run_import)

    parser = commands.add_parser("export", help="write a generator, with styles folded in, to one file")
    parser.add_argument("file", type=values.path, metavar="FILE", help="file to write")
    parser.add_argument(
        "--generator", metavar="NAME", help="generator to write (default: the first style's own, or builtin)"
    )
    parser.add_argument(
        "--style", action="append", type=values.style, default=[], dest="styles", metavar="NAME[:STRENGTH]",
        help="style to fold in; give it again to blend several",
    )  # fmt: skip
    parser.add_argument(
        "--format", choices=("safetensors", "rosinality"), help="default: rosinality for .pt, else safetensors"
    )
    add_overwrite(parser, "a file of the same name")
    add_common(parser)
    parser.set_defaults(run=run_export)


def run_import(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    params: dict[str, Any] = {"overwrite": args.overwrite}
    if isinstance(args.source, Path):
        if not args.source.exists():
            raise NotFound(f"There is no file {str(args.source)!r}; check the path.")
        params |= {"file": str(args.source.absolute()), "name": args.name or name_from(args.source.stem)}
    else:
        params |= {"url": args.source, "name": args.name or name_from(Path(name_of(args.source)).stem)}
    if args.sha256:
        params["sha256"] = args.sha256
    value = call(args, console, "import", params)
    generator = value["generator"]
    console.say(
        f"The generator {generator['name']!r} is ready "
        f"({generator['resolution']} px, {generator['parameters']:,} parameters)."
    )
    return value


def run_export(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    refuse_to_replace([args.file], args.overwrite, "name another file")
    params: dict[str, Any] = {
        "file": str(args.file.absolute()),
        "styles": [list(style) for style in args.styles],
        "format": args.format or ("rosinality" if args.file.suffix == ".pt" else "safetensors"),
    }
    if args.generator:
        params["generator"] = args.generator
    value = call(args, console, "export", params)
    tell_warnings(value, console)
    console.say(f"{args.file}: {value['bytes']:,} bytes.")
    return value
