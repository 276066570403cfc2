"""`latent-loom`: the parser of every command, and the one place where an error becomes a sentence and an exit code.

Exit codes: 0 done, 1 failed (one sentence on standard error says what to do), 2 wrong usage, 130 interrupted with
everything finished so far kept. Nothing here imports torch: help, usage errors and lists answer at once.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import sys
from collections.abc import Sequence

from . import (
    adapt,
    batch,
    bench,
    checkpoints,
    demo,
    doctor,
    keys,
    library,
    listing,
    project,
    serve,
    styles,
    textures,
    top,
    train,
)
from .console import Console, UnfinishedError
from .crash import explain
from .options import Parser, UsageError

FAILED, WRONG_USAGE, INTERRUPTED = 1, 2, 130
COMMANDS = (
    demo,
    serve,
    top,
    keys,
    adapt,
    textures,
    batch,
    library,
    project,
    checkpoints,
    listing,
    styles,
    train,
    bench,
    doctor,
)  # in the order of `--help`


def build_parser() -> Parser:
    """The whole command line. Each command's module adds its own part and names the function that runs it."""
    parser = Parser(prog="latent-loom", description="Adapt a StyleGAN2 texture generator by text, and use it.")
    parser.add_argument(
        "--version", action="version", version=f"latent-loom {importlib.metadata.version('latent-loom')}"
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for module in COMMANDS:
        module.add(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line; returns its exit code."""
    argv = sys.argv[1:] if argv is None else list(argv)
    console = Console(as_json="--json" in argv)
    args = argparse.Namespace()
    try:
        args = build_parser().parse_args(argv)
        console.finish(args.run(args, console))
        sys.stdout.flush()
    except UsageError as error:
        return _fail(console, WRONG_USAGE, "usage", f"{error.prog}: {_sentence(error)} See {error.prog} --help.")
    except UnfinishedError as error:
        console.complain(str(error))
        console.finish(error.value)
        return FAILED
    except BrokenPipeError:
        # The reader went away (`latent-loom styles | head -1`); Python would complain again while it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except (Exception, KeyboardInterrupt) as error:  # the boundary: whatever happened, the user reads one sentence
        told = explain(error, getattr(args, "data", None))
        return _fail(console, INTERRUPTED if told.code == "cancelled" else FAILED, told.code, str(told))
    return 0


def _fail(console: Console, exit_code: int, code: str, sentence: str) -> int:
    console.complain(sentence)
    console.finish({"error": {"code": code, "message": sentence}})
    return exit_code


def _sentence(error: UsageError) -> str:
    """argparse's message ("the following arguments are required: --out") as a sentence."""
    text = str(error).removeprefix("argument ")
    return text if text.endswith((".", "?", "!")) else f"{text}."


if __name__ == "__main__":
    sys.exit(main())
