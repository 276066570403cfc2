"""`latent-loom adapt`: a new style from two phrases."""

from __future__ import annotations

import argparse
import re
from typing import Any

from . import values
from .console import Console
from .inprocess import call
from .options import add_common, add_generator

METHODS = ("auto", "lowrank", "style", "full")  # adaptation.settings has them too, beside torch


def add(commands) -> None:
    parser = commands.add_parser("adapt", help="make a style by text: from SOURCE to TARGET")
    add_generator(parser)
    parser.add_argument("--source", required=True, metavar="TEXT", help='what the generator makes now, like "stone"')
    parser.add_argument("--target", required=True, metavar="TEXT", help='what it should make, like "mossy stone"')
    parser.add_argument("--name", metavar="NAME", help="name of the new style (default: made from the target)")
    parser.add_argument(
        "--method", choices=METHODS, default="auto",
        help="what is trained (default: auto, the smallest that works well)",
    )  # fmt: skip
    parser.add_argument(
        "--iterations", type=values.iterations, default="auto", metavar="N", help="steps, or auto (default)"
    )
    parser.add_argument(
        "--seed", type=values.seed, default=0, metavar="N", help="repeats the result exactly (default: 0)"
    )
    parser.add_argument("--batch", type=values.count, metavar="N", help="pictures per step")
    parser.add_argument("--learning-rate", type=values.number, metavar="RATE", help="step size of the optimizer")
    parser.add_argument("--rank", type=values.count, metavar="N", help="rank of low-rank updates (method lowrank)")
    parser.add_argument(
        "--clip", action="append", metavar="NAME", dest="clips",
        help="CLIP that leads the training, like ViT-B-32:openai; again for several (default: builtin)",
    )  # fmt: skip
    parser.add_argument("--overwrite", action="store_true", help="replace a style of the same name")
    add_common(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    params = {
        "generator": args.generator,
        "source": args.source,
        "target": args.target,
        "name": args.name or name_from(args.target),
        "method": args.method,
        "iterations": args.iterations,
        "seed": args.seed,
        "overwrite": args.overwrite,
        "preview_every": 0,
    }
    optional = {"batch": args.batch, "learning_rate": args.learning_rate, "rank": args.rank, "clips": args.clips}
    params |= {name: value for name, value in optional.items() if value is not None}
    value = call(args, console, "adapt", params, title=f"{args.source} -> {args.target}")
    style = value["style"]
    console.say(f"The style {style['name']!r} is ready ({style['bytes']:,} bytes, {value['seconds']:.1f} s).")
    for measure, score in style["measures"].items():
        console.say(f"  {measure}: {score:.3f}")
    console.say(f"Use it: latent-loom generate --style {style['name']} --out textures")
    return value


def name_from(target: str) -> str:
    """A style's name from a prompt: "a Mossy stone!" -> "a-mossy-stone". Nothing usable gives "style"."""
    return re.sub(r"[^a-z0-9]+", "-", target.lower()).strip("-")[:64].strip("-") or "style"
