"""Making a batch: one texture after another on the device, and beside it a few threads that write them.

Maps, encoding and writing of a texture run in threads (numpy, zlib and the disk let Python go on) while the next is
generated. No more than a few textures are under way, so memory does not grow with the batch.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import BadRequest, Cancelled, CannotWrite, LoomError, as_loom_error
from ..job import Job, Progress
from .batch import BatchItem, BatchSettings
from .batch_state import BatchState, only_batch_in
from .files import open_folder, sweep_parts, write_picture
from .generate import make_texture, picture_origin, picture_record, picture_set, repetition
from .manifest import Manifest, sha256, write_failures
from .memory import check_memory, predicted_mib
from .variation import Source

if TYPE_CHECKING:
    from ..models.store import Store

Texture = tuple[BatchItem, Source, float | None]
Adapt = Callable[[Mapping[str, Any], Job], None]
MOST_WRITERS = 8
PIXELS_UNDER_WAY = 2**24
"""Pictures larger than this are finished before the next is begun: each takes gigabytes."""


@dataclass(frozen=True, kw_only=True)
class BatchResult:
    """written  files written now;  skipped  files that were complete already
    failed   {"name", "message", "seeds"} of each item and of each thing that was wrong with it, tried twice
    """

    out: Path
    manifest: Path
    written: int
    skipped: int
    failed: list[dict[str, Any]] = field(default_factory=list)


def run_batch(
    store: Store,
    settings: BatchSettings,
    out: Path,
    job: Job | None = None,
    *,
    resume: bool = False,
    verify: bool = False,
    adapt: Adapt | None = None,
) -> BatchResult:
    """Make all items under `out`. A texture that fails is noted, and tried once more after all others.

    resume  keep files that the manifest there lists with the same settings and that are whole (`manifest`); without
            it all are made anew
    verify  with resume: read and hash every file
    adapt   makes one of the styles that `settings.adapt` describes
    Raises  CannotWrite, Cancelled, AlreadyExists (a batch runs there), BadRequest (a manifest of another version);
            what was finished stays, and `resume` goes on from there
    """
    folder, job = open_folder(out), job or Job()
    with only_batch_in(folder):
        _prepare_folders(folder, settings)
        manifest = Manifest.open(folder, keep=resume, verify=verify)
        state = BatchState(folder, settings.pictures)
        run = _Run(store, folder, job, settings, manifest, state)
        ended = ("finished", "")
        try:
            run.adaptations(adapt)
            run.textures()
        except BaseException as error:
            ended = ("cancelled" if isinstance(error, Cancelled | KeyboardInterrupt) else "failed", str(error))
            raise
        finally:
            try:
                manifest.close(order=settings.files)
                write_failures(folder, run.failed)
            finally:
                state.end(*ended)
    return BatchResult(out=folder, manifest=manifest.path, written=run.written, skipped=run.skipped, failed=run.failed)


def _prepare_folders(folder: Path, settings: BatchSettings) -> None:
    """The folders that the names ask for, swept of what killed batches left."""
    for parent in {(folder / file).parent for file in settings.files} | {folder}:
        if not parent.resolve().is_relative_to(folder.resolve()):
            raise BadRequest(f"{str(parent)!r} leads out of the output folder through a link; remove it there.")
        try:
            parent.mkdir(parents=True, exist_ok=True)
            sweep_parts(parent)
        except OSError as error:
            raise CannotWrite(
                f"Cannot make the folder {str(parent)!r} ({error.strerror or error}); choose another output folder."
            ) from error


def writers() -> int:
    """Threads that make maps and write: one for each core that this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(MOST_WRITERS, cores)


@dataclass(frozen=True, kw_only=True)
class Written:
    """One file: its map, path below the folder, record, (bytes, sha256) and what was measured on it."""

    file: str
    record: dict[str, Any]
    data: tuple[int, str]
    measured: dict[str, float]


