"""`latent-loom adapt`: a new style from phrases, from pictures, or from both."""

from __future__ import annotations

import argparse
import re
from typing import Any

from . import values
from .console import Console
from .inprocess import call, tell_warnings
from .options import UsageError, add_common, add_generator
from .replacing import add_overwrite, refuse_to_replace

METHODS = ("auto", "lowrank", "style", "layers", "full")  # adaptation.settings has them too, beside torch
SENT = (
    *("method", "preset", "iterations", "seed", "batch", "learning_rate", "rank", "coarse", "keep_share"),
    *("top_layers", "select_every", "clips", "directional", "contrast", "global_loss", "patch", "patch_size"),
    *(
        "in_domain",
        "diversity",
        "decay",
        "gamut",
        "psi",
        "mixing",
        "diversity_floor",
        "tile",
        "train_size",
        "precision",
        "checkpointing",
    ),
    *("deterministic", "image_weight", "class_index"),
)
"""Options that go into the request under their own names; one that is not given is left to the handler."""


def add(commands) -> None:
    parser = commands.add_parser("adapt", help="make a style by text or pictures: from SOURCE to TARGET")
    _add_aim(parser)
    _add_method(parser)
    _add_losses(parser)
    _add_training(parser)
    add_overwrite(parser, "a style, and a report, of the same name")
    parser.add_argument("--report", type=values.path, metavar="DIR", help="write a report on the run there")
    parser.add_argument("--resume", action="store_true", help="go on from NAME-partial, or from NAME with --overwrite")
    parser.add_argument("--detach", action="store_true", help="run on when this terminal, or Blender, is closed")
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--status", metavar="NAME", help="where the detached run that makes that style stands")
    shown.add_argument("--cancel", metavar="NAME", help="stop the detached run that makes that style")
    shown.add_argument("--list-methods", action="store_true", help="what can be trained, and stop")
    shown.add_argument("--list-presets", action="store_true", help="what each preset sets, and stop")
    add_common(parser)
    parser.set_defaults(run=run)


def _add_aim(parser: argparse.ArgumentParser) -> None:
    add_generator(parser)
    parser.add_argument("--source", metavar="TEXT", help='what the generator makes now, like "stone"')
    parser.add_argument(
        "--target", type=values.weighted, action="append", default=[], metavar="TEXT[:WEIGHT]", dest="targets",
        help='what it should make, like "mossy stone"; again for a mix ("wet stone:0.5")',
    )  # fmt: skip
    parser.add_argument(
        "--negative", type=values.weighted, action="append", default=[], metavar="TEXT[:WEIGHT]", dest="negatives",
        help="what it should move away from",
    )  # fmt: skip
    parser.add_argument(
        "--image", type=values.path, nargs="+", action="extend", default=[], metavar="FILE", dest="images",
        help="pictures that it should become like, instead of a target or beside it",
    )  # fmt: skip
    parser.add_argument(
        "--source-image", type=values.path, nargs="+", action="extend", default=[], metavar="FILE",
        dest="source_images", help="pictures of what it makes now, for --image (default: its own)",
    )  # fmt: skip
    parser.add_argument(
        "--keep-fixed", action="append", default=[], metavar="WORD", help="what is to stay as it is, like dark; again"
    )
    parser.add_argument("--image-weight", type=values.number, metavar="W", help="of pictures beside text (default: 1)")
    parser.add_argument("--name", metavar="NAME", help="name of the style (default: from the target)")


