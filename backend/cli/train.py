"""`latent-loom train`: makes the built-in models anew. The recipes live beside the models; this hands on to them."""

from __future__ import annotations

import argparse
import importlib
from typing import Any

from .console import Console
from .options import Parser

# THE ONE PLACE that knows the recipes. Each module has
#   add_arguments(parser)                  its options
#   run(args, job: Job) -> dict            does the work; reports to `job`; the dict is what --json prints
# and is imported only when it is asked for.
RECIPES = {
    "clip": "..models.train_clip",
    "judge": "..models.train_judge",
    "generator": "..models.train_generator",
}


def add(commands) -> None:
    parser = commands.add_parser("train", help="train a built-in model anew (its recipe: train WHAT --help)")
    parser.add_argument("what", choices=tuple(RECIPES), help="which model")
    parser.add_argument("rest", nargs=argparse.REMAINDER, metavar="...", help="the recipe's own options")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    recipe = importlib.import_module(RECIPES[args.what], package=__package__)
    parser = Parser(prog=f"latent-loom train {args.what}", description=recipe.__doc__)
    parser.add_argument("--json", action="store_true", help="end standard output with one JSON object")
    recipe.add_arguments(parser)
    options = parser.parse_args(args.rest)
    with console.job(f"train {args.what}") as job:
        value = recipe.run(options, job)
    for name, entry in value.items():
        console.say(f"{name}: {entry}")
    return value