class _Run:
    """One pass over a batch: the counters, what is under way, and what failed."""

    def __init__(
        self, store: Store, folder: Path, job: Job, settings: BatchSettings, manifest: Manifest, state: BatchState
    ) -> None:
        self.store, self.folder, self.settings, self.manifest, self.state = store, folder, settings, manifest, state
        self.job = Job(job.report, lambda: job.cancelled() or state.cancelled())
        self.done = self.written = self.skipped = self.made = self.lost = 0
        self.failed: list[dict[str, Any]] = []
        self._again: list[tuple[Texture, str]] | None = []  # None in the second round
        self._under_way: deque[tuple[Texture, np.ndarray, Future[list[Written]]]] = deque()
        self._writers = writers()
        self._begun_s: float | None = None
        self._last: tuple[Any, np.ndarray] | None = None
        self._checked: BatchItem | None = None

    def adaptations(self, adapt: Adapt | None) -> None:
        """Boundary: a style that cannot be made fails the items that need it, and no others."""
        for entry in self.settings.adapt if adapt else ():
            self.job.check()
            try:
                adapt(entry, self.job)  # type: ignore[misc]
            except Exception as error:
                self._fail((f"adapt {entry.get('name')}", ()), self._told(error))

    def textures(self) -> None:
        with ThreadPoolExecutor(self._writers, "writer") as pool:
            try:
                for texture in self.settings.textures():
                    self._try(pool, texture)
                self._finish(0)
                again, self._again = self._again or [], None
                for texture, _ in again:
                    self._try(pool, texture)
                self._finish(0)
            except BaseException:
                self._keep_finished()
                raise
            finally:
                left: list[tuple[Texture, str]] = self._again or []  # the second round was not reached
                for texture, said in left:
                    self._fail((texture[0].settings.stem, (texture[1],)), said)

    def _try(self, pool: ThreadPoolExecutor, texture: Texture) -> None:
        """Boundary: whatever is wrong with this texture must not stop a night's other work."""
        self.job.check()
        try:
            self._begin(pool, texture)
        except Exception as error:
            self._failed(texture, self._told(error))
        width, height = texture[0].settings.size
        self._finish(min(self._writers + 1, PIXELS_UNDER_WAY // (width * height)))

    def _begin(self, pool: ThreadPoolExecutor, texture: Texture) -> None:
        """Generate one texture and hand it to a writer, unless all its files are there."""
        item, seed, strength = texture
        look = item.settings
        origin = picture_origin(self.store, look, seed, strength)
        wanted = {
            which: (file, picture_record(look, origin, seed, which))
            for which, file in item.files(seed, strength).items()
        }
        if item.record is not None:
            _check_repeats(item.record, *(record for _, record in wanted.values()))
        missing = {which: named for which, named in wanted.items() if not self.manifest.has(*named)}
        self.skipped += len(wanted) - len(missing)
        if not missing:
            self._report(texture, None)
            return
        self._begun_s = self._begun_s or time.monotonic()
        color = self._color(item, seed, strength)
        self._under_way.append((texture, color, pool.submit(self._write, texture, color, missing)))

    def _color(self, item: BatchItem, seed: Source, strength: float | None) -> np.ndarray:
        """The colour picture; lines of a manifest that differ in their map alone share one."""
        look = item.settings
        if item is not self._checked:
            config, device = self.store.generator(look.generator).config, self.store.device
            check_memory(predicted_mib(config, look.size, look.tile, look.maps, device), device, look.size)
            self._checked = item
        if item.record is None:
            return make_texture(self.store, look, seed, strength)
        key = (replace(look, maps=("color",), name=None, format="png", **_PLAIN_MAPS), seed)
        if self._last is None or self._last[0] != key:
            self._last = (key, make_texture(self.store, look, seed, strength))
        return self._last[1]

    def _write(
        self, texture: Texture, color: np.ndarray, missing: Mapping[str, tuple[str, dict[str, Any]]]
    ) -> list[Written]:
        """In a thread: the maps that are missing, encoded and on disk."""
        item, _, _ = texture
        look = replace(item.settings, maps=tuple(missing))
        config = self.store.generator(look.generator).config
        repeat = repetition(config, color, look) if "color" in missing else None
        written = []
        for which, image in picture_set(color, look).items():
            file, record = missing[which]
            data = write_picture(self.folder / file, image, about=record)
            measured = {"repeat": repeat} if repeat is not None and which == "color" else {}
            written.append(Written(file=file, record=record, data=(len(data), sha256(data)), measured=measured))
        return written

    def _finish(self, leave: int) -> None:
        """Note what the writers have finished, in order, waiting until `leave` textures at most are under way."""
        while self._under_way and (len(self._under_way) > leave or self._under_way[0][2].done()):
            texture, color, future = self._under_way.popleft()
            try:
                self._note(texture, future.result())
            except Exception as error:
                self._failed(texture, self._told(error))
            else:
                self._report(texture, color)

    def _note(self, texture: Texture, written: list[Written]) -> None:
        for one in written:
            self.manifest.add(one.file, texture[0].settings.stem, one.record, one.data, one.measured)
        self.written += len(written)
        self.made += 1

    def _keep_finished(self) -> None:
        """At a premature end: what the writers have still finished goes into the manifest."""
        while self._under_way:
            texture, _, future = self._under_way.popleft()
            with contextlib.suppress(Exception):
                self._note(texture, future.result())

    def _told(self, error: Exception) -> str:
        """What is wrong, in a sentence. What the next texture would meet too is raised: the disk, a cancel."""
        known: LoomError | None = as_loom_error(error)
        if isinstance(known, Cancelled | CannotWrite):
            raise known from error
        return str(known) if known else f"an internal error, please report it: {type(error).__name__}: {error}"

    def _failed(self, texture: Texture, message: str) -> None:
        if self._again is not None:
            self._again.append((texture, message))
            return
        self._fail((texture[0].settings.stem, (texture[1],)), message)
        self._report(texture, None)

    def _fail(self, what: tuple[str, tuple[Source, ...]], message: str) -> None:
        name, seeds = what
        self.lost += max(1, len(seeds))
        if self.failed and (self.failed[-1]["name"], self.failed[-1]["message"]) == (name, message):
            self.failed[-1]["seeds"] += seeds
        else:
            self.failed.append({"name": name, "message": message, "seeds": list(seeds)})

    def _report(self, texture: Texture, color: np.ndarray | None) -> None:
        self.done += 1
        numbers: dict[str, float] = {}
        if self._begun_s is not None and self.made:
            pace_s = (time.monotonic() - self._begun_s) / self.made
            left = self.settings.pictures - self.done
            numbers = {"per_minute": round(60 / max(pace_s, 1e-9), 1), "left_s": round(left * pace_s, 1)}
        self.state.update(done=self.done, written=self.written, skipped=self.skipped, failed=self.lost, **numbers)
        stage, total = texture[0].settings.stem, self.settings.pictures
        if color is not None or self.done % 100 == 0 or self.done == total:  # skipping is quicker than showing it
            self.job.report(Progress(done=self.done, total=total, stage=stage, numbers=numbers, preview=color))


_PLAIN_MAPS: dict[str, Any] = {"relief": 1.0, "normal": "opengl", "roughness": 0.65}


def _check_repeats(wanted: Mapping[str, Any], *records: Mapping[str, Any]) -> None:
    """Raise BadRequest where a model is not the one that a manifest's line was made with."""
    for record in records:
        for key in ("generator_hash", "styles", "texture_hash"):
            if record.get(key) != wanted.get(key):
                what = {"generator_hash": "generator", "styles": "style", "texture_hash": "kept texture"}[key]
                raise BadRequest(
                    f"The {what} is not the one that the manifest's file was made with (another hash); get that one."
                )
        if Manifest.digest(record) != Manifest.digest(wanted):
            raise BadRequest("The manifest's line asks for something that this version does not know; update it.")
