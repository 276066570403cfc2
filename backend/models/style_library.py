"""The user's styles: a folder of style files, each with the snapshots of its run beside it.

    <root>/styles/NAME.safetensors
    <root>/styles/NAME.snapshots.safetensors

A style is named by reference: "mossy", or "mossy@75" as it was after 75 iterations (`reference`). Files may come and
go beside a running backend; one that cannot be read is listed as broken and stops nobody.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from ..adaptation import snapshots as shots
from ..adaptation.style import THUMBNAIL, Style, delta_shapes, without_mapper
from ..errors import AlreadyExists, BadCheckpoint, BadRequest, Damaged, NotFound
from .files import SUFFIX, Cache, Stamp, check_name, stamp, writing
from .headers import Shapes, read_header
from .integrity import moving_aside
from .memory import MODELS
from .reference import join, split
from .snapshot_index import SnapshotIndex, read_snapshots
from .style_info import StyleInfo, read_info
from .style_list import BUILTIN_STYLES, StyleEntry, list_styles, own_snapshots, read_entry, snapshots_path, style_path

if TYPE_CHECKING:
    from ..adaptation.adapt import Snapshot


class StyleLibrary:
    """The styles in one folder, which is made when first written to; and those in `builtin`, which stay as they are.

    A style of one's own hides a built-in one of the same name.
    """

    def __init__(self, folder: Path, builtin: Path = BUILTIN_STYLES) -> None:
        self.folder, self.builtin = folder, builtin
        self._lock = threading.RLock()
        self._hashes: Cache[str] = Cache(512)

    # Finding and reading

    def entries(self) -> list[StyleEntry]:
        """All styles by name, broken files among them."""
        return list_styles(self.folder, self.builtin)

    def entry(self, name: str) -> StyleEntry:
        """One style by its plain name. Raises NotFound, BadRequest."""
        path = self.path(name)
        return replace(read_entry(path), builtin=path.parent == self.builtin)

    def path(self, name: str) -> Path:
        """The file of the style with that plain name. Raises NotFound, BadRequest."""
        return style_path(self.folder, name, self.builtin)

    def has(self, name: str) -> bool:
        """Whether there is a style of that plain name, of the user's own. Raises BadRequest."""
        return (self.folder / f"{check_name(name)}{SUFFIX}").exists()

    def own_path(self, name: str) -> Path:
        """The file of a style that may be changed. Raises NotFound; BadRequest for one that came with the program."""
        path = self.path(name)
        if path.parent == self.builtin:
            raise BadRequest(f"The style {name!r} came with the program and stays as it is; make one of another name.")
        return path

    def info(self, name: str) -> StyleInfo:
        """The provenance of a style by its plain name. Raises NotFound, BadRequest, BadCheckpoint."""
        return read_info(self.path(name))

    def style(self, reference: str) -> Style:
        """Raises NotFound, BadRequest (no such name or position), BadCheckpoint."""
        name, iterations = split(reference)
        with self._lock:
            key = ("style", str(self.path(name)), reference, *self.stamps(reference))
            return MODELS.host.get(key, lambda: self._load(name, iterations), most=32)

    def stamps(self, reference: str) -> tuple[Stamp, ...]:
        """What changes when a file does that the style is read from. Raises NotFound, BadRequest."""
        name, iterations = split(reference)
        own = stamp(self.path(name))
        return (own,) if iterations is None else (own, stamp(self._beside(name)))

    def hash(self, reference: str) -> str:
        """sha256 hex of the style's file; at a position, of its snapshots and that position."""
        name, iterations = split(reference)
        with self._lock:
            return self._hashes.get((reference, *self.stamps(reference)), lambda: self._hash(name, iterations))

    def shapes(self, name: str) -> Shapes:
        """The shapes of the style's changes, from its header. Raises as `style` does."""
        path = self.path(name)
        shapes = dict(read_header(path).shapes)
        shapes.pop(THUMBNAIL, None)
        try:
            return delta_shapes(without_mapper(shapes))
        except (KeyError, ValueError) as error:
            raise BadCheckpoint(f"The style file {path.name} holds half a low-rank change; train it again.") from error

    def snapshots(self, name: str) -> SnapshotIndex:
        """The snapshots of a style. Raises NotFound where none were kept; BadCheckpoint (of a newer version),
        BadRequest."""
        index = own_snapshots(self.path(name), self.info(name))
        if index is None:
            with contextlib.suppress(Damaged, OSError):
                read_snapshots(self._beside(name))
            raise NotFound(f"No snapshots of the style {name!r} are kept; there is only the style itself.")
        return index

    def training(self, name: str) -> tuple[dict[int, dict[str, Tensor]], dict[str, Tensor], SnapshotIndex]:
        """(tensors of each snapshot, the trainer's state, the index): what a run that goes on begins with."""
        index, path = self.snapshots(name), self._beside(name)
        with moving_aside(path, self.folder):
            return shots.load_snapshots(path), shots.load_state(path), index

    # Changing

    def add(
        self,
        style: Style,
        snapshots: Sequence[Snapshot] = (),
        *,
        overwrite: bool = False,
        history: Mapping[str, Sequence[float]] | None = None,
        state: Mapping[str, Tensor] | None = None,
    ) -> Path:
        """Save `style`, and the snapshots of its run, under the name in its provenance.

        history, state  see `snapshots.saving_snapshots`
        Raises  AlreadyExists, BadRequest, CannotWrite
        """
        name, path = style.info.name, self._new_path(style.info.name, overwrite)
        beside = self._beside(name)
        info = style.info

        def save() -> None:
            # Both are on the disk before either takes its name: a full disk takes neither the old style nor its
            # snapshots. The style, entered first, appears last: until it is there, nobody takes new snapshots for the
            # old style's (`run` differs).
            with contextlib.ExitStack() as files:
                files.enter_context(style.saving(path))
                if snapshots:
                    kept = shots.saving_snapshots(
                        beside, info.run, snapshots, chosen=info.iterations, history=history, state=state
                    )
                    files.enter_context(kept)

        writing(path, save)
        if not snapshots:
            writing(beside, lambda: beside.unlink(missing_ok=True))
        return path

    def delete(self, name: str) -> None:
        path, beside = self.own_path(name), self._beside(name)
        writing(path, path.unlink)
        writing(beside, lambda: beside.unlink(missing_ok=True))

    def rename(self, old: str, new: str) -> Path:
        """Give the style `old` the name `new`, in its file too. Raises AlreadyExists, NotFound, BadRequest."""
        source = self.own_path(old)
        if self.has(new):
            raise AlreadyExists(
                f"There is a style called {new!r} already; choose another name, or delete that one first."
            )
        target = self._new_path(new, overwrite=True)
        style = self.style(old).renamed(new)
        beside, there = self._beside(old), self._beside(new)
        writing(target, lambda: style.save(target))
        if beside.exists():
            writing(there, lambda: beside.replace(there))
        else:
            writing(there, lambda: there.unlink(missing_ok=True))
        writing(source, source.unlink)
        return target

    def rewrite(self, style: Style) -> None:
        """Save a style that is there, with something added; its snapshots stay. Raises NotFound, CannotWrite."""
        path = self.own_path(style.info.name)
        writing(path, lambda: style.save(path))

    def choose(self, name: str, iterations: float, thumbnail: np.ndarray | None = None) -> Style:
        """Make the style what it was at a position of its run. Its snapshots stay, so every choice can be undone.

        thumbnail  of the new state; None = the old one stays
        Raises     NotFound, BadRequest, CannotWrite
        """
        old, chosen = self.style(name), self.style(join(name, iterations))
        style = replace(chosen, thumbnail=old.thumbnail if thumbnail is None else thumbnail)
        self.rewrite(style)
        return style

    # Inside

    def _beside(self, name: str) -> Path:
        return snapshots_path(self.folder / f"{check_name(name)}{SUFFIX}")

    def _new_path(self, name: str, overwrite: bool) -> Path:
        path = self.folder / f"{check_name(name)}{SUFFIX}"
        if path.exists() and not overwrite:
            raise AlreadyExists(
                f"There is a style called {name!r} already; choose another name or ask to overwrite it."
            )
        writing(path, lambda: path.parent.mkdir(parents=True, exist_ok=True))
        return path

    def _load(self, name: str, iterations: float | None) -> Style:
        path = self.path(name)
        with moving_aside(path, self.folder):
            style = Style.load(path)
        if iterations is None:
            return style
        self.snapshots(name)  # proves that there are some, of this style's own run
        tensors, measures = shots.load_position(self._beside(name), iterations)
        taken = int(iterations) if iterations.is_integer() else iterations
        return replace(style, info=replace(style.info, iterations=taken, measures=measures), tensors=tensors)

    def _hash(self, name: str, iterations: float | None) -> str:
        if iterations is None:
            return hashlib.sha256(self.path(name).read_bytes()).hexdigest()
        digest = hashlib.sha256(self._beside(name).read_bytes())
        digest.update(join("", iterations).encode())
        return digest.hexdigest()
