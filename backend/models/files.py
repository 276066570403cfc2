"""The folders of the store: names, lists, stamps, and errors of the disk as sentences."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

from ..errors import BadRequest, CannotWrite

SUFFIX = ".safetensors"
Stamp = tuple[int, int]
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
T = TypeVar("T")


def check_name(name: str) -> str:
    """`name` if it may name a generator or style, else BadRequest with the rule."""
    if not _NAME.fullmatch(name):
        raise BadRequest(
            f"{name!r} is not a name; use 1 to 64 small letters, digits, '-' and '_', beginning with a letter or digit."
        )
    return name


def listed(folder: Path) -> list[Path]:
    """Files in `folder` that may hold a model; others are not ours to judge."""
    try:
        return sorted(p for p in folder.glob(f"*{SUFFIX}") if _NAME.fullmatch(p.stem))
    except OSError:
        return []


def stamp(path: Path) -> Stamp:
    """Changes when the file does; (0, 0) where there is none."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return 0, 0
    return status.st_mtime_ns, status.st_size


def writing(path: Path, action: Callable[[], T], *, elsewhere: str = "data folder") -> T:
    """Do `action`; what the disk refuses becomes CannotWrite, about `path`. elsewhere: what else could be chosen."""
    try:
        return action()
    except OSError as error:
        raise CannotWrite(
            f"Cannot write {path.name!r} in {str(path.parent)!r} ({error.strerror or error}); free some space or "
            f"choose another {elsewhere}."
        ) from error


def sentence(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"The file cannot be read ({error.strerror or error})."
    return str(error)


class Cache(Generic[T]):
    """The few things used last, by key; a key holds the file's stamp, so a changed file is read anew."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.kept: OrderedDict[Any, T] = OrderedDict()

    def get(self, key: Any, make: Callable[[], T]) -> T:
        if key not in self.kept:
            self.kept[key] = make()
        self.kept.move_to_end(key)
        while len(self.kept) > self.room:
            self.kept.popitem(last=False)
        return self.kept[key]
