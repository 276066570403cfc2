"""`latent-loom models | styles`: what there is, and the styles' names."""

from __future__ import annotations

import argparse
import textwrap
from typing import Any

from ...protocol.data_folder import data_folder
from ..errors import not_found
from ..models.style_list import list_styles as read_styles
from ..service.handlers.entries import style_value
from . import mine
from .console import Console
from .inprocess import call, open_store
from .options import add_common


def add(commands) -> None:
    parser = commands.add_parser("models", help="list the generators and CLIPs, or the words that a CLIP knows")
    parser.add_argument(
        "--words",
        nargs="?",
        const="builtin",
        metavar="CLIP",
        help="list the words of a built-in CLIP (default: builtin)",
    )
    add_common(parser)
    parser.set_defaults(run=run_models)

    parser = commands.add_parser("styles", help="list, show, rename or delete styles")
    add_common(parser)
    parser.set_defaults(run=run_list)
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    for name, run, names, help_line in (
        ("list", run_list, (), "list the styles (what `styles` alone does)"),
        ("show", run_show, ("name",), "everything that is known of one style"),
        ("rename", run_rename, ("name", "new_name"), "give a style another name"),
        ("delete", run_delete, ("name",), "delete a style"),
    ):
        action = actions.add_parser(name, help=help_line)
        for argument in names:
            action.add_argument(argument, metavar=argument.upper())
        add_common(action, repeated=True)
        action.set_defaults(run=run)
    mine.add(actions)


def run_models(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    if args.words:
        return show_words(args.words, console)
    value = call(args, console, "models", {})
    for generator in value["generators"]:
        console.say(
            f"{generator['name']:<24} generator  {generator['resolution']:>5} px  "
            f"{generator['parameters']:>12,} parameters{'  built-in' if generator['builtin'] else ''}"
        )
    for clip in value["clips"]:
        console.say(f"{clip['name']:<24} CLIP{'  built-in' if clip['builtin'] else ''}")
    return value


def show_words(name: str, console: Console) -> dict[str, Any]:
    """The words that a CLIP with a word list of its own was taught."""
    from ..adaptation.clip import WordTokenizer, load_clip

    tokenizer = load_clip(name).tokenizer
    if not isinstance(tokenizer, WordTokenizer):
        console.say(f"The CLIP {name!r} reads any English text.")
        return {"clip": name, "words": None}
    words = sorted(tokenizer.words)
    console.say(textwrap.fill(", ".join(words), width=100))
    return {"clip": name, "words": words}


def run_list(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    value = {"styles": list_styles(args)}
    for style in value["styles"]:
        if style.get("broken"):
            console.say(f"{style['name']:<24} cannot be read: {style['broken']}")
        else:
            console.say(f"{style['name']:<24} {style['source']} -> {style['target']}  ({style['method']})")
    if not value["styles"]:
        console.say('There are no styles yet; make one: latent-loom adapt --source "stone" --target "mossy stone"')
    return value


def list_styles(args: argparse.Namespace) -> list[dict[str, Any]]:
    """What the request `styles` answers, without PyTorch."""
    return [style_value(entry) for entry in read_styles((args.data or data_folder()) / "styles")]


def run_show(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    styles = {style["name"]: style for style in list_styles(args)}
    if args.name not in styles:
        raise not_found("style", args.name, styles, "List them with: latent-loom styles")
    style = styles[args.name]
    for field, entry in style.items():
        console.say(f"{field:<12} {entry}")
    return {"style": style}


def run_rename(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    open_store(args).rename_style(args.name, args.new_name)
    console.say(f"The style {args.name!r} is now called {args.new_name!r}.")
    return {"name": args.new_name}


def run_delete(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    call(args, console, "delete_style", {"name": args.name})
    console.say(f"The style {args.name!r} is deleted.")
    return {"deleted": args.name}
