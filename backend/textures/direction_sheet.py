"""A sheet of what a generator's edit directions do: one row for each direction, one column for each amount."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import BadRequest
from ..job import Job, Progress
from .canvas import plan_canvas
from .files import open_folder, write_picture
from .generate import render
from .look import Look
from .sheets import Row, grid_sheet
from .variation import GROUPS
from .varied import Varied, group_layers

if TYPE_CHECKING:
    from ..models.store import Store

MOST_ROWS, MOST_COLUMNS = 64, 16


@dataclass(frozen=True, kw_only=True)
class DirectionSettings:
    """generator, styles, psi, class_index   as in `Look`
    count     directions shown, the strongest first
    layers    all | coarse | middle | fine: whose directions
    amounts   columns of the sheet, in standard deviations
    seed      the texture that is moved
    size_px   side of the pictures
    """

    generator: str = "builtin"
    styles: tuple[tuple[str, float], ...] = ()
    psi: float = 0.8
    class_index: int | None = None
    count: int = 8
    layers: str = "all"
    amounts: tuple[float, ...] = (-3.0, -1.5, 0.0, 1.5, 3.0)
    seed: int = 0
    size_px: int = 256

    def __post_init__(self) -> None:
        if self.layers not in ("all", *GROUPS):
            raise BadRequest(f"There are no {self.layers!r} layers; choose from all, {', '.join(GROUPS)}.")
        if not 1 <= self.count <= MOST_ROWS:
            raise BadRequest(f"{self.count} directions cannot be shown; give a number from 1 to {MOST_ROWS}.")
        if not 1 <= len(self.amounts) <= MOST_COLUMNS or not all(map(math.isfinite, self.amounts)):
            raise BadRequest(f"Give 1 to {MOST_COLUMNS} amounts, like -3,-1.5,0,1.5,3.")
        self.look("d0", 0.0)  # checks the rest

    def name(self, index: int) -> str:
        return f"d{index}" if self.layers == "all" else f"d{index}-{self.layers}"

    def look(self, direction: str, amount: float) -> Look:
        return Look(
            generator=self.generator, styles=self.styles, psi=self.psi, size=(self.size_px, self.size_px),
            directions=((direction, amount),), noise_seed=self.seed, class_index=self.class_index,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class DirectionResult:
    """directions  {"name", "strength", "spread"} of each, the strongest first
    sheet       uint8 [H, W, 3]; file where it was written, if it was
    """

    sheet: np.ndarray
    directions: list[dict[str, Any]] = field(default_factory=list)
    file: Path | None = None


def sheet_path(out: Path, generator: str, layers: str) -> Path:
    """Where the sheet of a generator's directions is written, in the folder `out`."""
    group = [] if layers == "all" else [layers]
    return out / "previews" / f"{'-'.join(['directions', generator, *group])}.png"


def show_directions(
    store: Store, settings: DirectionSettings, out: Path | None = None, job: Job | None = None
) -> DirectionResult:
    """The strongest directions of a generator and, under `out`/previews, a sheet of what they do.

    Raises  NotFound, BadRequest (no such layers), CannotWrite, Cancelled
    """
    job = job or Job()
    out = None if out is None else open_folder(out / "previews").parent
    generator = store.styled(settings.generator, settings.styles)
    config = generator.config
    group = "" if settings.layers == "all" else settings.layers
    found = store.directions(settings.generator, group_layers(config, group))
    count = min(settings.count, len(found.vectors))
    canvas = plan_canvas(config, (settings.size_px, settings.size_px), "xy")
    rows = []
    for index in range(count):
        pictures = []
        for amount in settings.amounts:
            job.check()
            varied = Varied(store, settings.generator, generator, settings.look(settings.name(index), amount))
            inputs = varied.inputs(settings.seed, canvas.grid)
            pictures.append(render(generator, varied.seed(settings.seed), inputs, canvas))
        rows.append(Row(label=settings.name(index), pictures=pictures))
        job.report(Progress(done=index + 1, total=count, stage="directions", preview=pictures[-1]))
    of_class = "" if settings.class_index is None else f", class {settings.class_index}"
    sheet = grid_sheet(
        rows,
        captions=[f"{amount:+g}" if amount else "as it is" for amount in settings.amounts],
        title=f"Edit directions of {settings.generator}",
        note=f"Seed {settings.seed}{of_class}; amounts in standard deviations; layers: {settings.layers}.",
        cell_px=settings.size_px,
    )
    file = None
    if out is not None:
        file = sheet_path(out, settings.generator, settings.layers)
        write_picture(file, sheet)
    listed = [
        {"name": settings.name(i), "strength": float(found.strengths[i]), "spread": float(found.spread[i])}
        for i in range(count)
    ]
    return DirectionResult(sheet=sheet, directions=listed, file=file)
