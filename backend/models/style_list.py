"""The list of styles in a folder, read from their files' headers in milliseconds, without PyTorch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..errors import BadCheckpoint, not_found
from .files import SUFFIX, check_name, listed, sentence
from .snapshot_index import SnapshotIndex, read_snapshots
from .style_info import StyleInfo, read_info


@dataclass(frozen=True, kw_only=True)
class StyleEntry:
    """One style on disk; where it is `broken`, `info` is None and `broken` says why in a sentence.

    snapshots  after how many iterations it can be had too
    """

    name: str
    path: Path
    bytes: int
    info: StyleInfo | None = None
    snapshots: tuple[int, ...] = ()
    broken: str | None = None


def list_styles(folder: Path) -> list[StyleEntry]:
    """All styles in `folder` by name, broken files among them."""
    return [read_entry(path) for path in listed(folder)]


def read_entry(path: Path) -> StyleEntry:
    """The style in the file `path`."""
    size = 0
    try:
        size = path.stat().st_size
        info = read_info(path)
    except (BadCheckpoint, OSError) as error:
        return StyleEntry(name=path.stem, path=path, bytes=size, broken=sentence(error))
    index = own_snapshots(path, info)
    return StyleEntry(
        name=path.stem, path=path, bytes=size, info=info, snapshots=index.iterations if index is not None else ()
    )


def own_snapshots(path: Path, info: StyleInfo) -> SnapshotIndex | None:
    """The snapshots kept beside the style `path`, if they are readable and of that style's own run."""
    try:
        index = read_snapshots(snapshots_path(path))
    except (BadCheckpoint, OSError):
        return None
    return index if index.run == info.run else None


def style_path(folder: Path, name: str) -> Path:
    """The file of the style called `name`. Raises NotFound, BadRequest."""
    path = folder / f"{check_name(name)}{SUFFIX}"
    if not path.is_file():
        known = [p.stem for p in listed(folder)]
        raise not_found("style", name, known, "Styles are made by `latent-loom adapt`.")
    return path


def snapshots_path(path: Path) -> Path:
    """Where the snapshots of the style in the file `path` are."""
    return path.with_name(f"{path.stem}.snapshots{SUFFIX}")
