"""`latent-loom styles mine`: the mapper of a style."""

from __future__ import annotations

import argparse
from typing import Any

from . import values
from .console import Console
from .inprocess import call, tell_warnings
from .options import add_common

OPTIONS = ("generator", "target", "iterations", "seed", "batch", "learning_rate", "diversity_floor")


def add(actions) -> None:
    parser = actions.add_parser("mine", help="learn which samples of a style fit its target best (generate --mine)")
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("--generator", metavar="NAME", help="to learn on (default: the one that the style is for)")
    parser.add_argument("--target", metavar="TEXT", help="what samples are to match (default: the style's target)")
    parser.add_argument("--iterations", type=values.count, metavar="N", help="steps (default: 100)")
    parser.add_argument("--seed", type=values.seed, metavar="N", help="repeats the result exactly (default: 0)")
    parser.add_argument("--batch", type=values.count, metavar="N", help="pictures per step (default: 8)")
    parser.add_argument("--learning-rate", type=values.number, metavar="RATE", help="step size (default: 0.002)")
    parser.add_argument(
        "--diversity-floor", type=values.number, metavar="SHARE",
        help="share of the samples' diversity that must stay (default: 0.8)",
    )  # fmt: skip
    add_common(parser, repeated=True)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    params = {name: getattr(args, name) for name in OPTIONS if getattr(args, name) is not None}
    value = call(args, console, "mine_style", {"name": args.name, **params}, title=f"mining {args.name}")
    tell_warnings(value, console)
    measures = value["style"]["measures"]
    console.say(
        f"With the mapper the samples' quality is {measures['mined_quality']:.3f}, without it "
        f"{measures['unmined_quality']:.3f}; {measures['mined_retention']:.0%} of their diversity stays "
        f"({value['seconds']:.1f} s)."
    )
    console.say(f"Use it: latent-loom generate --style {args.name} --mine 1 --out textures")
    return value
