"""`latent-loom generate | directions | walk`: pictures from a generator and its styles."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import BadRequest
from . import values
from .console import Console
from .inprocess import call, open_store, tell_warnings
from .options import add_class, add_common, add_generator, add_look, look_params
from .replacing import add_overwrite, refuse_to_replace

REPEAT_SHOWS = 0.5
"""From this repeat score on the eye sees the repetition."""

ELSEWHERE = "name another folder with --out"

KEPT = ("generator", "psi", "cutoff", "mix", "directions", "class_index", "noise_seed")
"""What of a texture's look is kept with it; styles, noise and the rest are chosen anew whenever it is used."""


def add(commands) -> None:
    _add_generate(commands)
    _add_directions(commands)
    _add_walk(commands)
    _add_grid(commands)


def _add_generate(commands) -> None:
    parser = commands.add_parser("generate", help="make textures, with PBR maps if wanted")
    add_look(parser)
    parser.add_argument(
        "--seeds", "--seed", type=values.seeds, default=[], metavar="SEEDS", help="like 0-15 or 3,7,12 (default: 0)"
    )
    _add_kept(parser)
    parser.add_argument(
        "--keep", action="append", type=values.keep, default=[], metavar="SEED=NAME",
        help="keep the texture of a seed, without styles, under a name, for --texture; again for several",
    )  # fmt: skip
    parser.add_argument(
        "--strengths", type=values.numbers, metavar="LIST",
        help="make every seed at each of these strengths of the styles, like 0,0.25,0.5,0.75,1",
    )  # fmt: skip
    parser.add_argument("--name", metavar="NAME", help="what the files' names begin with (default: from the style)")
    parser.add_argument("--out", type=values.path, required=True, metavar="DIR", help="folder to write to")
    add_overwrite(parser)
    add_common(parser)
    parser.set_defaults(run=run_generate)


def _add_kept(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--texture", action="append", default=[], metavar="NAME", dest="textures",
        help="a kept texture, before the seeds; again for several",
    )  # fmt: skip


def _add_directions(commands) -> None:
    parser = commands.add_parser("directions", help="find a generator's edit directions and show what each does")
    add_generator(parser)
    parser.add_argument("--count", type=values.count, default=8, metavar="K", help="how many (default: 8)")
    parser.add_argument(
        "--layers", choices=("all", "coarse", "middle", "fine"), default="all", help="whose directions (default: all)"
    )
    parser.add_argument(
        "--amounts", type=values.numbers, metavar="LIST", help="columns of the sheet (default: -3,-1.5,0,1.5,3)"
    )
    parser.add_argument("--seed", type=values.seed, default=0, metavar="SEED", help="texture to move (default: 0)")
    add_class(parser)
    parser.add_argument("--out", type=values.path, required=True, metavar="DIR", help="folder to write the sheet to")
    add_overwrite(parser, "a sheet of the same name")
    add_common(parser)
    parser.set_defaults(run=run_directions)


def _add_walk(commands) -> None:
    parser = commands.add_parser("walk", help="make a sequence of pictures that goes smoothly from seed to seed")
    add_look(parser, walk=True)
    keys = parser.add_mutually_exclusive_group()
    keys.add_argument(
        "--seeds", "--seed", type=values.seeds, default=[], metavar="SEEDS", help="stations (default: 0,1,2)"
    )
    keys.add_argument(
        "--key", type=values.key, action="append", metavar="SEED[,...]", dest="keys",
        help="a station with its own styles, directions, psi, frames to stay, and easing of the way on, like "
        "7,mossy:0.8,d0:2,psi=0.7,hold=10,ease=smooth or, kept, wall,mossy:0.8; again for the next",
    )  # fmt: skip
    keys.add_argument(
        "--keys", type=values.path, metavar="FILE", dest="key_file", help="stations in a TOML or JSON file"
    )
    _add_kept(parser)
    parser.add_argument("--frames", type=values.count, default=120, metavar="N", help="pictures in all (default: 120)")
    parser.add_argument("--loop", action="store_true", help="come back to the first seed, so that it plays endlessly")
    parser.add_argument(
        "--interpolation", choices=("w", "linear", "z"), default="w",
        help="a smooth curve in w (default), straight lines in w, or great circles in z",
    )  # fmt: skip
    parser.add_argument("--preview", choices=("webp", "gif"), help="write a small animation to DIR/previews too")
    parser.add_argument("--movie", choices=("mp4", "webm"), help="write a movie too (needs ffmpeg)")
    parser.add_argument("--fps", type=values.count, default=24, metavar="N", help="of both (default: 24)")
    add_overwrite(parser, "the frames of another walk in the folder")
    parser.add_argument(
        "--resume", action="store_true", help="go on with the walk in the folder; an error where there is none"
    )
    parser.add_argument(
        "--speed", choices=("linear", "visual"), default="linear", help="equal steps in the latent, or for the eye"
    )
    parser.add_argument("--out", type=values.path, required=True, metavar="DIR", help="folder to write to")
    add_common(parser)
    parser.set_defaults(run=run_walk)


