"""`latent-loom models`: generators, CLIPs, the words that a CLIP knows; `latent-loom seeds`: which seeds show what."""

from __future__ import annotations

import argparse
import textwrap
from typing import Any

from . import values
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
    parser = commands.add_parser("seeds", help="list seeds that show one kind of picture, such as brick")
    parser.add_argument("--kind", required=True, metavar="NAME", help="one of the kinds that `models` tells")
    parser.add_argument("--generator", default="builtin", metavar="NAME", help="default: builtin")
    parser.add_argument("--count", type=values.count, default=16, metavar="N", help="how many (default: 16)")
    parser.add_argument("--start", type=int, default=0, metavar="SEED", help="the first that may be among them")
    add_common(parser)
    parser.set_defaults(run=run_seeds)


def run_models(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    if args.words:
        return show_words(args, console)
    value = call(args, console, "models", {})
    for generator in value["generators"]:
        console.say(
            f"{generator['name']:<24} generator  {generator['resolution']:>5} px  "
            f"{generator['parameters']:>12,} parameters{'  built-in' if generator['builtin'] else ''}"
        )
        if generator["classes"]:
            console.say(f"  classes: 0 to {generator['classes'] - 1}; choose with --class N")
        if generator["kinds"]:
            told = f"seeds show: {', '.join(generator['kinds'])}"
            console.say(textwrap.fill(told, width=100, initial_indent="  ", subsequent_indent="    "))
    for clip in value["clips"]:
        console.say(f"{clip['name']:<24} CLIP{'  built-in' if clip['builtin'] else ''}")
    return value


def run_seeds(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    """Seeds as `--seeds` takes them: latent-loom generate --seeds "$(latent-loom seeds --kind brick)" ..."""
    wanted = {name: getattr(args, name) for name in ("kind", "generator", "count", "start")}
    value = call(args, console, "seeds", wanted)
    console.say(",".join(str(seed) for seed in value["seeds"]))
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