def _add_method(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--preset", metavar="NAME", help="settings by intent (--list-presets); other options go first")
    parser.add_argument(
        "--method",
        choices=METHODS,
        help="what is trained (--list-methods; default: auto, the smallest that works well)",
    )
    parser.add_argument("--rank", type=values.count, metavar="N", help="of low-rank updates (lowrank; default: 4)")
    parser.add_argument(
        "--no-coarse",
        action="store_false",
        dest="coarse",
        help="leave the coarsest third of the layers (lowrank, style)",
    )
    parser.add_argument(
        "--keep-share", type=values.number, metavar="S", help="keep this share of the offsets, the largest (style)"
    )
    parser.add_argument("--top-layers", type=values.count, metavar="N", help="how many convolutions train (layers)")
    parser.add_argument("--select-every", type=values.count, metavar="N", help="steps between two choices (layers)")


def _add_losses(parser: argparse.ArgumentParser) -> None:
    for option, default, what in (
        ("directional", "1", "the change of a picture goes the way from source to target"),
        ("contrast", "0.3", "a picture is read as the target of what it was, and as nothing else"),
        ("global-loss", "0", "the picture itself lies near the target"),
        ("patch", "0", "as directional, on random patches"),
        ("in-domain", "0.25", "pictures stay as different from one another as they were"),
        ("diversity", "2", "all pictures together stay as varied as they were"),
        ("decay", "0", "changes stay small"),
        ("gamut", "1", "colours stay within what a picture can hold"),
    ):
        parser.add_argument(f"--{option}", type=values.number, metavar="W", help=f"weight of: {what} ({default})")
    parser.add_argument("--patch-size", type=values.number, metavar="S", help="side of a patch, of the picture's (0.5)")


def _add_training(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--iterations", type=values.iterations, metavar="N", help="steps, or auto (default)")
    parser.add_argument("--seed", type=values.seed, metavar="N", help="repeats the result exactly (default: 0)")
    parser.add_argument("--batch", type=values.count, metavar="N", help="pictures per step")
    parser.add_argument("--learning-rate", type=values.number, metavar="RATE", help="step size of the optimizer")
    parser.add_argument(
        "--clip", action="append", metavar="NAME[*WEIGHT]", dest="clips",
        help="CLIP that leads the training, like ViT-B-32:openai; again for several (default: builtin)",
    )  # fmt: skip
    parser.add_argument("--psi", type=values.number, metavar="P", help="truncation of the training latents (1: none)")
    parser.add_argument("--mixing", type=values.number, metavar="S", help="share of pictures of two mixed latents")
    parser.add_argument(
        "--diversity-floor", type=values.number, metavar="S", help="share of the variety that auto must leave (0.7)"
    )
    parser.add_argument("--tile", choices=("none", "x", "y", "xy"), help="edges that meet (default: as it was trained)")
    parser.add_argument(
        "--class", type=values.whole, metavar="N", dest="class_index",
        help="train on one class, of a generator that has classes (default: on all)",
    )  # fmt: skip
    parser.add_argument(
        "--train-size", type=values.count, metavar="PX",
        help="pictures trained on (default: the smallest that show the CLIPs what whole ones would)",
    )  # fmt: skip
    parser.add_argument("--precision", choices=("auto", "float32", "mixed"), help="mixed: 16 bits where that is safe")
    parser.add_argument(
        "--checkpointing", action=argparse.BooleanOptionalAction, help="less memory, more time (default: where needed)"
    )
    parser.add_argument(
        "--deterministic", action="store_const", const=True, help="the same bits every time, on a GPU too"
    )


def run(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    if args.list_methods or args.list_presets:
        return _show(args, console)
    if args.status or args.cancel:
        return _look(args, console)
    if not args.targets and not args.images:
        raise UsageError("the following arguments are required: --target or --image", "latent-loom adapt")
    if args.targets and args.source is None:
        raise UsageError("the following arguments are required: --source", "latent-loom adapt")
    params = aim_params(args)
    params |= {"generator": args.generator, "overwrite": args.overwrite, "resume": args.resume, "preview_every": 0}
    params |= {name: value for name in SENT if (value := getattr(args, name)) is not None}
    if args.report:
        files = [args.report / f"{params['name']}.{ending}" for ending in ("html", "json")]
        refuse_to_replace(files, args.overwrite, "name another folder with --report")
        params["report"] = str(args.report.absolute())
    if args.detach:
        value = call(args, console, "adapt", params | {"detach": True})
        console.say(
            f"It runs by itself. latent-loom adapt --status {value['name']} says how far it is; --cancel ends it."
        )
        return value
    title = f"{args.source} -> {params['name']}" if args.source else params["name"]
    value = call(args, console, "adapt", params, title=title)
    tell_warnings(value, console)
    style = value["style"]
    console.say(f"The style {style['name']!r} is ready ({style['bytes']:,} bytes, {value['seconds']:.1f} s).")
    for measure, score in style["measures"].items():
        console.say(f"  {measure}: {score:.3f}")
    if args.report:
        console.say(f"Report: {value['file']}")
    of_class = "" if args.class_index is None else f" --class {args.class_index}"
    console.say(f"Use it: latent-loom generate --style {style['name']}{of_class} --out textures")
    return value


def _look(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    """Where a detached run stands, or its end."""
    value = call(args, console, "adapt_status" if args.status else "adapt_cancel", {"name": args.status or args.cancel})
    state = "stopping" if args.cancel and value["state"] == "running" else value["state"]
    console.say(f"{state}: {value['done']} of {value['total']} iterations.")
    if value.get("message"):
        console.say(value["message"])
    return value


def aim_params(args: argparse.Namespace) -> dict[str, Any]:
    """What to aim at. The first target counts 1 on the wire, so all weights are taken relative to its own."""
    (target, unit), more = (args.targets[0], args.targets[1:]) if args.targets else (("", 1.0), [])
    if not unit > 0:
        raise UsageError("the first target needs a weight above 0.", "latent-loom adapt")
    return {
        "source": args.source or "",
        "target": target,
        "targets": [[text, weight / unit] for text, weight in more],
        "negatives": [list(negative) for negative in args.negatives],
        "keep_fixed": args.keep_fixed,
        "images": [str(path.absolute()) for path in args.images],
        "source_images": [str(path.absolute()) for path in args.source_images],
        "name": args.name or name_from(target or (args.images[0].stem if args.images else "")),
    }


def _show(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    kind = "methods" if args.list_methods else "presets"
    value = call(args, console, "models", {})
    for entry in value[kind]:
        console.say(entry["name"])
        if kind == "methods":
            size = entry["bytes"].get(args.generator)
            console.say(f"  trains   {entry['trains']}")
            console.say(f"  suits    {entry['suits']}")
            console.say(
                f"  a style  {size:,} bytes at most, for {args.generator}" if size else "  a style  size unknown"
            )
        else:
            console.say(f"  {entry['summary']}")
            console.say("  " + ", ".join(f"{name} {setting}" for name, setting in entry["settings"].items()))
    return {kind: value[kind]}


def name_from(target: str) -> str:
    """A style's name from a prompt: "a Mossy stone!" -> "a-mossy-stone". Nothing usable gives "style"."""
    return re.sub(r"[^a-z0-9]+", "-", target.lower()).strip("-")[:64].strip("-") or "style"
