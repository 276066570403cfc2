"""Training styles."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import AlreadyExists, BadRequest, Cancelled, NotFound, PromptError, as_loom_error
from ...job import Job, Progress
from ...models.files import check_name
from ..parameters import parse
from .context import Answer, Context, Named, absolute
from .entries import class_warnings, style_value
from .reporting import write_report

if TYPE_CHECKING:
    from torch import Tensor

    from ....stylegan2.networks import Generator
    from ...adaptation.settings import AdaptSettings
    from ...adaptation.stopping import Snapshot
    from ...adaptation.style import Style
    from ...models.store import Store

PARTIAL = "-partial"
"""Ending of the name under which a style is kept while it is being trained."""


@dataclass(frozen=True, kw_only=True)
class AdaptRequest:
    """preset  settings by intent, under those that are given (`adaptation.presets`)
    resume  go on from NAME-partial, or from the style NAME itself, up to more iterations
    report  folder for a report on the style, with the run's timings; None = no report
    detach  in a process of its own, which outlives this one (`service/apart.py`)
    """

    name: str
    generator: str = "builtin"
    overwrite: bool = False
    preset: str | None = None
    resume: bool = False
    report: Path | None = None
    detach: bool = False

    def __post_init__(self) -> None:
        absolute("report", self.report)


@dataclass(kw_only=True)
class _Kept:
    """What of a run is on the disk.

    name        of the style there; "" = nothing is yet
    iterations  after which that is
    snapshots, state, history   for a run that goes on (`adaptation.snapshots`)
    """

    name: str = ""
    iterations: float = 0
    style: Style | None = None
    snapshots: Sequence[Snapshot] = ()
    state: Mapping[str, Tensor] = field(default_factory=dict)
    history: dict[str, list[float]] = field(default_factory=dict)


def adapt(context: Context, params: Mapping, arrays: Mapping, job: Job) -> Answer:
    """Train a style, here or in a process of its own."""
    from ...textures.batch_state import is_running
    from .. import apart

    name = params.get("name")
    if isinstance(name, str) and is_running(apart.folder(context.store.root, name)):
        raise AlreadyExists(
            f"A process of its own is making {name!r} already; wait for it, cancel it (adapt --cancel {name}) or "
            "choose another name."
        )
    asked, settings = checked(context, params)
    if asked.detach:
        return Answer(value=apart.begin(context.store.root, asked.name, params))
    return train(context, asked, settings, job)


def checked(context: Context, params: Mapping) -> tuple[AdaptRequest, AdaptSettings]:
    """What is asked, and that it can be begun."""
    from ...adaptation.presets import with_preset
    from ...adaptation.settings import AdaptSettings
    from ...textures.files import open_folder

    preset = params.get("preset")
    merged = with_preset(preset if isinstance(preset, str) else None, params)  # `parse` tells what else it may not be
    asked, settings = parse("adapt", merged, AdaptRequest, AdaptSettings)
    for path in (*settings.images, *settings.source_images):
        absolute("images", path)
    _check_names(context.store, asked)
    if asked.report:  # a folder that cannot be is found out now, not after hours of training
        open_folder(asked.report)
    return asked, settings


def train(context: Context, asked: AdaptRequest, settings: AdaptSettings, job: Job) -> Answer:
    """Train a style here. Every snapshot is kept as NAME-partial, so a cancel or a kill loses little."""
    from ...adaptation.adapt import adapt as trained
    from ...models.clips import find_clip

    store, began_s = context.store, time.monotonic()
    kept = _begun(store, asked.name, settings) if asked.resume else _Kept()
    begun_at = len(kept.history.get("loss", ()))

    def keep(style: Style, snapshots: Sequence[Snapshot], state: Mapping[str, Tensor]) -> None:
        partial = partial_name(asked.name)
        store.library.add(style.renamed(partial), snapshots, overwrite=True, history=kept.history, state=state)
        kept.name, kept.iterations, kept.snapshots, kept.state = partial, snapshots[-1].iterations, snapshots, state

    def report(progress: Progress) -> None:
        for number in ("loss", "direction"):  # not the predictions: a file holds no time
            if number in progress.numbers:
                kept.history.setdefault(number, []).append(progress.numbers[number])
        job.report(progress)

    clips = [find_clip(store.root, name, str(store.device)) for name, _ in settings.weighted_clips()]
    generator, watched = store.generator(asked.generator), Job(report, job.cancelled)
    with _telling(lambda: _kept_as(kept), "Cancelled before the first snapshot; no style was made."):
        style = trained(
            generator, settings, name=asked.name, generator_name=asked.generator, clips=clips,
            job=watched, keep=keep, resume=kept.style, earlier=kept.snapshots, state=kept.state,
        )  # fmt: skip
        store.library.add(style, kept.snapshots, overwrite=asked.overwrite, history=kept.history, state=kept.state)
    if store.library.has(partial_name(asked.name)):
        store.delete_style(partial_name(asked.name))
    seconds = time.monotonic() - began_s
    told = class_warnings(context, asked.generator, settings.class_index, "the style was trained on all of them")
    value: dict[str, Any] = {
        "style": style_value(store.library.entry(asked.name)),
        "warnings": told,
        "seconds": seconds,
    }
    if asked.report:
        timings = _timings(seconds, len(kept.history.get("loss", ())) - begun_at, generator)
        with _telling(lambda: f"the style {asked.name!r} is ready all the same"):
            value |= write_report(store, asked.name, asked.report / f"{asked.name}.html", job, timings)
    return Answer(value=value)


def partial_name(name: str) -> str:
    """The name under which the style `name` is kept while it is being trained."""
    return name[: 64 - len(PARTIAL)] + PARTIAL


def _check_names(store: Store, asked: AdaptRequest) -> None:
    """Raise AlreadyExists where the run would replace somebody's work, finished or interrupted, unasked."""
    if asked.overwrite:
        check_name(asked.name)
    elif store.library.has(asked.name):
        way_out = (
            "to go on from it, ask to overwrite it" if asked.resume else "choose another name or ask to overwrite it"
        )
        raise AlreadyExists(f"There is a style called {asked.name!r} already; {way_out}.")
    elif store.library.has(partial_name(asked.name)) and not asked.resume:
        raise AlreadyExists(
            f"A run called {asked.name!r} was interrupted and is kept as the style {partial_name(asked.name)!r}; go on "
            "with it (resume), choose another name, or ask to overwrite it."
        )


