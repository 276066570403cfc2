"""`latent-loom train`: makes the built-in models anew, or models of your own pictures. The recipes live in `models/`.

A recipe is a frozen dataclass of settings, whose fields become the options, and a function that trains.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import inspect
import itertools
import os
import sys
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import BadRequest
from ..job import Job
from . import values
from .console import Console
from .options import Parser


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Where a recipe is. It is imported only when it is asked for.

    settings  name of its settings class in `module`; `preset` fields are fixed and are no options
    train     name of its function in `module`: train(settings, out: Path, job=Job, device=NAME) -> dict, the model's
              card; with `work`, it takes a folder for checkpoints and sample sheets too
    shared    several processes may train together; it takes `processes`
    """

    module: str
    settings: str
    train: str
    preset: dict[str, Any] = field(default_factory=dict)
    work: bool = False
    shared: bool = False


@dataclass(frozen=True, kw_only=True)
class OwnRecipe(Recipe):
    """A recipe for the user's own data, whose result lands in the data folder under a name.

    train     train(settings, store, name, overwrite=, job=, say=, device=) -> dict
    """


# THE ONE PLACE that knows the recipes: those of the built-in models, and those for pictures of one's own.
RECIPES = {
    **{
        role: Recipe(
            module="..models.train_clip", settings="ClipTraining", train="train_clip", preset={"role": role}, work=True
        )
        for role in ("clip", "judge")
    },
    "generator": Recipe(
        module="..models.train_generator",
        settings="GeneratorTraining",
        train="train_generator",
        work=True,
        shared=True,
    ),
    "styles": Recipe(module="..models.starter_styles", settings="StarterTraining", train="train_styles"),
}
OWN = {
    "generator": OwnRecipe(
        module="..models.own_generator", settings="OwnTraining", train="train_own_generator", shared=True
    ),
    "clip": OwnRecipe(module="..models.own_clip", settings="OwnClipTraining", train="train_own_clip"),
}


def add(commands) -> None:
    parser = commands.add_parser(
        "train",
        help="train a generator or CLIP on pictures of your own, or a built-in model anew",
        description="Options: latent-loom train WHAT --help, and for pictures of your own: "
        "latent-loom train WHAT --name NAME --help",
    )
    parser.add_argument("what", choices=tuple(RECIPES), help="which model")
    parser.add_argument("rest", nargs=argparse.REMAINDER, metavar="...", help="the recipe's own options")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    recipe = OWN[args.what] if is_own(args.what, args.rest) else RECIPES[args.what]
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
    card = _train(getattr(module, recipe.train), recipe, settings, options, console, args.what)
    for name, entry in card.items():
        console.say(f"{name}: {entry}")
    return card


def is_own(what: str, rest: list[str]) -> bool:
    """Whether a model of one's own is asked for: by a name, or by --images with a folder, which then wants a name."""
    return what in OWN and ("--name" in rest or _is_folder(_value("--images", rest)))


def _value(option: str, arguments: list[str]) -> str:
    """What follows an option, or stands behind its equals sign; "" where it is not given."""
    for argument, following in itertools.zip_longest(arguments, arguments[1:], fillvalue=""):
        if argument == option:
            return following
        if argument.startswith(f"{option}="):
            return argument.partition("=")[2]
    return ""


def _is_folder(argument: str) -> bool:
    return bool(argument) and Path(argument).expanduser().is_dir()


def _train(
    train: Callable, recipe: Recipe, settings: Any, options: argparse.Namespace, console: Console, what: str
) -> dict[str, Any]:
    """Call the recipe's function with what it takes."""
    from ...stylegan2.training.processes import join

    if not recipe.shared and int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise BadRequest(f"train {what} runs in one process; start it without torchrun.")
    device = device_name(options.device, os.environ)
    _search_kernels(device)
    processes = join(os.environ, device)
    extra: dict[str, Any] = {"processes": processes} if recipe.shared else {}
    try:
        with console.job(f"train {what}") as job:
            if not processes.first:  # one voice is enough, but all hear an interruption
                sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
                job = Job(cancelled=job.cancelled)
            if isinstance(recipe, OwnRecipe):
                from ..models.store import Store

                extra |= {"overwrite": options.overwrite, "say": console.complain}
                return train(settings, Store(options.data), options.name, job=job, device=device, **extra)
            if recipe.work:
                extra["work"] = options.work or options.out.with_name(f"{options.out.stem}-work")
            return train(settings, options.out, job=job, device=device, **extra)
    finally:
        processes.leave()


def _search_kernels(device: str) -> None:
    """Let cuDNN try which of its convolutions is quickest: in a training every step has the same shapes."""
    if device.startswith("cuda"):
        import torch

        torch.backends.cudnn.benchmark = True


def device_name(asked: str, environment: Mapping[str, str]) -> str:
    """PyTorch's name of the device: the one asked for, or the best; each process of `torchrun` has a GPU of its own."""
    import torch

    from ..service.device import find_device

    name = find_device().torch_name if asked == "auto" else asked
    if name == "cuda" and "LOCAL_RANK" in environment:
        name = f"cuda:{environment['LOCAL_RANK']}"
    try:
        torch.empty(1, device=name)
    except (RuntimeError, AssertionError) as error:
        raise BadRequest(f"There is no device {name!r} here; leave out --device, or give cpu.") from error
    return name


def recipe_parser(what: str, recipe: Recipe, module: Any, settings_class: type) -> Parser:
    """The options of one recipe: where the result goes, and its settings."""
    parser = Parser(
        prog=f"latent-loom train {what}",
        description=f"{module.__doc__}\n\n{inspect.cleandoc(settings_class.__doc__ or '')}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    if isinstance(recipe, OwnRecipe):
        parser.add_argument("--name", required=True, metavar="NAME", help="what the new model is called")
        parser.add_argument("--data", type=values.path, metavar="DIR", help="data folder (default: the user's)")
        parser.add_argument("--overwrite", action="store_true", help="begin anew, in the place of a model of this name")
    else:
        parser.add_argument("--out", type=values.path, required=True, metavar="PATH", help="where the model is written")
    if recipe.work:
        parser.add_argument(
            "--work", type=values.path, metavar="DIR", help="folder of checkpoints and sheets (default: beside PATH)"
        )
    parser.add_argument("--device", default="auto", metavar="NAME", help="cpu, cuda, cuda:1, mps (default: the best)")
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
        elif kind in READERS and default is dataclasses.MISSING:
            parser.add_argument(flag, type=READERS[kind], required=True, metavar=name.upper())
        elif kind in READERS:
            shown = f"default: {default}" if default != "" else None
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
