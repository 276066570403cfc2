"""Training styles."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import AlreadyExists, Cancelled, NotFound, as_loom_error
from ...job import Job, Progress
from ..parameters import parse
from .context import Answer, Context, absolute
from .entries import style_value
from .reporting import write_report

if TYPE_CHECKING:
    from torch import Tensor

    from ....stylegan2.networks import Generator
    from ...adaptation.stopping import Snapshot
    from ...adaptation.style import Style

PARTIAL = "-partial"
"""Ending of the name under which a style is kept while it is being trained."""


@dataclass(frozen=True, kw_only=True)
class AdaptRequest:
    """preset  settings by intent, under those that are given (`adaptation.presets`)
    resume  go on from NAME-partial, or from the style NAME itself, up to more iterations
    report  folder for a report on the style, with the run's timings; None = no report
    """

    name: str
    generator: str = "builtin"
    overwrite: bool = False
    preset: str | None = None
    resume: bool = False
    report: Path | None = None

    def __post_init__(self) -> None:
        absolute("report", self.report)


def adapt(context: Context, params: Mapping, arrays: Mapping, job: Job) -> Answer:
    """Train a style. Every snapshot is kept as NAME-partial, so a cancel or a kill loses little."""
    from ...adaptation.adapt import adapt as train
    from ...adaptation.presets import with_preset
    from ...adaptation.settings import AdaptSettings
    from ...models.clips import find_clip
    from ...models.store import check_name
    from ...textures.files import open_folder

    preset = params.get("preset")
    merged = with_preset(preset if isinstance(preset, str) else None, params)  # `parse` tells what else it may not be
    asked, settings = parse("adapt", merged, AdaptRequest, AdaptSettings)
    for path in (*settings.images, *settings.source_images):
        absolute("images", path)
    store, began_s = context.store, time.monotonic()
    check_name(asked.name)
    if not asked.overwrite and any(entry.name == asked.name and not entry.builtin for entry in store.styles()):
        raise AlreadyExists(
            f"There is a style called {asked.name!r} already; choose another name or ask to overwrite it."
        )
    if asked.report:  # a folder that cannot be is found out now, not after hours of training
        open_folder(asked.report)
    partial = asked.name[: 64 - len(PARTIAL)] + PARTIAL
    begun, earlier, begun_state, history = _begun(context, asked.name, partial) if asked.resume else (None, [], {}, {})
    kept: list[Snapshot] = []
    state: dict[str, Tensor] = {}
    begun_at = len(history.get("loss", ()))

    def keep(style: Style, snapshots: Sequence[Snapshot], now: Mapping[str, Tensor]) -> None:
        kept[:] = snapshots
        state.clear()
        state.update(now)
        store.library.add(style.renamed(partial), kept, overwrite=True, history=history, state=state)

    def report(progress: Progress) -> None:
        for number in ("loss", "direction"):  # not the predictions: a file holds no time
            if number in progress.numbers:
                history.setdefault(number, []).append(progress.numbers[number])
        job.report(progress)

    clips = [find_clip(store.root, name, str(store.device)) for name, _ in settings.weighted_clips()]
    generator, watched = store.generator(asked.generator), Job(report, job.cancelled)
    try:
        style = train(
            generator, settings, name=asked.name, generator_name=asked.generator, clips=clips,
            job=watched, keep=keep, resume=begun, earlier=earlier, state=begun_state,
        )  # fmt: skip
    except Cancelled:
        if not kept:
            raise Cancelled("Cancelled before the first snapshot; no style was made.") from None
        raise Cancelled(f"Cancelled; {_kept_as(kept, partial)}.") from None
    except Exception as error:
        known = as_loom_error(error)
        if known is None or not kept:
            raise
        raise type(known)(f"{str(known).removesuffix('.')}; {_kept_as(kept, partial)}.") from error
    store.library.add(style, kept, overwrite=asked.overwrite, history=history, state=state)
    if kept:
        store.delete_style(partial)
    seconds = time.monotonic() - began_s
    value: dict[str, Any] = {"style": style_value(store.library.entry(asked.name)), "seconds": seconds}
    if asked.report:
        timings = _timings(seconds, len(history.get("loss", ())) - begun_at, generator)
        value |= write_report(store, asked.name, asked.report / f"{asked.name}.html", job, timings)
    return Answer(value=value)


def _kept_as(kept: Sequence[Snapshot], partial: str) -> str:
    return f"the state after {kept[-1].iterations} iterations is kept as the style {partial!r}"


def _timings(seconds: float, steps: int, generator: Generator) -> dict[str, Any]:
    return {
        "device": str(generator.mapping.w_avg.device),
        "iterations of this run": steps,
        "seconds in all": round(seconds, 1),
        "seconds an iteration, with measures": round(seconds / max(1, steps), 3),
    }


def _begun(
    context: Context, name: str, partial: str
) -> tuple[Style, list[Snapshot], dict[str, Tensor], dict[str, list[float]]]:
    """The end of the run that is to go on, as a style; its snapshots, state and numbers. NotFound where none is."""
    from ...adaptation.measures import Measures
    from ...adaptation.stopping import Snapshot

    there = {entry.name for entry in context.store.styles() if not entry.builtin}
    found = next((n for n in (partial, name) if n in there), None)
    if found is None:
        raise NotFound(f"There is neither a style {partial!r} nor {name!r} to go on from; start without resume.")
    style = context.store.style(found)
    try:
        tensors, state, index = context.store.library.training(found)
    except NotFound:
        return style, [], {}, {}
    snapshots = [
        Snapshot(iterations=point.iterations, tensors=tensors[point.iterations], measures=Measures(**point.measures))
        for point in index.points
    ]
    last = snapshots[-1]
    return (
        replace(style, info=replace(style.info, iterations=last.iterations), tensors=last.tensors),
        snapshots,
        state,
        index.history,
    )
