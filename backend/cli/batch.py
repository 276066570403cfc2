"""`latent-loom batch`: whole sets of textures from one file; also what became of a batch, and its end."""

from __future__ import annotations

import argparse
from typing import Any

from ..errors import AlreadyExists
from . import values
from .console import Console, UnfinishedError
from .inprocess import call, tell_warnings
from .options import UsageError, add_common
from .replacing import add_overwrite
from .textures import counted

MIB = 2**20


def add(commands) -> None:
    parser = commands.add_parser("batch", help="make whole sets of textures from a TOML, CSV or JSON-lines file")
    parser.add_argument(
        "file", type=values.path, nargs="?", metavar="FILE",
        help="batch file, or the manifest.jsonl of a batch, whose files are then made again",
    )  # fmt: skip
    parser.add_argument("--out", type=values.path, metavar="DIR", help="folder to write to")
    parser.add_argument("--dry-run", action="store_true", help="say how many, how long and how large, and make nothing")
    parser.add_argument("--resume", action="store_true", help="go on with a batch that was interrupted")
    parser.add_argument("--verify", action="store_true", help="go on, and read every file that is there again")
    add_overwrite(parser, "another batch in the folder")
    parser.add_argument("--detach", action="store_true", help="run on when this terminal, or Blender, is closed")
    parser.add_argument("--cluster", metavar="ADDRESS", help="make it on a Ray cluster: auto, or HOST:PORT of its head")
    asked = parser.add_mutually_exclusive_group()
    asked.add_argument("--status", type=values.path, metavar="DIR", help="where the batch in that folder stands")
    asked.add_argument("--cancel", type=values.path, metavar="DIR", help="stop the batch in that folder")
    add_common(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    if args.status or args.cancel:
        return _look(args, console)
    if not args.file or not args.out:
        raise UsageError("the batch file and --out are needed (or --status DIR, --cancel DIR).", "latent-loom batch")
    _refuse_to_replace(args)
    params = {"file": str(args.file.absolute()), "out": str(args.out.absolute())}
    chosen = {"resume": args.resume or args.verify, "verify": args.verify, "dry_run": args.dry_run}
    elsewhere = {"cluster": args.cluster} if args.cluster is not None else {}
    value = call(args, console, "batch", params | chosen | elsewhere | {"detach": args.detach})
    if args.dry_run:
        _tell_reckoned(value, console)
        if args.cluster:
            console.say("That is for this machine alone; n nodes like it take about an n-th of the time.")
        return value
    if args.detach:
        console.say(f"It runs by itself. latent-loom batch --status {args.out} says how far it is; --cancel ends it.")
        return value
    return _tell_made(args, value, console)


def _refuse_to_replace(args: argparse.Namespace) -> None:
    """Raise AlreadyExists where a batch is begun in the folder of another."""
    from ..textures.manifest import FILE

    begins = not (args.resume or args.verify or args.dry_run or args.overwrite)
    manifest = args.out / FILE
    if begins and manifest.is_file() and manifest.stat().st_size:
        raise AlreadyExists(
            f"There is a batch in {str(args.out)!r} already; go on with it (--resume), name another folder with --out, "
            "or make everything anew with --overwrite."
        )


def _look(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    request = "batch_status" if args.status else "batch_cancel"
    value = call(args, console, request, {"out": str((args.status or args.cancel).absolute())})
    running = value["state"] == "running"
    pace = f", {value['per_minute']:g} a minute" if running and "per_minute" in value else ""
    left = f", about {_duration(value['left_s'])} left" if running and "left_s" in value else ""
    state = "stopping" if args.cancel and running else value["state"]
    done = f"{value['done']} of {counted(value['total'], 'texture')}"
    console.say(f"{state}: {done}, {value.get('failed', 0)} failed{pace}{left}.")
    if value.get("message"):
        console.say(value["message"])
    if value["state"] in ("killed", "cancelled", "failed"):
        console.say("The same command with --resume goes on from there.")
    return value


def _tell_made(args: argparse.Namespace, value: dict[str, Any], console: Console) -> dict[str, Any]:
    tell_warnings(value, console)
    failed = value["failed"]
    for entry in failed:
        many = f" ({entry['count']} textures)" if entry["count"] > 1 else ""
        console.complain(f"{entry['name']}{many}: {entry['message']}")
    console.say(
        f"{counted(value['written'], 'file')} written, {value['skipped']} already there, "
        f"{value['lost']} failed, in {args.out} ({value['seconds']:.1f} s); the list is {value['manifest']}."
    )
    if failed:
        sentence = f"{value['lost']} of the batch failed; correct what is told in {args.file} and run with --resume."
        raise UnfinishedError(sentence, value)
    return value


def _tell_reckoned(value: dict[str, Any], console: Console) -> None:
    for sentence in value["missing"]:
        console.complain(sentence)
    there = f", {value['there']} of them there already" if value["there"] else ""
    console.say(f"{counted(value['textures'], 'texture')}, {counted(value['files'], 'file')}{there}.")
    for entry in value["adapt"]:
        told = "is there" if entry["there"] else f"is to be made first ({entry['iterations']} iterations, not reckoned)"
        console.say(f"The style {entry['name']} {told}.")
    console.say(
        f"About {_duration(value['seconds'])} and {value['bytes'] / MIB:.1f} MiB, measured on "
        f"{counted(value['samples'], 'picture')} made for it; {value['free_bytes'] / MIB:,.0f} MiB are free."
    )
    if value["bytes"] > value["free_bytes"]:
        console.complain("The disk is too small for that; free some space or choose another folder.")


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.{1 if seconds < 10 else 0}f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
