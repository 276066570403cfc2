"""The files that pictures are made from, put into the cluster's object store once and onto a node's disk once."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import BadRequest
from ..models.files import SUFFIX, Stamp, stamp
from ..models.reference import split
from ..models.style_list import snapshots_path
from ..textures.variation import Source

if TYPE_CHECKING:
    from ..models.store import Store

BUILTIN_FILE = f"builtin/generator{SUFFIX}"
"""On a node the built-in generator is the one that was sent, so that it cannot be another version's."""
Files = dict[str, Path]
"""Path below a store's folder on a node -> the file here."""


@dataclass(frozen=True)
class Placed:
    """A file in the object store. path: below the store's folder on a node; ref: Ray's reference to its bytes."""

    path: str
    ref: Any


class Weights:
    """What was put into the object store, each file when it is first needed. For several threads."""

    def __init__(self, ray: Any) -> None:
        self._ray = ray
        self._lock = threading.Lock()
        self._put: dict[str, tuple[Stamp, Placed]] = {}

    def place(self, files: Files) -> tuple[Placed, ...]:
        """Raises BadRequest where a file changed since it was put: nodes that have it have the old one."""
        with self._lock:
            return tuple(self._one(path, file) for path, file in files.items())

    def _one(self, path: str, file: Path) -> Placed:
        now = stamp(file)
        known = self._put.get(path)
        if known is None:
            bytes_there = np.frombuffer(file.read_bytes(), dtype=np.uint8)  # an array: read without a copy
            known = self._put[path] = (now, Placed(path, self._ray.put(bytes_there)))
        if known[0] != now:
            raise BadRequest(f"{file.name} was changed while the batch ran; run it again with --resume.")
        return known[1]


def picture_files(
    store: Store, generator: str, styles: Iterable[tuple[str, float]] = (), seeds: Iterable[Source] = ()
) -> Files:
    """What pictures of this generator, these styles and kept textures are made from. Raises NotFound, BadRequest."""
    files = {generator_file(generator): store.generator_path(generator)}
    for reference, _ in styles:
        name, iterations = split(reference)
        path = store.library.path(name)
        folder = "builtin/styles" if path.parent == store.library.builtin else "styles"
        files[f"{folder}/{path.name}"] = path
        beside = snapshots_path(path)
        if iterations is not None and beside.exists():
            files[f"{folder}/{beside.name}"] = beside
    for seed in seeds:
        if isinstance(seed, str):
            files[f"kept/{seed}{SUFFIX}"] = store.textures.path(seed)
    return files


def generator_file(name: str) -> str:
    return BUILTIN_FILE if name == "builtin" else f"generators/{name}{SUFFIX}"
