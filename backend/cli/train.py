"""`latent-loom train`: makes the built-in models anew. The recipes live in `models/`; this hands on to them.

A recipe is a frozen dataclass of settings, whose fields become the options, and a function that trains.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import BadRequest
from . import values
from .console import Console
from .options import Parser


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Where a recipe is. It is imported only when it is asked for.

    settings  name of its settings class in `module`; `preset` fields are fixed and are no options
    train     name of its function in `module`: train(settings, out: Path, job=Job) -> dict, the model's card;
              with `work`, it takes a folder for checkpoints and sample sheets too
    """

    module: str
    settings: str
    train: str
    preset: dict[str, Any] = field(default_factory=dict)
    work: bool = False


# THE ONE PLACE that knows the recipes.
RECIPES = {
    "clip": Recipe(module="..models.train_clip", settings="ClipTraining", train="train_clip", preset={"role": "clip"}),
    "judge": Recipe(
        module="..models.train_clip", settings="ClipTraining", train="train_clip", preset={"role": "judge"}
    ),
    "generator": Recipe(
        module="..models.train_generator", settings="GeneratorTraining", train="train_generator", work=True
    ),
}


def add(commands) -> None:
    parser = commands.add_parser("train", help="train a built-in model anew (options: latent-loom train WHAT --help)")
    parser.add_argument("what", choices=tuple(RECIPES), help="which model")
    parser.add_argument("rest", nargs=argparse.REMAINDER, metavar="...", help="the recipe's own options")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    recipe = RECIPES[args.what]
    module = importlib.import_module(recipe.module, package=__package__)
    settings_class = getattr(module, recipe.settings)
    options = recipe_parser(args.what, recipe, module, settings_class).parse_args(args.rest)
    try:
        settings = read_settings(settings_class, vars(options), recipe.preset)
    except ValueError as error:
        raise BadRequest(str(error)) from error
    if options.threads:
        import torch

        torch.set_num_threads(options.threads)
    folders = {"work": options.work or options.out.with_name(f"{options.out.stem}-work")} if recipe.work else {}
    with console.job(f"train {args.what}") as job:
        card = getattr(module, recipe.train)(settings, options.out, job=job, **folders)
    for name, entry in card.items():
        console.say(f"{name}: {entry}")
    return card


def recipe_parser(what: str, recipe: Recipe, module: Any, settings_class: type) -> Parser:
    """The options of one recipe: where to write, and its settings."""
    parser = Parser(
        prog=f"latent-loom train {what}",
        description=f"{module.__doc__}\n\n{settings_class.__doc__}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=values.path, required=True, metavar="PATH", help="where the model is written")
    if recipe.work:
        parser.add_argument(
            "--work", type=values.path, metavar="DIR", help="folder of checkpoints and sheets (default: beside PATH)"
        )
    parser.add_argument("--threads", type=values.count, metavar="N", help="processor threads (default: all)")
    parser.add_argument("--json", action="store_true", help="end standard output with one JSON object")
    add_settings(parser, settings_class, recipe.preset)
    return parser


def add_settings(parser: argparse.ArgumentParser, settings_class: type, preset: Mapping[str, Any]) -> None:
    """One option per plain field (text, number, yes or no) of a settings dataclass and of the dataclasses in it."""
    for name, kind, default in _fields(settings_class, preset):
        flag = "--" + name.replace("_", "-")
        if isinstance(kind, type) and dataclasses.is_dataclass(kind):
            add_settings(parser, kind, {})
        elif kind is bool:
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, default=default)
        elif kind in READERS:
            shown = f"default: {default}"
            parser.add_argument(flag, type=READERS[kind], default=default, metavar=name.upper(), help=shown)


def read_settings(settings_class: type, options: Mapping[str, Any], preset: Mapping[str, Any]) -> Any:
    """The settings that `options` hold, where `add_settings` put them. Raises ValueError where they refuse a value."""
    chosen = dict(preset)
    for name, kind, _ in _fields(settings_class, preset):
        if isinstance(kind, type) and dataclasses.is_dataclass(kind):
            chosen[name] = read_settings(kind, options, {})
        elif name in options:
            chosen[name] = options[name]
    return settings_class(**chosen)


READERS: dict[Any, Callable[[str], Any]] = {str: str, int: int, float: values.number}


def _fields(settings_class: type, preset: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Name, type and default of each field that is not preset."""
    kinds = typing.get_type_hints(settings_class)
    for entry in dataclasses.fields(settings_class):
        if entry.name not in preset:
            yield entry.name, kinds[entry.name], entry.default
