"""Batches: run here, reckoned beforehand, or detached; looked at and cancelled from elsewhere."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import AlreadyExists, BadRequest, LoomError
from ...job import Job
from ..parameters import parse
from .adaptation import AdaptRequest, adapt, partial_name
from .context import Answer, Context, Folder, absolute
from .entries import look_warnings, plain

if TYPE_CHECKING:
    from ...adaptation.settings import AdaptSettings
    from ...textures.batch import BatchSettings
    from ...textures.batch_run import Place

Train = Callable[[Mapping[str, Any], Job], None]
MOST_STYLES_AT_ONCE = 64
"""On a cluster: threads here, each waiting for one."""
MOST_TOLD = 50
"""Failures in an answer; failed.jsonl has all."""


@dataclass(frozen=True, kw_only=True)
class BatchRequest(Folder):
    """verify   with resume: read and hash every file that is there
    dry_run  say what it would take, and make nothing
    detach   in a process of its own, which outlives this one
    cluster  "auto" or HOST:PORT of a Ray cluster that makes it
    """

    jobs: dict | None = None
    file: Path | None = None
    resume: bool = False
    verify: bool = False
    dry_run: bool = False
    detach: bool = False
    cluster: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        absolute("file", self.file)
        if (self.jobs is None) == (self.file is None):
            raise BadRequest("batch needs either `jobs` (a map with defaults and items) or `file` (a batch file).")
        if self.verify and not self.resume:
            raise BadRequest("verify looks at what is there already; it goes with resume.")
        if self.dry_run and self.detach:
            raise BadRequest("A dry run makes nothing that could be detached; ask for one of both.")


def batch(context: Context, params: Mapping, arrays: Mapping, job: Job) -> Answer:
    from ...models.kinds import counted_seeds
    from ...textures.batch import BatchSettings
    from ...textures.batch_file import read_batch_file
    from ...textures.batch_run import run_batch

    def seeds_of(generator: str, kind: str, numbers: Sequence[int]) -> tuple[int, ...]:
        return counted_seeds(context.store.generator_header(generator), generator, kind, numbers)

    (asked,) = parse("batch", params, BatchRequest)
    began_s = time.monotonic()
    file = read_batch_file(asked.file) if asked.file else None
    with file.telling() if file else contextlib.nullcontext():
        settings = BatchSettings.from_mapping(file.jobs if file else asked.jobs, seeds_of)
        adaptations = [
            _Adaptation(context, number, entry, resume=asked.resume)
            for number, entry in enumerate(settings.adapt, start=1)
        ]
    if asked.dry_run:
        return Answer(value=_reckoned(context, settings, adaptations, asked, job))
    if asked.detach:
        from ...textures.detach import detach

        return Answer(value={"detached": True, "out": str(asked.out)} | detach(context.store, asked))
    by_name = {one.asked.name: one for one in adaptations}
    with _workshop(context, asked.cluster) as (train, place, at_once):
        made = run_batch(
            context.store, settings, asked.out, job, resume=asked.resume, verify=asked.verify, place=place,
            adapt=lambda entry, job: by_name[entry["name"]].make(job, train), at_once=at_once,
        )  # fmt: skip
    value = {name: plain(getattr(made, name)) for name in ("out", "manifest", "written", "skipped", "lost")}
    value["failed"] = [
        {"name": f["name"], "message": f["message"], "count": max(1, len(f["seeds"]))} for f in made.failed[:MOST_TOLD]
    ]
    value["warnings"] = _warnings(context, settings)
    return Answer(value=value | {"seconds": time.monotonic() - began_s})


def _warnings(context: Context, settings: BatchSettings) -> list[str]:
    """Each once; an item that failed is told as such."""
    looks = {(s.generator, s.styles, s.class_index): s for s in (item.settings for item in settings.items)}
    told: dict[str, None] = {}
    for look in looks.values():
        with contextlib.suppress(LoomError):
            told |= dict.fromkeys(look_warnings(context, look))
    return list(told)[:MOST_TOLD]


@contextlib.contextmanager
def _workshop(context: Context, cluster: str | None) -> Iterator[tuple[Train, Place | None, int]]:
    """(what trains a style, what makes the textures, how many styles at once): here, or on a cluster."""
    if cluster is None:
        yield lambda params, job: _train_here(context, params, job), None, 1
        return
    from ...cluster.adapting import Styles
    from ...cluster.connect import connected
    from ...cluster.executor import Nodes
    from ...cluster.weights import Weights

    with connected(cluster) as there:
        weights = Weights(there.ray)
        with Styles(there, context.store, weights) as styles:
            yield styles.make, lambda folder: Nodes(there, context.store, folder, weights), MOST_STYLES_AT_ONCE


def _train_here(context: Context, params: Mapping[str, Any], job: Job) -> None:
    adapt(context, params, {}, job)


def batch_status(context: Context, params: Mapping, arrays: Mapping, job: Job) -> Answer:
    from ...textures.batch_state import read_state

    (asked,) = parse("batch_status", params, Folder)
    return Answer(value=read_state(asked.out))


def batch_cancel(context: Context, params: Mapping, arrays: Mapping, job: Job) -> Answer:
    from ...textures.batch_state import ask_to_cancel

    (asked,) = parse("batch_cancel", params, Folder)
    return Answer(value=ask_to_cancel(asked.out))


class _Adaptation:
    """One [[adapt]] of a batch, checked: whether its style is there, is to be made, or has a name that is taken."""

    def __init__(self, context: Context, number: int, params: Mapping[str, Any], *, resume: bool) -> None:
        from ...adaptation.presets import with_preset
        from ...adaptation.settings import AdaptSettings
        from ...models.store import check_name
        from ...textures.batch_file import BatchFileError

        self.context, self.params = context, params
        where = f"[[adapt]] {params.get('name', '')!r}"
        preset = params.get("preset")
        try:
            merged = with_preset(preset if isinstance(preset, str) else None, params)  # `parse` tells the others
            self.asked, self.settings = parse("adapt", merged, AdaptRequest, AdaptSettings)
            check_name(self.asked.name)
            if self.asked.detach:
                raise BadRequest("detach is for the whole batch, not for one of its styles.")
            for name in ("images", "source_images"):
                for path in getattr(self.settings, name):
                    if not path.is_file():
                        raise BadRequest(f"{name}: there is no picture {str(path)!r}; check the path.")
        except BadRequest as error:
            key = next((key for key in params if re.search(rf"\b{re.escape(str(key))}\b", str(error))), None)
            raise BatchFileError(f"{where}: {error}", "adapt", number, key) from error
        there = {entry.name: entry for entry in context.store.styles() if not entry.builtin}
        entry = there.get(self.asked.name)
        self.is_there = entry is not None and self._made(entry.info)
        partial = there.get(partial_name(self.asked.name))
        self.goes_on = resume and not self.is_there and partial is not None and self._made(partial.info)
        if entry is not None and not self.is_there and not self.asked.overwrite:
            raise AlreadyExists(
                f"{where}: there is a style of that name already, made otherwise; choose another name or set "
                "overwrite = true."
            )
        if partial is not None and not (self.is_there or self.goes_on or self.asked.overwrite):
            way_out = f"delete the style {partial.name!r}" if resume else "go on with it (resume)"
            raise AlreadyExists(
                f"{where}: a run of that name{' with other settings' if resume else ''} was interrupted; {way_out}, "
                "choose another name, or set overwrite = true."
            )

    def make(self, job: Job, train: Train) -> None:
        if not self.is_there:
            train({**self.params, "resume": self.goes_on}, job)

    def _made(self, info: Any) -> bool:
        from ...adaptation.resuming import with_defaults

        return (
            info is not None
            and info.generator_hash == self.context.store.generator_hash(self.asked.generator)
            and info.method == self.settings.method_name
            and _told(self.settings).items() <= with_defaults(info.settings).items()
        )


def _told(settings: AdaptSettings) -> dict[str, Any]:
    """The settings as a style's provenance has them, but for what only it knows or what does not matter."""
    import hashlib
    import json
    from dataclasses import asdict

    told = {key: value for key, value in asdict(settings).items() if key not in ("method", "preview_every")}
    if settings.learning_rate is None:
        del told["learning_rate"]  # there it is the method's
    for name in ("images", "source_images"):
        told[name] = [hashlib.sha256(path.read_bytes()).hexdigest() for path in getattr(settings, name)]
    return json.loads(json.dumps(told))


def _reckoned(
    context: Context, settings: BatchSettings, adaptations: list[_Adaptation], asked: BatchRequest, job: Job
) -> dict[str, Any]:
    from ...textures.batch_estimate import estimate

    reckoned = estimate(context.store, settings, asked.out, job, resume=asked.resume, verify=asked.verify)
    reckoned["adapt"] = [
        {"name": one.asked.name, "iterations": one.settings.iterations, "there": one.is_there} for one in adaptations
    ]
    of_those_to_come = tuple(
        f"{begin} {one.asked.name!r}" for one in adaptations for begin in ("There is no style called", "The style")
    )  # the second: a style of that name comes with the program, for another generator
    reckoned["missing"] = [line for line in reckoned["missing"] if not line.startswith(of_those_to_come)]
    return reckoned
