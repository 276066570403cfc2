"""The same latents through many styles: a labelled sheet and, on request, an animation in which all move together.

A row is a style, the first one the generator without any; a column is a seed. In the animation every column walks
round all the seeds, beginning with its own, so that the frame after the last is the first; layouts are held.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from ...stylegan2.latents import catmull_rom
from ..errors import BadRequest
from ..job import Job, Progress
from .canvas import plan_canvas
from .files import frame_name, open_folder, sweep_parts, write_picture
from .generate import render
from .look import Look, StyleList
from .movies import write_preview
from .sheets import Row, grid_sheet
from .variation import Source
from .varied import Varied

if TYPE_CHECKING:
    from ..models.store import Store

MOST_CELLS, MOST_FRAMES = 400, 2000


@dataclass(frozen=True, kw_only=True)
class GridSettings:
    """generator, psi, directions, class_index   as in `Look`
    styles   (name, strength) pairs, one row each
    seeds    columns: seeds or names of kept textures
    frames   pictures of the animation; 0 = the sheet alone
    fps      frames a second of the animation
    size_px  side of the pictures
    """

    generator: str = "builtin"
    styles: StyleList
    seeds: tuple[Source, ...] = (0, 1, 2, 3, 4, 5)
    psi: float = 0.8
    directions: tuple[tuple[str, float], ...] = ()
    class_index: int | None = None
    frames: int = 0
    fps: int = 24
    size_px: int = 256

    def __post_init__(self) -> None:
        if not self.styles:
            raise BadRequest("A grid compares styles; name at least one.")
        if not self.seeds or len(self.seeds) * (1 + len(self.styles)) > MOST_CELLS:
            raise BadRequest(f"A grid has 1 to {MOST_CELLS} pictures; give that many seeds times styles.")
        if not 0 <= self.frames <= MOST_FRAMES or not 1 <= self.fps <= 240:
            raise BadRequest(f"Give 0 to {MOST_FRAMES} frames, and 1 to 240 of them a second.")
        if self.frames and len(set(self.seeds)) < 2:
            raise BadRequest("An animated grid needs two different seeds to go between; give more, like 0-5.")
        for style in self.styles:
            self.look((style,))

    def look(self, styles: StyleList) -> Look:
        return Look(
            generator=self.generator, styles=styles, psi=self.psi, directions=self.directions,
            class_index=self.class_index, size=(self.size_px, self.size_px),
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class GridResult:
    """file = the sheet; frames = how many of the animation; animation = its preview, or None."""

    file: Path
    frames: list[Path] = field(default_factory=list)
    animation: Path | None = None


class _Line:
    """One row of the grid: a generator with a style, and the latents and inputs of every seed on it."""

    def __init__(self, store: Store, settings: GridSettings, styles: StyleList) -> None:
        self.settings = settings
        self.label = " + ".join(name if strength == 1 else f"{name} {strength:g}" for name, strength in styles)
        generator = store.styled(settings.generator, styles)
        varied = Varied(store, settings.generator, generator, settings.look(styles))
        self.canvas = plan_canvas(generator.config, (settings.size_px, settings.size_px), "xy")
        self.points = torch.stack([varied.seed(seed) for seed in settings.seeds])
        self.inputs = [varied.inputs(seed, self.canvas.grid) for seed in settings.seeds]
        self.generators = [
            varied.kept(seed).on(generator) if isinstance(seed, str) else generator for seed in settings.seeds
        ]

    def row(self, moment: float) -> Row:
        """At 0..1 of the round through all seeds; at 0 every column is its own."""
        pictures = []
        for column in range(len(self.points)):
            ws = catmull_rom(self.points.roll(-column, 0), moment, closed=True)
            pictures.append(render(self.generators[column], ws, self.inputs[column], self.canvas))
        return Row(label=self.label or "no style", pictures=pictures)


def files_of(out: Path, frames: int) -> tuple[Path, list[Path], Path]:
    """What a grid writes in the folder `out`: the sheet, its frames and, where there are any, their animation."""
    numbered = [out / "grid" / frame_name(number + 1) for number in range(frames)]
    return out / "grid.png", numbered, out / "previews" / "grid.webp"


def grid(store: Store, settings: GridSettings, out: Path, job: Job | None = None) -> GridResult:
    """Write the sheet `out`/grid.png and, with frames, `out`/grid/frame-*.png and `out`/previews/grid.webp.

    Raises  NotFound, BadRequest (a style of other shapes), CannotWrite, Cancelled; frames written by then stay
    """
    job = job or Job()
    folder = open_folder(out)
    lines = [_Line(store, settings, styles) for styles in ((), *((style,) for style in settings.styles))]
    file, frames, preview = files_of(folder, settings.frames)
    sweep_parts(folder, file.name)
    write_picture(file, _sheet(lines, settings, 0.0, job))
    if frames:
        sweep_parts(open_folder(frames[0].parent), "frame-")
    for number, frame in enumerate(frames):
        sheet = _sheet(lines, settings, number / settings.frames, job)
        write_picture(frame, sheet)
        job.report(Progress(done=number + 1, total=settings.frames, stage="grid", preview=sheet))
    animation = None
    if frames:
        animation = write_preview(frames, preview, settings.fps, job, longest_px=1024)
    return GridResult(file=file, frames=frames, animation=animation)


def _sheet(lines: list[_Line], settings: GridSettings, moment: float, job: Job) -> np.ndarray:
    rows = []
    for line in lines:
        job.check()
        rows.append(line.row(moment))
    moved = ", ".join(f"{name} {amount:+g}" for name, amount in settings.directions)
    of_class = "" if settings.class_index is None else f"; class {settings.class_index}"
    return grid_sheet(
        rows,
        captions=[str(seed) for seed in settings.seeds],
        title=f"The same textures of {settings.generator} in {len(settings.styles)} styles",
        note=f"Columns: seeds; psi {settings.psi:g}{of_class}." + (f" Moved along {moved}." if moved else ""),
        cell_px=settings.size_px,
    )
