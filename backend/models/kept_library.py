"""The user's kept textures: a folder of files, `<root>/kept/NAME.safetensors`. `textures/kept.py` says what they hold.

Files may come and go beside a running backend; one that cannot be read is listed as broken and stops nobody.
"""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass
from pathlib import Path

from ..errors import AlreadyExists, BadCheckpoint, BadRequest, not_found
from ..textures.kept import KeptInfo, KeptTexture, read_kept_info
from .files import SUFFIX, Cache, check_name, listed, sentence, stamp, writing
from .integrity import moving_aside
from .memory import MODELS


@dataclass(frozen=True, kw_only=True)
class KeptEntry:
    """One kept texture on disk; where it is `broken`, `info` is None and `broken` says why in a sentence."""

    name: str
    path: Path
    bytes: int
    info: KeptInfo | None = None
    broken: str | None = None


class KeptLibrary:
    """The kept textures in one folder, which is made when first written to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.RLock()
        self._hashes: Cache[str] = Cache(256)

    def entries(self) -> list[KeptEntry]:
        """All kept textures by name, broken files among them."""
        return [_entry(path) for path in listed(self.folder)]

    def entry(self, name: str) -> KeptEntry:
        """Raises NotFound, BadRequest."""
        return _entry(self.path(name))

    def path(self, name: str) -> Path:
        """Raises NotFound, BadRequest."""
        path = self.folder / f"{check_name(name)}{SUFFIX}"
        if not path.is_file():
            known = [p.stem for p in listed(self.folder)]
            advice = "They are made by `latent-loom project`, and kept by `latent-loom generate --keep SEED=NAME`."
            raise not_found("texture", name, known, advice)
        return path

    def texture(self, name: str) -> KeptTexture:
        """Raises NotFound, BadRequest, BadCheckpoint."""
        path = self.path(name)
        with self._lock:
            key = ("texture", str(path), *stamp(path))
            return MODELS.host.get(key, lambda: self._load(path), most=16)

    def _load(self, path: Path) -> KeptTexture:
        with moving_aside(path, self.folder):
            return KeptTexture.load(path)

    def hash(self, name: str) -> str:
        """sha256 hex of the texture's file."""
        path = self.path(name)
        with self._lock:
            return self._hashes.get((name, *stamp(path)), lambda: hashlib.sha256(path.read_bytes()).hexdigest())

    def check_free(self, name: str, overwrite: bool = False) -> None:
        """Raise AlreadyExists if the name is taken and may not be given anew; BadRequest if it is no name."""
        if name.isdigit():
            raise BadRequest(f"{name!r} would be taken for a seed; choose a name with a letter in it.")
        if (self.folder / f"{check_name(name)}{SUFFIX}").exists() and not overwrite:
            raise AlreadyExists(
                f"There is a kept texture called {name!r} already; choose another name, or delete or overwrite it."
            )

    def add(self, texture: KeptTexture, *, overwrite: bool = False) -> Path:
        """Save `texture` under the name in its provenance. Raises AlreadyExists, BadRequest, CannotWrite."""
        self.check_free(texture.info.name, overwrite)
        path = self.folder / f"{texture.info.name}{SUFFIX}"
        writing(path, lambda: path.parent.mkdir(parents=True, exist_ok=True))
        texture.save(path)
        return path

    def delete(self, name: str) -> None:
        path = self.path(name)
        writing(path, path.unlink)

    def rename(self, old: str, new: str) -> Path:
        """Give the texture `old` the name `new`, in its file too. Raises AlreadyExists, NotFound, BadRequest."""
        target = self.add(self.texture(old).renamed(new))
        self.delete(old)
        return target


def _entry(path: Path) -> KeptEntry:
    size = 0
    try:
        size = path.stat().st_size
        return KeptEntry(name=path.stem, path=path, bytes=size, info=read_kept_info(path))
    except (BadCheckpoint, OSError) as error:
        return KeptEntry(name=path.stem, path=path, bytes=size, broken=sentence(error))
