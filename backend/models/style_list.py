"""The list of styles in a folder, read from their files' headers in milliseconds, without PyTorch.

The styles that come with the program are there too, where no style of one's own has the same name.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import BadCheckpoint, not_found
from .files import SUFFIX, check_name, listed, sentence
from .snapshot_index import SnapshotIndex, read_snapshots
from .style_info import StyleInfo, read_info

BUILTIN_STYLES = Path(__file__).parent / "builtin" / "styles"


@dataclass(frozen=True, kw_only=True)
class StyleEntry:
    """One style on disk; where it is `broken`, `info` is None and `broken` says why in a sentence.

    snapshots  after how many iterations it can be had too
    builtin    it came with the program
    """

    name: str
    path: Path
    bytes: int
    info: StyleInfo | None = None
    snapshots: tuple[int, ...] = ()
    broken: str | None = None
    builtin: bool = False


def list_styles(folder: Path, builtin: Path = BUILTIN_STYLES) -> list[StyleEntry]:
    """All styles in `folder`, and those in `builtin` whose names are free, by name; broken files among them."""
    found = {path.stem: replace(read_entry(path), builtin=True) for path in listed(builtin)}
    found |= {path.stem: read_entry(path) for path in listed(folder)}
    return [found[name] for name in sorted(found)]


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


def style_path(folder: Path, name: str, builtin: Path = BUILTIN_STYLES) -> Path:
    """The file of the style called `name`, one's own before one that came with the program.

    Raises  NotFound, BadRequest
    """
    path = folder / f"{check_name(name)}{SUFFIX}"
    if not path.is_file() and (builtin / path.name).is_file():
        return builtin / path.name
    if not path.is_file():
        known = [entry.name for entry in list_styles(folder, builtin)]
        raise not_found("style", name, known, "Styles are made by `latent-loom adapt`.")
    return path


def snapshots_path(path: Path) -> Path:
    """Where the snapshots of the style in the file `path` are."""
    return path.with_name(f"{path.stem}.snapshots{SUFFIX}")
