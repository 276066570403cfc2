"""What a command would replace: without --overwrite it is refused, before the work.

The requests replace files, as they always have: a client asks again by itself what it lost the answer to.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

from ..errors import AlreadyExists


def add_overwrite(parser: argparse.ArgumentParser, what: str = "files of the same names") -> None:
    parser.add_argument("--overwrite", action="store_true", help=f"replace {what}")


def refuse_to_replace(files: Iterable[Path], overwrite: bool, instead: str) -> None:
    """Raise AlreadyExists where one of `files` is there. instead: "name another file"."""
    there = [] if overwrite else [file for file in files if file.exists() and not file.is_dir()]
    if not there:
        return
    more, first = len(there) - 1, str(there[0])
    what = f"{first!r} and {more} more file{'s' * (more > 1)} are" if more else f"{first!r} is"
    raise AlreadyExists(f"{what} there already; {instead}, or replace {'them' if more else 'it'} with --overwrite.")
