"""`latent-loom train`: makes the built-in models anew. The recipes live in `models/`; this hands on to them.

A recipe is a frozen dataclass of settings, whose fields become the options, and a function that trains.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import BadRequest
from . import values
from .console import Console
from .options import Parser


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Where a recipe is. It is imported only when it is asked for.

    settings  name of its settings class in `module`; `preset` fields are fixed and are no options
    train     name of its function in `module`: train(settings, out: Path, job: Job) -> dict, the model's card
    """

    module: str
    settings: str
    train: str
    preset: dict[str, Any] = field(default_factory=dict)


# THE ONE PLACE that knows the recipes.
RECIPES = {
    "clip": Recipe(module="..models.train_clip", settings="ClipTraining", train="train_clip", preset={"role": "clip"}),
    "judge": Recipe(module="..models.train_clip", settings="ClipTraining", train="train_clip", preset={"role": "judge"}),
    "generator": Recipe(module="..models.train_generator", settings="GeneratorTraining", train="train_generator"),
}


def add(commands) -> None:
    parser = commands.add_parser("train", help="train a built-in model anew (options: latent-loom train WHAT --help)")
    parser.add_argument("what", choices=tuple(RECIPES), help="which model")
    parser.add_argument("rest", nargs=argparse.REMAINDER, metavar="...", help="the recipe's own options")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    recipe = RECIPES[args.what]
    module = importlib.import_module(recipe.module, package=__package__)
    settings_class, train = getattr(module, recipe.settings), getattr(module, recipe.train)
    parser = Parser(
        prog=f"latent-loom train {args.what}",
        description=f"{module.__doc__}\n\n{settings_class.__doc__}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=values.path, required=True, metavar="PATH", help="where the model is written")
    parser.add_argument("--threads", type=values.count, metavar="N", help="processor threads (default: all cores)")
    parser.add_argument("--json", action="store_true", help="end standard output with one JSON object")
    names = add_settings(parser, settings_class, recipe.preset)
    options = vars(parser.parse_args(args.rest))
    try:
        settings = settings_class(**recipe.preset, **{name: options[name] for name in names})
    except ValueError as error:
        raise BadRequest(str(error)) from error
    if options["threads"]:
        import torch

        torch.set_num_threads(options["threads"])
    with console.job(f"train {args.what}") as job:
        card = train(settings, Path(options["out"]), job)
    for name, entry in card.items():
        console.say(f"{name}: {entry}")
    return card


def add_settings(parser: argparse.ArgumentParser, settings_class: type, preset: dict[str, Any]) -> list[str]:
    """One option per field of a settings dataclass that is not preset; returns the fields' names.

    Only plain fields (text, numbers, yes or no) become options; others keep their defaults.
    """
    kinds = typing.get_type_hints(settings_class)
    readers: dict[Any, Any] = {str: str, int: int, float: values.number}
    names = []
    for entry in dataclasses.fields(settings_class):
        flag, kind = "--" + entry.name.replace("_", "-"), kinds[entry.name]
        if entry.name in preset:
            continue
        if kind is bool:
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, default=entry.default)
        elif kind in readers:
            shown = f"default: {entry.default}"
            parser.add_argument(flag, type=readers[kind], default=entry.default, metavar=entry.name.upper(), help=shown)
        else:
            continue
        names.append(entry.name)
    return names
