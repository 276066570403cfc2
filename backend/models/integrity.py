"""The store's files after a crash, a full disk or a bad sector: what is damaged is named and moved aside.

    <root>/damaged/styles/NAME.safetensors     the file as it was found; .txt beside it says why

At the start of a service every file's header is looked at (milliseconds); a file whose numbers turn out to be others
than were written goes the same way when it is loaded. Nothing is deleted, the name is free again, and all other files
are usable. Files that are no models of ours, or of a newer version, stay where they are: they are not damaged.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from ...stylegan2.checkpoints.native import read_header as read_generator_header
from ...stylegan2.errors import CheckpointError, TruncatedCheckpoint
from ..errors import BadCheckpoint, Damaged
from ..textures.kept import read_kept_info
from .files import listed
from .snapshot_index import read_snapshots
from .style_info import read_info

log = logging.getLogger(__name__)

DAMAGED = "damaged"
_LEFT_OVER = re.compile(r"\..+\.(?:(?P<pid>[0-9]{1,7})|[0-9a-f]{8})\.part(?:ial)?")
"""A file that was being written: its writer's process number, or a random name."""
OLD_S = 86_400.0


def tidy(root: Path) -> list[str]:
    """Look at all files of the store: move aside what is damaged, remove what killed writers left. A sentence each."""
    told: list[str] = []
    for kind, look in LOOKS.items():
        folder = root / kind
        for path in (*listed(folder), *(sorted(folder.glob("*.snapshots.safetensors")) if kind == "styles" else ())):
            try:
                (read_snapshots if path.stem.endswith(".snapshots") else look)(path)
            except (Damaged, TruncatedCheckpoint) as error:
                told.append(aside(path, str(error)))
            except (BadCheckpoint, CheckpointError, OSError):
                pass  # foreign, newer or not to be read: lists say so
        _sweep(folder)
    return [sentence for sentence in told if sentence]


def aside(path: Path, why: str) -> str:
    """Move a damaged file of the store to <root>/damaged; a sentence that says so, "" where it could not be moved."""
    folder = path.parent.parent / DAMAGED / path.parent.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        there = next(p for p in _names(folder / path.name) if not p.exists())
        path.rename(there)
        there.with_suffix(".txt").write_text(f"{why}\n", encoding="utf-8")
    except OSError as error:
        log.warning("%s is damaged and cannot be moved aside: %s", path, error)
        return ""
    sentence = f"{path.parent.name}/{path.name} was damaged and has been moved to {there}: {why}"
    log.warning("%s", sentence)
    return sentence


@contextlib.contextmanager
def moving_aside(path: Path, folder: Path) -> Iterator[None]:
    """While `path` is loaded: if it turns out damaged, and lies in the store's own `folder`, move it aside."""
    try:
        yield
    except Damaged as error:
        if path.parent != folder or not aside(path, str(error)):
            raise
        raise Damaged(f"{error} It has been moved to the folder {DAMAGED!r} of the data folder.") from error


def _names(path: Path) -> Iterator[Path]:
    yield path
    number = 1
    while True:
        number += 1
        yield path.with_name(f"{path.stem}-{number}{path.suffix}")


def _sweep(folder: Path) -> None:
    """Remove hidden files whose writer has ended. Of those that do not name it, only what is a day old."""
    for path in folder.glob(".*"):
        found = _LEFT_OVER.fullmatch(path.name)
        with contextlib.suppress(OSError):
            if found and (_has_ended(int(found["pid"])) if found["pid"] else _is_old(path)):
                path.unlink()


def _has_ended(pid: int) -> bool:
    if os.name == "nt":  # where asking would end it
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def _is_old(path: Path) -> bool:
    return time.time() - path.stat().st_mtime > OLD_S


LOOKS: dict[str, Callable[[Path], object]] = {
    "generators": read_generator_header,
    "styles": read_info,
    "kept": read_kept_info,
}