@contextlib.contextmanager
def _telling(more: Callable[[], str], cancelled: str | None = None) -> Iterator[None]:
    """Whatever a user is told of an error gets half a sentence more; a cancel is told in its own words.

    cancelled  what a cancel says where there is no more to tell
    """
    try:
        yield
    except Exception as error:
        known, told = as_loom_error(error), more()
        if isinstance(known, Cancelled):
            raise Cancelled(f"Cancelled; {told}." if told else cancelled) from None
        if known is None or not told or isinstance(known, BadRequest | PromptError):  # said before the work
            raise
        raise type(known)(f"{str(known).removesuffix('.')}; {told}.") from error


def adapt_status(context: Context, params: Mapping, arrays: Mapping, job: Job) -> Answer:
    from .. import apart

    (asked,) = parse("adapt_status", params, Named)
    return Answer(value=apart.state(context.store.root, asked.name))


def adapt_cancel(context: Context, params: Mapping, arrays: Mapping, job: Job) -> Answer:
    from .. import apart

    (asked,) = parse("adapt_cancel", params, Named)
    return Answer(value=apart.cancel(context.store.root, asked.name))


def _kept_as(kept: _Kept) -> str:
    return f"the state after {kept.iterations:g} iterations is kept as the style {kept.name!r}" if kept.name else ""


def _timings(seconds: float, steps: int, generator: Generator) -> dict[str, Any]:
    return {
        "device": str(generator.mapping.w_avg.device),
        "iterations of this run": steps,
        "seconds in all": round(seconds, 1),
        "seconds an iteration, with measures": round(seconds / max(1, steps), 3),
    }


def _begun(store: Store, name: str, settings: AdaptSettings) -> _Kept:
    """The end of the run that is to go on. NotFound where none is, BadRequest where nothing is left to do."""
    from ...adaptation.measures import Measures
    from ...adaptation.stopping import Snapshot

    partial = partial_name(name)
    found = next((n for n in (partial, name) if store.library.has(n)), None)
    if found is None:
        raise NotFound(f"There is neither a style {partial!r} nor {name!r} to go on from; start without resume.")
    style = store.style(found)
    kept = _Kept(name=found, iterations=style.info.iterations, style=style)
    with contextlib.suppress(NotFound):
        tensors, kept.state, index = store.library.training(found)
        kept.history = index.history
        kept.snapshots = [
            Snapshot(iterations=p.iterations, tensors=tensors[p.iterations], measures=Measures(**p.measures))
            for p in index.points
        ]
        last = kept.snapshots[-1]
        kept.iterations = last.iterations
        kept.style = replace(style, info=replace(style.info, iterations=last.iterations), tensors=last.tensors)
    # An interrupted run may have all its iterations, and lack the style alone.
    if found == name and settings.iterations != "auto" and kept.iterations >= settings.iterations:
        raise BadRequest(f"The style {name!r} has {kept.iterations:g} iterations already; ask for more of them.")
    return kept
