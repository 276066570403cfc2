"""`latent-loom styles`: the library of styles."""

from __future__ import annotations

import argparse
from typing import Any

from ...protocol.data_folder import data_folder
from ..models.style_list import list_styles
from ..service.handlers.entries import style_value
from . import mine, values
from .console import Console
from .inprocess import call
from .options import add_common
from .replacing import refuse_to_replace

Argument = tuple[str, dict[str, Any]]
NAME: Argument = ("name", {"metavar": "NAME", "help": "name of the style"})
OVERWRITE: Argument = ("--overwrite", {"action": "store_true", "help": "replace a style of the same name"})
REPLACE: Argument = ("--overwrite", {"action": "store_true", "help": "replace a file of the same name"})


def add(commands) -> None:
    parser = commands.add_parser("styles", help="list, show, rename, delete, import, export, choose styles")
    add_common(parser)
    parser.set_defaults(run=run_list, generator=None)
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    file: Argument = ("file", {"type": values.path, "metavar": "FILE"})
    for name, run, arguments, help_line in (
        ("list", run_list, [_generator("say of each style whether it fits this one")], "list the styles"),
        ("show", run_show, [NAME], "everything that is known of one style"),
        ("rename", run_rename, [NAME, ("new_name", {"metavar": "NEW_NAME"})], "give a style another name"),
        ("delete", run_delete, [NAME], "delete a style with its snapshots"),
        ("snapshots", run_snapshots, [NAME], "the states of its run that were kept, with their measures"),
        ("choose", run_choose, [NAME, _iterations()], "make a style what it was earlier or later in its run"),
        ("report", run_report, [NAME, _page(), REPLACE], "write a page with pictures, curves and measures of a style"),
        ("import", run_import, [file, _new_name("the name in the file"), OVERWRITE], "take a style file in"),
        ("export", run_export, [NAME, file, REPLACE], "write a style alone to a file, to give away"),
        (
            "derive", run_derive, [_child(), _parent(), _new_name("the generator's"), OVERWRITE],
            "make a style of what was changed in a generator that was trained on from another",
        ),
    ):  # fmt: skip
        action = actions.add_parser(name, help=help_line)
        for argument, settings in arguments:
            action.add_argument(argument, **settings)
        add_common(action, repeated=True)
        action.set_defaults(run=run)
    mine.add(actions)


def _generator(help_line: str) -> Argument:
    return "--generator", {"metavar": "NAME", "help": help_line}


def _child() -> Argument:
    return "--generator", {"metavar": "NAME", "required": True, "help": "the generator that was trained on"}


def _parent() -> Argument:
    return "--parent", {"metavar": "NAME", "required": True, "help": "the generator that it was trained on from"}


def _new_name(default: str) -> Argument:
    return "--name", {"metavar": "NAME", "help": f"name of the new style (default: {default})"}


def _page() -> Argument:
    return "--out", {"type": values.path, "metavar": "FILE.html", "required": True, "help": "page to write"}


def _iterations() -> Argument:
    help_line = "position in the run; between two snapshots they are mixed in proportion"
    return "--iterations", {"type": values.number, "metavar": "N", "required": True, "help": help_line}


def run_list(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    if args.generator:
        value = call(args, console, "styles", {"generator": args.generator})
    else:  # without PyTorch
        folder = (args.data or data_folder()) / "styles"
        value = {"styles": [style_value(entry) for entry in list_styles(folder)]}
    for style in value["styles"]:
        if style.get("broken"):
            console.say(f"{style['name']:<24} cannot be read: {style['broken']}")
            continue
        relation = f"{style['relation']:<9}" if args.generator else ""
        console.say(f"{style['name']:<24} {relation}{style['source']} -> {style['target']}  ({style['method']})")
    if not value["styles"]:
        console.say('There are no styles yet; make one: latent-loom adapt --source "stone" --target "mossy stone"')
    return value


def run_show(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    style = call(args, console, "show_style", {"name": args.name})["style"]
    for field, entry in style.items():
        if field == "fits":
            entry = ", ".join(f"{fit['generator']} ({fit['relation']})" for fit in entry)
        elif field in ("measures", "settings"):
            entry = ", ".join(f"{name} {_shown(value)}" for name, value in entry.items())
        elif field in ("snapshots", "clips"):
            entry = _shown(entry)
        if field != "points":
            console.say(f"{field:<15} {entry}")
    return {"style": style}


def _shown(value: Any) -> str:
    """A setting as people write it."""
    if isinstance(value, dict):
        return "(" + ", ".join(f"{name} {_shown(entry)}" for name, entry in value.items()) + ")"
    if isinstance(value, list):
        return " ".join(map(_shown, value)) or "none"
    return "none" if value is None else str(value)


def run_rename(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    call(args, console, "rename_style", {"name": args.name, "new_name": args.new_name})
    console.say(f"The style {args.name!r} is now called {args.new_name!r}.")
    return {"name": args.new_name}


def run_delete(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    call(args, console, "delete_style", {"name": args.name})
    console.say(f"The style {args.name!r} is deleted.")
    return {"deleted": args.name}


def run_snapshots(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    style = call(args, console, "show_style", {"name": args.name})["style"]
    if not style.get("points"):
        console.say(f"No snapshots of the style {args.name!r} are kept; there is only the style itself.")
        return {"name": args.name, "iterations": style.get("iterations"), "snapshots": []}
    names = list(style["points"][0]["measures"])
    console.say("  ".join(["iterations", *(f"{name:>10}" for name in names)]))
    for point in style["points"]:
        here = "  <- the style" if point["iterations"] == style["iterations"] else ""
        console.say(
            "  ".join([f"{point['iterations']:>10}", *(f"{point['measures'][n]:>10.3f}" for n in names)]) + here
        )
    if style["iterations"] not in style["snapshots"]:
        console.say(f"The style itself lies between two of them, at {style['iterations']:g}.")
    console.say(f"Use one: --style {args.name}@{style['points'][0]['iterations']}")
    return {"name": args.name, "iterations": style["iterations"], "snapshots": style["points"]}


def run_choose(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    value = call(args, console, "choose_snapshot", {"name": args.name, "iterations": args.iterations})
    console.say(f"The style {args.name!r} is now what it was after {args.iterations:g} iterations.")
    return value


def run_report(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    refuse_to_replace([args.out, args.out.with_suffix(".json")], args.overwrite, "name another file with --out")
    value = call(args, console, "report_style", {"name": args.name, "file": str(args.out.absolute())}, title="report")
    console.say(f"{args.out} shows the style {args.name!r}; its numbers are in {value['json']}.")
    return value


def run_import(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    params = {"file": str(args.file.absolute()), "overwrite": args.overwrite}
    value = call(args, console, "import_style", params | ({"name": args.name} if args.name else {}))
    style = value["style"]
    console.say(f"The style {style['name']!r} is ready: {style['source']} -> {style['target']}.")
    return value


def run_export(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    refuse_to_replace([args.file], args.overwrite, "name another file")
    value = call(args, console, "export_style", {"name": args.name, "file": str(args.file.absolute())})
    console.say(f"{args.file}: {value['bytes']:,} bytes.")
    return value


def run_derive(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    params = {"generator": args.generator, "parent": args.parent, "name": args.name or args.generator}
    value = call(args, console, "derive_style", params | {"overwrite": args.overwrite})
    style = value["style"]
    console.say(
        f"The style {style['name']!r} turns {args.parent!r} into {args.generator!r} ({style['bytes']:,} bytes)."
    )
    return value
