"""Where generators, styles and kept textures live: the built-in generator, and folders of safetensors files.

    <root>/generators/NAME.safetensors
    <root>/styles/NAME.safetensors
    <root>/kept/NAME.safetensors

The folders are read anew at each call, so files may be added or removed beside a running backend. A file that cannot
be read is listed as broken and stops nobody. Loaded models are kept while their file stays as it is, as far as there is
room (`memory`); they are shared, so nobody may change their weights (`blend` and `adapt` work on copies).
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ...protocol.data_folder import data_folder
from ...stylegan2.checkpoints.hashing import generator_hash
from ...stylegan2.checkpoints.native import Header, load_generator, read_header, save_generator
from ...stylegan2.directions import Directions, sefa
from ...stylegan2.errors import CheckpointError, TruncatedCheckpoint
from ...stylegan2.networks import Generator
from ..adaptation.style import Style, blend
from ..errors import AlreadyExists, BadCheckpoint, BadRequest, Damaged, NotFound, not_found
from . import headers
from .files import SUFFIX, Cache, check_name, listed, sentence, stamp, writing
from .headers import Shapes
from .integrity import moving_aside
from .kept_library import KeptEntry, KeptLibrary
from .kinds import kind_names
from .memory import MODELS, nbytes_of
from .reference import join
from .style_library import StyleEntry, StyleLibrary

if TYPE_CHECKING:
    from ..adaptation.adapt import Snapshot
    from ..textures.kept import KeptTexture

__all__ = ["BUILTIN", "GeneratorEntry", "Store", "StyleEntry", "StyleLibrary", "check_name"]

BUILTIN = "builtin"
BUILTIN_FILE = Path(__file__).parent / "builtin" / "generator.safetensors"
HASH_KEY = "hash"
"""Metadata key under which a generator's hash is kept, so that listing need not read whole files."""


@dataclass(frozen=True, kw_only=True)
class GeneratorEntry:
    """One generator on disk; `broken` says in a sentence why it cannot be used (then the rest is empty).

    kinds    names of the kinds of picture that its seeds fall into (`latents.kind_of`); () = it knows none
    classes  of a conditional generator; 0 = it has none
    """

    name: str
    path: Path
    bytes: int
    builtin: bool = False
    resolution: int = 0
    parameters: int = 0
    tile: str = "none"
    hash: str = ""
    kinds: tuple[str, ...] = ()
    classes: int = 0
    broken: str | None = None


