"""Training styles."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...errors import AlreadyExists, Cancelled
from ...job import Job, Progress
from ..parameters import parse
from .context import Answer, Context
from .entries import style_value

if TYPE_CHECKING:
    from ...adaptation.stopping import Snapshot
    from ...adaptation.style import Style

PARTIAL = "-partial"
"""Ending of the name under which a style is kept while it is being trained."""


@dataclass(frozen=True, kw_only=True)
class AdaptRequest:
    name: str
    generator: str = "builtin"
    overwrite: bool = False


def adapt(context: Context, params: Mapping, arrays: Mapping, job: Job) -> Answer:
    """Train a style. Every snapshot is kept as NAME-partial, so a cancel or a kill loses little."""
    from ...adaptation.adapt import adapt as train
    from ...adaptation.settings import AdaptSettings
    from ...models.store import check_name

    asked, settings = parse("adapt", params, AdaptRequest, AdaptSettings)
    store, began_s = context.store, time.monotonic()
    check_name(asked.name)
    if not asked.overwrite and any(entry.name == asked.name for entry in store.styles()):
        raise AlreadyExists(
            f"There is a style called {asked.name!r} already; choose another name or ask to overwrite it."
        )
    partial = asked.name[: 64 - len(PARTIAL)] + PARTIAL
    kept: list[Snapshot] = []
    history: dict[str, list[float]] = {}

    def keep(style: Style, snapshots: Sequence[Snapshot]) -> None:
        kept[:] = snapshots
        store.library.add(style.renamed(partial), kept, overwrite=True, history=history)

    def report(progress: Progress) -> None:
        for number, value in progress.numbers.items():
            history.setdefault(number, []).append(value)
        job.report(progress)

    generator, watched = store.generator(asked.generator), Job(report, job.cancelled)
    try:
        style = train(generator, settings, name=asked.name, generator_name=asked.generator, job=watched, keep=keep)
    except Cancelled:
        if not kept:
            raise Cancelled("Cancelled before the first snapshot; no style was made.") from None
        raise Cancelled(
            f"Cancelled; the state after {kept[-1].iterations} iterations is kept as the style {partial!r}."
        ) from None
    store.library.add(style, kept, overwrite=asked.overwrite, history=history)
    if kept:
        store.delete_style(partial)
    return Answer(value={"style": style_value(store.library.entry(asked.name)), "seconds": time.monotonic() - began_s})
