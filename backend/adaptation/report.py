"""What a report on a style says: pictures before and after, the run's snapshots, measures, and what else moved.

Everything is made anew from the style, its snapshots and its generator, so any style can be reported on at any time;
only the timings come from the run itself, since no file of ours holds a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ...stylegan2.networks import Generator
from ..errors import LoomError, NotFound, PromptError
from ..job import Job, Progress
from ..models.clips import find_clip
from ..models.snapshot_index import SnapshotIndex
from ..textures.generate import texture
from ..textures.seam import seam_scores
from .aims import text_direction
from .bias import Shift, probes_for, shifts
from .clip import Clip, check_prompt
from .measures import fixed_latents
from .showing import as_bytes, fixed_pictures
from .style import StyleInfo

if TYPE_CHECKING:
    from ..models.store import Store

PAIRS, STRIP_ROWS, STRIP_COLUMNS = 6, 3, 9
PSI = 0.8
MEASURED = 16
MOST_SEAM_PICTURES, SEAM_PIXELS = 256, 256 * 64 * 64
"""A seam score wants 256 pictures; of large ones fewer are made, and the report says how many."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """pairs    (before, after) of the same seeds, uint8 [H, W, 3]
    strip    iterations -> pictures of the first seeds; 0 = the unchanged generator
    seam     {"source", "adapted"} -> (x, y), from `seam_pictures` pictures; {} where none of them wraps
    bias     the largest shifts first; empty where no CLIP could judge, and `notes` says why
    timings  of the run, in seconds or per second; {} where they are not known
    """

    info: StyleInfo
    seeds: tuple[int, ...]
    pairs: list[tuple[np.ndarray, np.ndarray]]
    strip: dict[float, list[np.ndarray]]
    index: SnapshotIndex | None
    seam: dict[str, tuple[float, float]] = field(default_factory=dict)
    seam_pictures: int = 0
    bias: list[Shift] = field(default_factory=list)
    timings: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Everything but the pictures."""
        index = self.index
        return {
            "style": asdict(self.info),
            "seeds": list(self.seeds),
            "measures": self.info.measures,
            "seam": {which: list(scores) for which, scores in self.seam.items()},
            "seam_pictures": self.seam_pictures,
            "snapshots": [asdict(point) for point in index.points] if index else [],
            "history": index.history if index else {},
            "bias": [asdict(shift) for shift in self.bias],
            "timings": dict(self.timings),
            "notes": list(self.notes),
        }


def make_report(
    store: Store,
    name: str,
    *,
    job: Job | None = None,
    judge: Clip | None = None,
    timings: Mapping[str, Any] | None = None,
) -> Report:
    """The report on the style called `name`. Raises NotFound, BadRequest, BadCheckpoint, Cancelled."""
    work = _Work(store, name, job or Job())
    pairs, strip = work.pairs(), work.strip()
    before = fixed_pictures(work.source, MEASURED, work.tile, work.info.class_index)
    after = fixed_pictures(work.adapted, MEASURED, work.tile, work.info.class_index)
    bias, notes = _bias(store.root, work.info, judge, before, after)
    seam, seam_pictures = work.seam()
    return Report(
        info=work.info, seeds=work.seeds, pairs=pairs, strip=strip, index=work.index, seam=seam,
        seam_pictures=seam_pictures, bias=bias, timings=timings or {}, notes=notes,
    )  # fmt: skip


def _bias(
    root: Path, info: StyleInfo, judge: Clip | None, before: Tensor, after: Tensor
) -> tuple[list[Shift], tuple[str, ...]]:
    """What else moved, as an encoder sees it that did not train the style, where there is one."""
    named = info.settings.get("judge", "judge")
    try:
        clip = judge or find_clip(root, named if isinstance(named, str) else "judge", str(before.device))
    except LoomError as error:
        return [], (f"What else moved is not known, since its CLIP cannot be had. {error}",)
    source, direction = info.source, None
    try:
        check_prompt(clip, source)
        direction = text_direction(clip, source, str(info.settings.get("target") or info.target))
    except PromptError:
        source = ""
    seen = [clip.embed_images(images.clamp(-1, 1)) for images in (before, after)]
    return shifts(clip, *seen, source=source, direction=direction, probes=probes_for(clip)), ()


