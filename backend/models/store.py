"""Where generators and styles live: the built-in generator, and two folders of safetensors files.

    <root>/generators/NAME.safetensors
    <root>/styles/NAME.safetensors

The folders are read anew at each call, so files may be added or removed beside a running backend. A file that cannot
be read is listed as broken and stops nobody. Loaded models are kept while their file stays as it is; they are shared,
so nobody may change their weights (`blend` and `adapt` work on copies).
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch

from ...protocol.data_folder import data_folder
from ...stylegan2.checkpoints.hashing import generator_hash
from ...stylegan2.checkpoints.native import Header, load_generator, read_header, save_generator
from ...stylegan2.errors import CheckpointError
from ...stylegan2.networks import Generator
from ..adaptation.style import Style, StyleInfo, blend
from ..errors import AlreadyExists, BadCheckpoint, BadRequest, CannotWrite, NotFound, not_found

BUILTIN = "builtin"
BUILTIN_FILE = Path(__file__).parent / "builtin" / "generator.safetensors"
SUFFIX = ".safetensors"
HASH_KEY = "hash"
"""Metadata key under which a generator's hash is kept, so that listing need not read whole files."""

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class GeneratorEntry:
    """One generator on disk; `broken` says in a sentence why it cannot be used (then the rest is empty)."""

    name: str
    path: Path
    bytes: int
    builtin: bool = False
    resolution: int = 0
    parameters: int = 0
    tile: str = "none"
    hash: str = ""
    broken: str | None = None


@dataclass(frozen=True, kw_only=True)
class StyleEntry:
    """One style on disk; where it is `broken`, `info` is None and `broken` says why in a sentence."""

    name: str
    path: Path
    bytes: int
    info: StyleInfo | None = None
    broken: str | None = None


def check_name(name: str) -> str:
    """`name` if it may name a generator or style, else BadRequest with the rule."""
    if not _NAME.fullmatch(name):
        raise BadRequest(
            f"{name!r} is not a name; use 1 to 64 small letters, digits, '-' and '_', beginning with a letter or digit."
        )
    return name


