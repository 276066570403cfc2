"""Adapt a generator to a prompt, by text alone, or to a few pictures: the whole of a run (`run` has its steps)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from torch import Tensor

from ...stylegan2.networks import Generator
from ..heap import freed_memory_kept
from ..job import Job, Progress
from .clip import Clip
from .repeatable import repeatable
from .run import Adaptation
from .settings import AdaptSettings
from .stopping import SNAPSHOT_EVERY, Snapshot, best, finished
from .style import Style
from .subject import Subject

__all__ = ["Adaptation", "Snapshot", "adapt", "best", "finished"]

Keep = Callable[[Style, Sequence[Snapshot], Mapping[str, Tensor]], None]
PREDICTED_FROM = 50
"""Runs of at least so many iterations are worth a step that only tells how long they will take."""


def adapt(
    generator: Generator | Subject,
    settings: AdaptSettings,
    *,
    name: str = "style",
    generator_name: str = "builtin",
    clips: Sequence[Clip] | None = None,
    judge: Clip | None = None,
    job: Job | None = None,
    keep: Keep | None = None,
    resume: Style | None = None,
    earlier: Sequence[Snapshot] = (),
    state: Mapping[str, Tensor] | None = None,
) -> Style:
    """Adapt `generator` to the settings' target and return the style.

    job     is told of every iteration (numbers: loss, direction, rollbacks; before the first of a long run predicted_s
            and predicted_mib) and asked whether to stop, which raises `Cancelled`
    keep    is given a usable style, all snapshots so far and the run's state at every snapshot, so that an
            interruption loses little
    resume  a style to go on from, with the `earlier` snapshots and the `state` of its run (`Adaptation`)
    Raises  PromptError, BadRequest, NotFound, NonFinite, OutOfMemory, Cancelled
    """
    job = job or Job()
    with repeatable(settings.deterministic), freed_memory_kept():
        run = Adaptation(generator, settings, clips=clips, judge=judge, resume=resume, state=state)

        def kept(snapshots: list[Snapshot]) -> None:
            if keep:
                keep(_named(run, snapshots[-1], name, generator_name), snapshots, run.state())

        snapshots = _trained(run, job, earlier, kept)
        ripe = [s for s in snapshots if s.iterations > run.pruned_at]
        chosen = ripe[-1] if settings.iterations != "auto" else best(ripe, settings.diversity_floor)
        return _named(run, chosen, name, generator_name)


def _named(run: Adaptation, snapshot: Snapshot, name: str, generator_name: str) -> Style:
    return run.style(snapshot, name=name, generator_name=generator_name)


def _trained(
    run: Adaptation, job: Job, earlier: Sequence[Snapshot], keep: Callable[[list[Snapshot]], object]
) -> list[Snapshot]:
    """Train to the end; every snapshot, the earlier ones first."""
    settings, total = run.settings, run.total
    snapshots = [s for s in earlier if s.iterations <= run.iterations]
    if total - run.iterations >= PREDICTED_FROM:
        job.check()
        predicted = {"predicted_s": run.rehearse() * (total - run.iterations), "predicted_mib": run.need.total / 2**20}
        job.report(Progress(done=run.iterations, total=total, stage="adapt", numbers=predicted))
    while run.iterations < total:
        job.check()
        numbers = run.step()
        done = run.iterations
        show = settings.preview_every and (done % settings.preview_every == 0 or done in (1, total))
        preview = run.preview() if show else None
        job.report(Progress(done=done, total=total, stage="adapt", numbers=numbers, preview=preview))
        if done % SNAPSHOT_EVERY == 0 or done == total:
            snapshots.append(run.snapshot())
            keep(snapshots)
            ripe = [s for s in snapshots if s.iterations > run.pruned_at]
            if settings.iterations == "auto" and finished(ripe, settings.diversity_floor):
                break
    return snapshots or [run.snapshot()]  # of a run that goes on at its very end
