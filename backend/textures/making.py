"""Making one texture of a batch: its colour picture on the device, then its maps, encoded and on disk.

Where that happens is an `Executor`'s business: `Here` generates on the calling thread and lets a few others make maps,
encode and write while the next picture is generated; `cluster` lends the same functions to a Ray cluster.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from .batch import BatchItem
from .deep import eight_bit
from .files import encode_picture, write_atomic
from .generate import make_texture, picture_set, repetition
from .manifest import sha256
from .memory import check_memory, predicted_mib
from .variation import Source

if TYPE_CHECKING:
    from ..models.store import Store

ENOUGH = 2
"""Textures whose times are known before cores are shared out."""
MOST_WRITERS = 8
PIXELS_UNDER_WAY = 2**24
"""Pictures larger than this are finished before the next is begun: each takes gigabytes."""
_PLAIN_MAPS: dict[str, Any] = {"relief": 1.0, "normal": "opengl", "roughness": 0.65, "material": "auto"}


@dataclass(frozen=True, kw_only=True)
class Task:
    """One texture to be made.

    item     with the one seed and strength, so that a task is small however long the item's list of seeds is
    missing  map -> (path below the output folder, record) of the files that are to be written
    """

    item: BatchItem
    missing: Mapping[str, tuple[str, dict[str, Any]]]

    @classmethod
    def of(
        cls, item: BatchItem, seed: Source, strength: float | None, missing: Mapping[str, tuple[str, dict[str, Any]]]
    ) -> Task:
        strengths = () if strength is None else (strength,)
        settings = replace(item.settings, seeds=(seed,), strengths=strengths, maps=tuple(missing))
        return cls(item=replace(item, settings=settings), missing=missing)

    @property
    def texture(self) -> tuple[Source, float | None]:
        return self.item.settings.textures[0]


@dataclass(frozen=True, kw_only=True)
class Written:
    """One file: its path below the folder, record, (bytes, sha256) and what was measured on it."""

    file: str
    record: dict[str, Any]
    data: tuple[int, str]
    measured: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Made:
    """`preview` is the colour picture, uint8 [H, W, 3], where it is at hand."""

    written: list[Written]
    preview: np.ndarray | None = None


class Executor(Protocol):
    """Where the textures of a batch are made."""

    def begin(self, task: Task) -> Future[Made]:
        """Begin to make one texture, or make part of it here and now. Raises what the future may raise, too."""

    def room(self, task: Task) -> int:
        """How many textures like this one may be under way at once."""

    def check(self) -> None:
        """Raise LoomError where what is under way will never end."""

    def stop(self) -> None:
        """Give up what was not begun; what is under way soon ends, one way or the other."""


class Here:
    """The executor of one machine. Use it as a context: at its end all writers have finished."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.store, self.folder = store, folder
        self._writers = writers()
        self._pool = ThreadPoolExecutor(self._writers, "writer")
        self._picture = Picture(store)
        self._threads = torch.get_num_threads()
        self._made_s: deque[float] = deque(maxlen=16)
        self._written_s: deque[float] = deque(maxlen=16)

    def __enter__(self) -> Here:
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown()
        torch.set_num_threads(self._threads)

    def begin(self, task: Task) -> Future[Made]:
        self._share_cores()
        began_s = time.monotonic()
        color = self._picture.of(task)
        self._made_s.append(time.monotonic() - began_s)
        return self._pool.submit(self._write, task, color)

    def _share_cores(self) -> None:
        """Halve PyTorch's threads where maps and files take longer than pictures: on a processor all compute at once,
        and with more threads than cores PyTorch's wait for each other. No bit depends on how many there are."""
        if self.store.device.type == "cpu" and len(self._written_s) >= ENOUGH:
            slower = sum(self._written_s) / len(self._written_s) > sum(self._made_s) / len(self._made_s)
            torch.set_num_threads(max(1, self._threads // 2) if slower else self._threads)

    def room(self, task: Task) -> int:
        width, height = task.item.settings.size
        return min(self._writers + 1, PIXELS_UNDER_WAY // (width * height))

    def check(self) -> None:
        pass

    def stop(self) -> None:
        pass

    def _write(self, task: Task, color: np.ndarray) -> Made:
        began_s = time.monotonic()
        written = write_maps(self.store, task, color, lambda file, data: write_atomic(self.folder / file, data))
        self._written_s.append(time.monotonic() - began_s)
        return Made(written=written, preview=eight_bit(color))


def writers() -> int:
    """Threads that make maps and write: one for each core that this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(MOST_WRITERS, cores)


class Picture:
    """Makes colour pictures, after a look at the memory; lines of a manifest that differ in their map share one."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._last: tuple[Any, np.ndarray] | None = None
        self._checked: Any = None

    def of(self, task: Task) -> np.ndarray:
        """uint8 [H, W, 3]; float32 where the format is deep. Raises OutOfMemory before anything is made."""
        look, (seed, strength) = task.item.settings, task.texture
        kind = (look.generator, look.size, look.tile, look.maps)
        if kind != self._checked:
            config, device = self.store.generator(look.generator).config, self.store.device
            check_memory(predicted_mib(config, look.size, look.tile, look.maps, device), device, look.size)
            self._checked = kind
        if task.item.record is None:
            return make_texture(self.store, look, seed, strength)
        key = replace(look, maps=("color",), name=None, format="png", **_PLAIN_MAPS), look.deep
        if self._last is None or self._last[0] != key:
            self._last = (key, make_texture(self.store, look, seed, strength))
        return self._last[1]


def write_maps(store: Store, task: Task, color: np.ndarray, write: Callable[[str, bytes], None]) -> list[Written]:
    """Make the maps that are missing, and `write` the bytes of each as (path below the output folder, bytes)."""
    look = task.item.settings
    config = store.generator(look.generator).config
    repeat = repetition(config, eight_bit(color), look) if "color" in task.missing else None
    written = []
    for which, image in picture_set(config, color, look).items():
        file, record = task.missing[which]
        data = encode_picture(file, image, about=record)
        write(file, data)
        measured = {"repeat": repeat} if repeat is not None and which == "color" else {}
        written.append(Written(file=file, record=record, data=(len(data), sha256(data)), measured=measured))
    return written
