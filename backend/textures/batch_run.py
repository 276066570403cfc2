"""Running a batch: what is to be made, what is there, what failed, and how far it is.

Where textures are made is an executor's business (`making`), on this machine or on a cluster; everything else is the
same code for both. No more than a few textures are under way, so memory does not grow with the batch.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import BadRequest, Cancelled, CannotWrite, LoomError, as_loom_error
from ..job import Job, Progress
from .batch import BatchItem, BatchSettings
from .batch_state import BatchState, only_batch_in
from .deep import check_library
from .files import open_folder, sweep_parts
from .generate import picture_origin, picture_record
from .making import Executor, Here, Made, Task
from .manifest import Manifest, write_failures
from .variation import Source

if TYPE_CHECKING:
    from ..models.store import Store

Texture = tuple[BatchItem, Source, float | None]
Adapt = Callable[[Mapping[str, Any], Job], None]
Place = Callable[[Path], AbstractContextManager[Executor]]
ASK_S = 0.25
"""How often a cancel is looked for while textures are waited for."""
LAST_S = 60.0
"""How long a premature end waits for what is under way."""


@dataclass(frozen=True, kw_only=True)
class BatchResult:
    """written  files written now;  skipped  files that were complete already;  lost  textures and styles that failed
    failed   {"name", "message", "seeds"} of each item and of each thing that was wrong with it, tried twice
    """

    out: Path
    manifest: Path
    written: int
    skipped: int
    lost: int = 0
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
    place: Place | None = None,
    at_once: int = 1,
) -> BatchResult:
    """Make all items under `out`. A texture that fails is noted, and tried once more after all others.

    resume  keep files that the manifest there lists with the same settings and that are whole (`manifest`); without
            it all are made anew
    verify  with resume: read and hash every file
    adapt   makes one of the styles that `settings.adapt` describes; `at_once` of them, in threads, where that is over 1
    place   output folder -> the executor that makes the textures; None = here
    Raises  CannotWrite, Cancelled, AlreadyExists (a batch runs there), BadRequest (a manifest of another version);
            what was finished stays, and `resume` goes on from there
    """
    for fmt in {item.settings.format for item in settings.items}:
        check_library(fmt)
    folder, job = open_folder(out), job or Job()
    with only_batch_in(folder):
        _prepare_folders(folder, settings)
        manifest = Manifest.open(folder, keep=resume, verify=verify)
        state = BatchState(folder, settings.pictures)
        run = _Run(store, folder, job, settings, manifest, state)
        ended = ("finished", "")
        try:
            run.adaptations(adapt, at_once)
            with place(folder) if place else Here(store, folder) as executor:
                run.textures(executor)
        except BaseException as error:
            ended = ("cancelled" if isinstance(error, Cancelled | KeyboardInterrupt) else "failed", str(error))
            raise
        finally:
            try:
                manifest.close(order=settings.files)
                write_failures(folder, run.failed)
            finally:
                state.known |= {"written": run.written, "skipped": run.skipped, "failed": run.lost}
                state.end(*ended)
    return BatchResult(
        out=folder, manifest=manifest.path, written=run.written, skipped=run.skipped, lost=run.lost, failed=run.failed
    )


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
        self._under_way: dict[Future[Made], Texture] = {}
        self._begun_s: float | None = None

    def adaptations(self, adapt: Adapt | None, at_once: int = 1) -> None:
        """Boundary: a style that cannot be made fails the items that need it, and no others."""
        if adapt is None or not self.settings.adapt:
            return
        if at_once == 1:
            told = [self._adapt(adapt, entry) for entry in self.settings.adapt]
        else:
            with ThreadPoolExecutor(at_once, "adapt") as pool:
                told = list(pool.map(lambda entry: self._adapt(adapt, entry), self.settings.adapt))
        for entry, message in zip(self.settings.adapt, told, strict=True):
            if message is not None:
                self._fail((f"adapt {entry.get('name')}", ()), message)

    def _adapt(self, adapt: Adapt, entry: Mapping[str, Any]) -> str | None:
        self.job.check()
        try:
            adapt(entry, self.job)
        except Exception as error:
            return self._told(error)
        return None

    def textures(self, executor: Executor) -> None:
        try:
            for texture in self.settings.textures():
                self._try(executor, texture)
            self._finish(executor, 0)
            again, self._again = self._again or [], None
            for texture, _ in again:
                self._try(executor, texture)
            self._finish(executor, 0)
        except BaseException:
            executor.stop()
            self._keep_finished()
            raise
        finally:
            left: list[tuple[Texture, str]] = self._again or []  # the second round was not reached
            for texture, said in left:
                self._fail((texture[0].settings.stem, (texture[1],)), said)

    def _try(self, executor: Executor, texture: Texture) -> None:
        """Boundary: whatever is wrong with this texture must not stop a night's other work."""
        self.job.check()
        try:
            task = self._task(texture)
            if task is None:
                self._report(texture, None)
                return
            self._begun_s = self._begun_s or time.monotonic()
            self._under_way[executor.begin(task)] = texture
        except Exception as error:
            self._failed(texture, self._told(error))
        else:
            self._finish(executor, executor.room(task))

    def _task(self, texture: Texture) -> Task | None:
        """What is to be made of one texture; None where all its files are there."""
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
        return Task.of(item, seed, strength, missing) if missing else None

    def _finish(self, executor: Executor, leave: int) -> None:
        """Note what is finished, and wait until `leave` textures at most are under way."""
        while True:
            for future in [one for one in self._under_way if one.done()]:
                self._end(future, self._under_way.pop(future))
            if len(self._under_way) <= leave:
                return
            executor.check()
            self.job.check()
            wait(self._under_way, timeout=ASK_S, return_when=FIRST_COMPLETED)

    def _end(self, future: Future[Made], texture: Texture) -> None:
        try:
            made = future.result()
            self._note(texture, made)
        except Exception as error:
            self._failed(texture, self._told(error))
        else:
            self._report(texture, made)

    def _note(self, texture: Texture, made: Made) -> None:
        for one in made.written:
            self.manifest.add(one.file, texture[0].settings.stem, one.record, one.data, one.measured)
        self.written += len(made.written)
        self.made += 1

    def _keep_finished(self) -> None:
        """At a premature end: what was still finished goes into the manifest."""
        done, _ = wait(self._under_way, timeout=LAST_S)
        for future in [one for one in self._under_way if one in done]:
            with contextlib.suppress(Exception):
                self._note(self._under_way.pop(future), future.result())
                self.done += 1
        self.state.update(done=self.done, written=self.written)

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

    def _report(self, texture: Texture, made: Made | None) -> None:
        self.done += 1
        numbers: dict[str, float] = {}
        if self._begun_s is not None and self.made:
            pace_s = (time.monotonic() - self._begun_s) / self.made
            left = self.settings.pictures - self.done
            numbers = {"per_minute": round(60 / max(pace_s, 1e-9), 1), "left_s": round(left * pace_s, 1)}
        self.state.update(done=self.done, written=self.written, skipped=self.skipped, failed=self.lost, **numbers)
        stage, total = texture[0].settings.stem, self.settings.pictures
        if made is not None or self.done % 100 == 0 or self.done == total:  # skipping is quicker than showing it
            preview = made.preview if made else None
            self.job.report(Progress(done=self.done, total=total, stage=stage, numbers=numbers, preview=preview))


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