class Store:
    """The generators and styles of one user.

    root     folder of the user's own; None = the platform's user-data folder. Made when first written to
    builtin  file of the generator that is called "builtin"; the built-in styles lie beside it, in styles/
    device   where loaded generators live
    """

    def __init__(
        self, root: Path | str | None = None, *, builtin: Path = BUILTIN_FILE, device: torch.device | str = "cpu"
    ) -> None:
        self.root = Path(root).expanduser() if root is not None else data_folder()
        self.builtin = builtin
        self.device = torch.device(device)
        self.library = StyleLibrary(self.root / "styles", builtin.parent / "styles")
        self.textures = KeptLibrary(self.root / "kept")
        self._lock = threading.RLock()
        self._hashes: Cache[str] = Cache(512)
        self._shapes: Cache[Shapes] = Cache(64)

    # Generators

    def generators(self) -> list[GeneratorEntry]:
        """The built-in one first, then the user's by name."""
        found = [(BUILTIN, self.builtin)] if self.builtin.exists() else []
        found += [(p.stem, p) for p in listed(self.root / "generators") if p.stem != BUILTIN]
        return [self._generator_entry(name, path) for name, path in found]

    def generator(self, name: str = BUILTIN) -> Generator:
        """The generator called `name`, loaded once; do not change its weights.

        Raises  NotFound, BadRequest, BadCheckpoint
        """
        path = self.generator_path(name)
        with self._lock:
            size = path.stat().st_size

            def load() -> Generator:
                MODELS.make_sure(self.device, size, f"Loading the generator {name!r}")
                return self._load_generator(path)

            key = ("generator", str(self.device), str(path), *stamp(path))
            return MODELS.device.get(key, load, expected=size)

    def directions(self, name: str = BUILTIN, layers: tuple[int, ...] | None = None) -> Directions:
        """The edit directions of the generator called `name`, by all or some of its layers; found once."""
        generator = self.generator(name)
        path = self.generator_path(name)
        key = ("directions", str(self.device), str(path), *stamp(path), layers)
        with self._lock:
            return MODELS.device.get(key, lambda: sefa(generator, layers=layers), most=16)

    def check_new_generator(self, name: str, *, overwrite: bool = False) -> None:
        """Raise what `add_generator` would for this name, before the work."""
        self._new_path(name, overwrite)

    def add_generator(
        self, generator: Generator, name: str, *, overwrite: bool = False, metadata: dict[str, str] | None = None
    ) -> GeneratorEntry:
        """Save `generator` as `name`. Raises AlreadyExists, BadRequest, CannotWrite."""
        path = self._new_path(name, overwrite)
        about = {**(metadata or {}), HASH_KEY: generator_hash(generator)}
        writing(path, lambda: save_generator(generator, path, metadata=about))
        return self._generator_entry(name, path)

    def delete_generator(self, name: str) -> None:
        if name == BUILTIN:
            raise BadRequest("The built-in generator cannot be deleted; it is part of the program.")
        path = self.generator_path(name)
        writing(path, path.unlink)

    def generator_path(self, name: str) -> Path:
        """The file of the generator called `name`. Raises NotFound, BadRequest."""
        if name == BUILTIN:
            if not self.builtin.exists():
                raise NotFound("The built-in generator is missing from this installation; install Latent Loom again.")
            return self.builtin
        path = self.root / "generators" / f"{check_name(name)}{SUFFIX}"
        if not path.is_file():
            known = [BUILTIN, *(p.stem for p in listed(self.root / "generators"))]
            raise not_found("generator", name, known, "More are added by `latent-loom import`.")
        return path

    def generator_hash(self, name: str) -> str:
        """sha256 hex of the weights of the generator called `name`."""
        path = self.generator_path(name)
        with self._lock:
            return self._hashes.get((name, *stamp(path)), lambda: self._hash_generator(name, path))

    def generator_shapes(self, name: str) -> Shapes:
        """The shapes of its tensors, from the file's header. Raises NotFound, BadRequest, BadCheckpoint."""
        path = self.generator_path(name)
        with self._lock:
            return self._shapes.get((name, *stamp(path)), lambda: headers.read_header(path).shapes)

    def generator_header(self, name: str) -> Header:
        """What its file says about itself. Raises NotFound, BadRequest, BadCheckpoint."""
        try:
            return read_header(self.generator_path(name))
        except CheckpointError as error:
            raise BadCheckpoint(str(error)) from error

    # Styles

    def styles(self) -> list[StyleEntry]:
        """All styles by name, broken files among them."""
        return self.library.entries()

    def style(self, name: str, iterations: float | None = None) -> Style:
        """The style called `name` ("mossy", "mossy@75"), or what it was after some iterations.

        Raises  NotFound, BadRequest, BadCheckpoint
        """
        return self.library.style(name if iterations is None else join(name, iterations))

    def add_style(self, style: Style, snapshots: Sequence[Snapshot] = (), *, overwrite: bool = False) -> Path:
        """Save `style` under the name in its provenance. Raises AlreadyExists, BadRequest, CannotWrite."""
        return self.library.add(style, snapshots, overwrite=overwrite)

    def delete_style(self, name: str) -> None:
        self.library.delete(name)

    def rename_style(self, old: str, new: str) -> Path:
        return self.library.rename(old, new)

    def style_hash(self, name: str) -> str:
        """sha256 hex of the style's file."""
        return self.library.hash(name)

    # Kept textures

    def kept(self) -> list[KeptEntry]:
        """All kept textures by name, broken files among them."""
        return self.textures.entries()

    def keep(self, texture: KeptTexture, *, overwrite: bool = False) -> Path:
        """Save `texture` under the name in its provenance. Raises AlreadyExists, BadRequest, CannotWrite."""
        return self.textures.add(texture, overwrite=overwrite)

    def kept_texture(self, name: str, generator: str) -> KeptTexture:
        """The kept texture `name`, for use with that generator or its styles.

        Raises  NotFound, BadCheckpoint; BadRequest where it was kept from another generator
        """
        texture = self.textures.texture(name)
        texture.check_fits(self.generator(generator), self.generator_hash(generator))
        return texture

    # All

    def styled(self, generator: str, styles: Sequence[tuple[str, float]] = (), mine: float = 0.0) -> Generator:
        """The generator with styles folded in; strengths of 0 change nothing. Do not change its weights.

        mine    how far the styles' mappers move its samples (`adaptation.mapper`)

        Raises  NotFound; BadRequest where a style was made for a generator of other shapes
        """
        base = self.generator(generator)
        active = [(name, float(strength)) for name, strength in styles if strength != 0]
        loaded = [(self.style(name), strength) for name, strength in active]
        for name, strength in styles:
            if strength == 0:
                self.library.stamps(name)  # a misspelt name is told at strength 0 too
        if mine:
            from ..adaptation.mapper import mined

            return mined(self.styled(generator, styles), loaded, mine)
        if not active:
            return base
        stamps = tuple((name, strength, *self.library.stamps(name)) for name, strength in active)
        path, size = self.generator_path(generator), nbytes_of(base)
        key = ("styled", str(self.device), str(path), *stamp(path), str(self.root), stamps)

        def fold() -> Generator:
            MODELS.make_sure(self.device, size, f"A copy of the generator {generator!r} with its styles")
            return blend(base, loaded)

        with self._lock:
            return MODELS.device.get(key, fold, expected=size)

    def origin(self, generator: str, styles: Sequence[tuple[str, float]] = ()) -> dict[str, Any]:
        """What a picture of this generator and these styles comes from, for provenance: names, strengths, hashes."""
        return {
            "generator": generator,
            "generator_hash": self.generator_hash(generator),
            "styles": [[name, float(strength), self.style_hash(name)] for name, strength in styles if strength != 0],
        }

    # Inside

    def _new_path(self, name: str, overwrite: bool) -> Path:
        path = self.root / "generators" / f"{check_name(name)}{SUFFIX}"
        if name == BUILTIN:
            raise BadRequest(f"{BUILTIN!r} is the name of the built-in generator; choose another name.")
        if path.exists() and not overwrite:
            raise AlreadyExists(
                f"There is a generator called {name!r} already; choose another name or ask to overwrite it."
            )
        writing(path, lambda: path.parent.mkdir(parents=True, exist_ok=True))
        return path

    def _load_generator(self, path: Path) -> Generator:
        with moving_aside(path, self.root / "generators"):
            try:
                generator, header = load_generator(path), read_header(path)
            except TruncatedCheckpoint as error:
                raise Damaged(str(error)) from error
            except CheckpointError as error:
                raise BadCheckpoint(str(error)) from error
            wanted = header.metadata.get(HASH_KEY)
            if wanted is not None and generator_hash(generator) != wanted:
                raise Damaged(f"The generator {path.name} is damaged: its numbers are not those that were written.")
            generator.kind_names = tuple(name for name in kind_names(header) if not name.isdigit())
        return generator.to(self.device).eval()

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
                kinds=kind_names(header),
                classes=header.config.c_dim,
            )
        except (CheckpointError, BadCheckpoint, NotFound, OSError) as error:
            return GeneratorEntry(**{"bytes": 0, **common}, broken=sentence(error))

    def _hash_generator(self, name: str, path: Path) -> str:
        try:
            kept = read_header(path).metadata.get(HASH_KEY)
        except CheckpointError as error:
            raise BadCheckpoint(str(error)) from error
        return kept or generator_hash(self.generator(name))