class _Work:
    """The generators of one report, and the pictures made from them."""

    def __init__(self, store: Store, name: str, job: Job) -> None:
        self.store, self.name, self.job = store, name, job
        self.info = store.library.info(name)
        self.source = store.generator(self.info.generator)
        self.adapted = store.styled(self.info.generator, [(name, 1.0)])
        tile = self.info.settings.get("tile")
        self.tile = tile if isinstance(tile, str) else self.source.config.tile
        self.seeds = tuple(range(PAIRS))
        try:
            self.index: SnapshotIndex | None = store.library.snapshots(name)
        except NotFound:
            self.index = None
        self.shown = _spread(self.index.iterations if self.index else (), self.info.iterations)
        self.done, self.total = 0, 2 * PAIRS + STRIP_ROWS * (len(self.shown) + 1)

    def _picture(self, generator: Generator, seed: int, side: int) -> np.ndarray:
        """At least `side` pixels of a texture; what does not wrap is made in its own size, and then smaller."""
        self.job.check()
        resolution = generator.config.resolution
        pixels = side if self.tile != "none" and resolution < side else resolution
        made = texture(
            generator, seed, size=(pixels, pixels), tile=self.tile, psi=PSI, class_index=self.info.class_index
        )
        self.done += 1
        self.job.report(Progress(done=self.done, total=self.total, stage="report"))
        step = pixels // max(side, 256)
        return made if step < 2 else _smaller(made, step)

    def pairs(self) -> list[tuple[np.ndarray, np.ndarray]]:
        return [(self._picture(self.source, s, 256), self._picture(self.adapted, s, 256)) for s in self.seeds]

    def strip(self) -> dict[float, list[np.ndarray]]:
        if not self.shown:
            return {}
        rows = self.seeds[:STRIP_ROWS]
        found: dict[float, list[np.ndarray]] = {0: [self._picture(self.source, seed, 128) for seed in rows]}
        for iterations in self.shown:
            generator = self.store.styled(self.info.generator, [(f"{self.name}@{iterations}", 1.0)])
            found[iterations] = [self._picture(generator, seed, 128) for seed in rows]
        return found

    @torch.no_grad()
    def seam(self) -> tuple[dict[str, tuple[float, float]], int]:
        if self.tile == "none":
            return {}, 0
        resolution = self.source.config.resolution
        count = max(16, min(MOST_SEAM_PICTURES, SEAM_PIXELS // resolution**2))

        both = {"source": self.source, "adapted": self.adapted}
        cells = self.source.config.cells
        return {which: seam_scores(self._many(g, count), cells=cells) for which, g in both.items()}, count

    def _many(self, generator: Generator, count: int) -> Iterator[np.ndarray]:
        ws, inputs = fixed_latents(generator, count, class_index=self.info.class_index)
        for start in range(0, count, MEASURED):
            self.job.check()
            some = slice(start, start + MEASURED)
            yield from as_bytes(generator(ws[some], inputs.items(some), tile=self.tile))


def _smaller(picture: np.ndarray, step: int) -> np.ndarray:
    """Means of step x step pixels."""
    side = picture.shape[0] // step
    blocks = picture[: side * step, : side * step].reshape(side, step, side, step, 3)
    return np.rint(blocks.mean((1, 3))).astype(np.uint8)


def _spread(iterations: Sequence[int], chosen: float) -> list[int]:
    """At most STRIP_COLUMNS of the snapshots, evenly spread, with the last and the chosen one among them."""
    if len(iterations) <= STRIP_COLUMNS:
        return list(iterations)
    places = {round(n * (len(iterations) - 1) / (STRIP_COLUMNS - 1)) for n in range(STRIP_COLUMNS)}
    return sorted({iterations[n] for n in places} | ({int(chosen)} & set(iterations)))