class Store:
    """The generators and styles of one user.

    root     folder of the user's own; None = the platform's user-data folder. Made when first written to
    builtin  file of the generator that is called "builtin"
    device   where loaded generators live
    """

    def __init__(
        self, root: Path | str | None = None, *, builtin: Path = BUILTIN_FILE, device: torch.device | str = "cpu"
    ) -> None:
        self.root = Path(root).expanduser() if root is not None else data_folder()
        self.builtin = builtin
        self.device = torch.device(device)
        self._lock = threading.RLock()
        self._generators: _Cache[Generator] = _Cache(3)
        self._styles: _Cache[Style] = _Cache(32)
        self._styled: _Cache[Generator] = _Cache(3)
        self._hashes: _Cache[str] = _Cache(512)

    # Generators

    def generators(self) -> list[GeneratorEntry]:
        """The built-in one first, then the user's by name."""
        found = [(BUILTIN, self.builtin)] if self.builtin.exists() else []
        found += [(p.stem, p) for p in self._files("generators") if p.stem != BUILTIN]
        return [self._generator_entry(name, path) for name, path in found]

    def generator(self, name: str = BUILTIN) -> Generator:
        """The generator called `name`, loaded once; do not change its weights.

        Raises  NotFound, BadRequest, BadCheckpoint
        """
        path = self._generator_path(name)
        with self._lock:
            return self._generators.get((name, *_stamp(path)), lambda: self._load_generator(path))

    def add_generator(
        self, generator: Generator, name: str, *, overwrite: bool = False, metadata: dict[str, str] | None = None
    ) -> GeneratorEntry:
        """Save `generator` as `name`. Raises AlreadyExists, BadRequest, CannotWrite."""
        path = self._new_path("generators", name, overwrite)
        about = {**(metadata or {}), HASH_KEY: generator_hash(generator)}
        _writing(path, lambda: save_generator(generator, path, metadata=about))
        return self._generator_entry(name, path)

    def delete_generator(self, name: str) -> None:
        if name == BUILTIN:
            raise BadRequest("The built-in generator cannot be deleted; it is part of the program.")
        path = self._generator_path(name)
        _writing(path, path.unlink)

    def generator_hash(self, name: str) -> str:
        """sha256 hex of the weights of the generator called `name`."""
        path = self._generator_path(name)
        with self._lock:
            return self._hashes.get((name, *_stamp(path)), lambda: self._hash_generator(name, path))

    # Styles

    def styles(self) -> list[StyleEntry]:
        """All styles by name, broken files among them."""
        return list(self._style_entries())

    def style(self, name: str) -> Style:
        """The style called `name`. Raises NotFound, BadRequest, BadCheckpoint."""
        path = self._style_path(name)
        with self._lock:
            return self._styles.get((name, *_stamp(path)), lambda: Style.load(path))

    def add_style(self, style: Style, *, overwrite: bool = False) -> Path:
        """Save `style` under the name in its provenance. Raises AlreadyExists, BadRequest, CannotWrite."""
        path = self._new_path("styles", style.info.name, overwrite)
        _writing(path, lambda: style.save(path))
        return path

    def delete_style(self, name: str) -> None:
        path = self._style_path(name)
        _writing(path, path.unlink)

    def rename_style(self, old: str, new: str) -> Path:
        """Give the style `old` the name `new`, in its file too. Raises AlreadyExists, NotFound, BadRequest."""
        source = self._style_path(old)
        target = self._new_path("styles", new, overwrite=False)
        style = self.style(old).renamed(new)
        _writing(target, lambda: style.save(target))
        _writing(source, source.unlink)
        return target

    def style_hash(self, name: str) -> str:
        """sha256 hex of the style's file."""
        path = self._style_path(name)
        with self._lock:
            return self._hashes.get(
                ("style", name, *_stamp(path)), lambda: hashlib.sha256(path.read_bytes()).hexdigest()
            )

    # Both

    def styled(self, generator: str, styles: Sequence[tuple[str, float]] = ()) -> Generator:
        """The generator with styles folded in; strengths of 0 change nothing. Do not change its weights.

        Raises  NotFound; BadRequest where a style was made for a generator of other shapes
        """
        base = self.generator(generator)
        active = [(name, float(strength)) for name, strength in styles if strength != 0]
        loaded = [(self.style(name), strength) for name, strength in active]
        for name, strength in styles:
            if strength == 0:
                self._style_path(name)  # a misspelt name is told at strength 0 too
        if not active:
            return base
        stamps = tuple((name, strength, *_stamp(self._style_path(name))) for name, strength in active)
        key = (generator, *_stamp(self._generator_path(generator)), stamps)
        with self._lock:
            return self._styled.get(key, lambda: blend(base, loaded))

    def origin(self, generator: str, styles: Sequence[tuple[str, float]] = ()) -> dict[str, Any]:
        """What a picture of this generator and these styles comes from, for provenance: names, strengths, hashes."""
        return {
            "generator": generator,
            "generator_hash": self.generator_hash(generator),
            "styles": [[name, float(strength), self.style_hash(name)] for name, strength in styles if strength != 0],
        }

    # Inside

    def _files(self, kind: str) -> list[Path]:
        """Files in the folder of `kind` that may hold one; others are not ours to judge."""
        folder = self.root / kind
        try:
            return sorted(p for p in folder.glob(f"*{SUFFIX}") if _NAME.fullmatch(p.stem))
        except OSError:
            return []

    def _generator_path(self, name: str) -> Path:
        if name == BUILTIN:
            if not self.builtin.exists():
                raise NotFound("The built-in generator is missing from this installation; install Latent Loom again.")
            return self.builtin
        path = self.root / "generators" / f"{check_name(name)}{SUFFIX}"
        if not path.is_file():
            known = [BUILTIN, *(p.stem for p in self._files("generators"))]
            raise not_found("generator", name, known, "More are added by `latent-loom import`.")
        return path

    def _style_path(self, name: str) -> Path:
        path = self.root / "styles" / f"{check_name(name)}{SUFFIX}"
        if not path.is_file():
            known = [p.stem for p in self._files("styles")]
            raise not_found("style", name, known, "Styles are made by `latent-loom adapt`.")
        return path

    def _new_path(self, kind: str, name: str, overwrite: bool) -> Path:
        path = self.root / kind / f"{check_name(name)}{SUFFIX}"
        if kind == "generators" and name == BUILTIN:
            raise BadRequest(f"{BUILTIN!r} is the name of the built-in generator; choose another name.")
        if path.exists() and not overwrite:
            raise AlreadyExists(
                f"There is a {kind[:-1]} called {name!r} already; choose another name or ask to overwrite it."
            )
        _writing(path, lambda: path.parent.mkdir(parents=True, exist_ok=True))
        return path

    def _load_generator(self, path: Path) -> Generator:
        try:
            return load_generator(path).to(self.device).eval()
        except CheckpointError as error:
            raise BadCheckpoint(str(error)) from error

    def _generator_entry(self, name: str, path: Path) -> GeneratorEntry:
        common: dict[str, Any] = {"name": name, "path": path, "builtin": path == self.builtin}
        try:
            common["bytes"] = path.stat().st_size
            header: Header = read_header(path)
            return GeneratorEntry(
                **common,
                resolution=header.config.resolution,
                parameters=header.parameters,
                tile=header.config.tile,
                hash=self.generator_hash(name),
            )
        except (CheckpointError, BadCheckpoint, NotFound, OSError) as error:
            return GeneratorEntry(**{"bytes": 0, **common}, broken=_sentence(error))

    def _hash_generator(self, name: str, path: Path) -> str:
        try:
            kept = read_header(path).metadata.get(HASH_KEY)
        except CheckpointError as error:
            raise BadCheckpoint(str(error)) from error
        return kept or generator_hash(self.generator(name))

    def _style_entries(self) -> Iterator[StyleEntry]:
        for path in self._files("styles"):
            size = 0
            try:
                size = path.stat().st_size
                yield StyleEntry(name=path.stem, path=path, bytes=size, info=Style.read_info(path))
            except (BadCheckpoint, OSError) as error:
                yield StyleEntry(name=path.stem, path=path, bytes=size, broken=_sentence(error))


class _Cache(Generic[T]):
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


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_mtime_ns, status.st_size


def _writing(path: Path, action: Callable[[], object]) -> None:
    try:
        action()
    except OSError as error:
        raise CannotWrite(
            f"Cannot write {path.name!r} in {str(path.parent)!r} ({error.strerror or error}); free some space or "
            "choose another data folder."
        ) from error


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"The file cannot be read ({error.strerror or error})."
    return str(error)
