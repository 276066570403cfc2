"""`latent-loom models`: the generators and CLIPs, and the words that a CLIP knows."""

from __future__ import annotations

import argparse
import textwrap
from typing import Any

from .console import Console
from .inprocess import call
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


def run_models(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    if args.words:
        return show_words(args, console)
    value = call(args, console, "models", {})
    for generator in value["generators"]:
        console.say(
            f"{generator['name']:<24} generator  {generator['resolution']:>5} px  "
            f"{generator['parameters']:>12,} parameters{'  built-in' if generator['builtin'] else ''}"
        )
    for clip in value["clips"]:
        console.say(f"{clip['name']:<24} CLIP{'  built-in' if clip['builtin'] else ''}")
    return value


def show_words(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    """The words that a CLIP with a word list of its own was taught."""
    from ...protocol.data_folder import data_folder
    from ..adaptation.clip import WordTokenizer
    from ..models.clips import find_clip

    name = args.words
    tokenizer = find_clip(args.data or data_folder(), name).tokenizer
    if not isinstance(tokenizer, WordTokenizer):
        console.say(f"The CLIP {name!r} reads any English text.")
        return {"clip": name, "words": None}
    words = sorted(tokenizer.words)
    console.say(textwrap.fill(", ".join(words), width=100))
    return {"clip": name, "words": words}