def _add_grid(commands) -> None:
    parser = commands.add_parser("grid", help="show the same textures in many styles, as a sheet and an animation")
    add_generator(parser)
    parser.add_argument(
        "--style", type=values.style, action="append", default=[], metavar="NAME[:STRENGTH]", dest="styles",
        required=True, help="a row of the sheet; again for the next",
    )  # fmt: skip
    parser.add_argument("--seeds", "--seed", type=values.seeds, default=[], metavar="SEEDS", help="columns (0-5)")
    _add_kept(parser)
    parser.add_argument("--psi", type=values.number, default=0.8, metavar="P", help="truncation (default: 0.8)")
    parser.add_argument(
        "--direction", type=values.direction, action="append", default=[], dest="directions", metavar="NAME:AMOUNT",
        help="move all along an edit direction, like d0:2; again for several",
    )  # fmt: skip
    add_class(parser)
    parser.add_argument("--frames", type=values.whole, default=0, metavar="N", help="of an animation too (default: 0)")
    parser.add_argument("--fps", type=values.count, default=24, metavar="N", help="of the animation (default: 24)")
    parser.add_argument("--cell", type=values.count, default=256, metavar="PX", help="side of a picture (default: 256)")
    parser.add_argument("--out", type=values.path, required=True, metavar="DIR", help="folder to write to")
    add_overwrite(parser, "another grid in the folder")
    add_common(parser)
    parser.set_defaults(run=run_grid)


def run_generate(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    sources = [*args.textures, *args.seeds] or [0]
    params = look_params(args) | {"seeds": sources, "out": str(args.out.absolute())}
    if args.name:
        params["name"] = args.name
    if args.strengths:
        params["seeds"] = [source for source in sources for _ in args.strengths]
        params["strengths"] = args.strengths * len(sources)
    refuse_to_replace(_textures(args, params), args.overwrite, ELSEWHERE)
    for _, name in args.keep:
        open_store(args).textures.check_free(name)  # before the work
    value = call(args, console, "generate", params)
    tell_warnings(value, console)
    for seed, name in args.keep:
        call(args, console, "keep", {n: params[n] for n in KEPT if n in params} | {"seed": seed, "name": name})
        console.say(f"The texture of seed {seed} is kept as {name!r}.")
    console.say(
        f"{counted(len(value['files']), 'file')} in {args.out} "
        f"({value['seconds']:.1f} s, about {value['memory_mib']} MiB)."
    )
    repeating = [file["seed"] for file in value["files"] if file.get("repeat", 0) > REPEAT_SHOWS]
    if repeating:
        console.say(
            f"At this size the texture of seed {', '.join(map(str, repeating))} visibly repeats itself; "
            "choose another seed, or a smaller size."
        )
    return value


def _textures(args: argparse.Namespace, params: dict[str, Any]) -> Iterator[Path]:
    """Raises BadRequest, as `generate` would."""
    from ..service.handlers.context import OptionalFolder
    from ..service.parameters import parse
    from ..textures.generate import GenerateSettings, file_names

    settings, _ = parse("generate", params, GenerateSettings, OptionalFolder)
    return (args.out / name for names in file_names(settings) for name in names.values())


def _sheet(args: argparse.Namespace) -> Path:
    from ..textures.direction_sheet import sheet_path

    return sheet_path(args.out, args.generator, args.layers)


def _grid(args: argparse.Namespace) -> list[Path]:
    from ..textures.grid import files_of

    sheet, frames, animation = files_of(args.out, args.frames)
    return [sheet, *frames, *([animation] if frames else [])]


def run_directions(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    params = {
        "generator": args.generator,
        "count": args.count,
        "layers": args.layers,
        "seed": args.seed,
        "class_index": args.class_index,
        "out": str(args.out.absolute()),
    }
    if args.amounts:
        params["amounts"] = args.amounts
    refuse_to_replace([_sheet(args)], args.overwrite, ELSEWHERE)
    value = call(args, console, "directions", params)
    tell_warnings(value, console)
    console.say(
        f"{counted(len(value['directions']), 'direction')}, {value['directions'][0]['name']} to "
        f"{value['directions'][-1]['name']}: {value['file']} ({value['seconds']:.1f} s)."
    )
    return value


def run_walk(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    params = look_params(args) | {
        "seeds": [*args.textures, *args.seeds] or [0, 1, 2],
        "frames": args.frames,
        "loop": args.loop,
        "interpolation": args.interpolation,
        "speed": args.speed,
        "overwrite": args.overwrite,
        "out": str(args.out.absolute()),
    }
    if args.keys or args.key_file:
        from ..textures.keys import key_params, read_keys

        if args.textures:
            raise BadRequest("With --key, kept textures are keys too: write --key NAME,STYLE instead of --texture.")
        params |= key_params(args.keys or read_keys(args.key_file))
    if args.resume and not (args.out / "walk.json").is_file():
        raise BadRequest(f"There is no walk in {str(args.out)!r} to go on with; leave --resume out.")
    params |= {"preview": args.preview or "none", "movie": args.movie or "none", "fps": args.fps}
    value = call(args, console, "walk", params)
    tell_warnings(value, console)
    console.say(f"{counted(value['frames'], 'frame')} in {args.out} ({value['seconds']:.1f} s).")
    for kind, path in value["animations"].items():
        console.say(f"The {kind} is {path}.")
    return value


def run_grid(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    params = {
        "generator": args.generator,
        "styles": [list(style) for style in args.styles],
        "seeds": [*args.textures, *args.seeds] or list(range(6)),
        "psi": args.psi,
        "directions": [list(direction) for direction in args.directions],
        "class_index": args.class_index,
        "frames": args.frames,
        "fps": args.fps,
        "size_px": args.cell,
        "out": str(args.out.absolute()),
    }
    refuse_to_replace(_grid(args), args.overwrite, ELSEWHERE)
    value = call(args, console, "grid", params)
    tell_warnings(value, console)
    console.say(f"{value['file']} ({value['seconds']:.1f} s).")
    if value["animation"]:
        console.say(f"The animation of {counted(value['frames'], 'frame')} is {value['animation']}.")
    return value


def counted(number: int, thing: str) -> str:
    """A number of things in words: "1 file", "2 files"."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
