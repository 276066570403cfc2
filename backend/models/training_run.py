"""The training of a generator as users meet it: checkpoints, sheets, progress, an interruption that loses nothing.

What is trained on what is the recipes' (`train_generator`, `own_generator`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from ...stylegan2.networks import Generator
from ...stylegan2.training.loop import Trainer, sample_sheet, train
from ..errors import Cancelled
from ..job import Job, Progress
from .samples import as_pixels

Batches = Iterator[tuple[Any, ...]]
CHECKPOINT = "checkpoint.pt"
SHOWN_PX = 640
READ_EVERY = 20
"""Steps on a GPU between two reports."""


@dataclass(frozen=True, kw_only=True)
class TrainingRun:
    """work        folder of the checkpoint and the sheets; a checkpoint found there is continued
    keep        saves the averaged generator where it shall be
    kept_as     how that place is called in a sentence
    save_every  images between checkpoints
    columns     of the sample sheet, which has four rows
    """

    work: Path
    keep: Callable[[Generator], object]
    kept_as: str
    save_every: int
    columns: int

    def train(self, trainer: Trainer, batches: Callable[[int], Batches], job: Job) -> Generator:
        """Train to the end; `batches` are those from a step on. Only the first of several processes writes.

        Raises  CheckpointError for a checkpoint of other settings; Cancelled, after everything was saved
        """
        checkpoint = self.work / CHECKPOINT
        if checkpoint.exists():
            trainer.resume(checkpoint)
        batch, steps, first, device = (
            trainer.settings.batch,
            trainer.settings.steps,
            trainer.steps_done,
            _device(trainer),
        )
        every = max(1, self.save_every // batch)
        started = time.monotonic()

        def after_step(trainer: Trainer, losses: Mapping[str, float]) -> None:
            done = trainer.steps_done
            cancelled = trainer.processes.any(job.cancelled(), device)
            due = done % every == 0 or done == steps
            # reading the losses waits for a GPU, which is then idle
            if trainer.processes.first and (due or cancelled or device.type == "cpu" or done % READ_EVERY == 0):
                sheet = self._save(trainer, sheet=due) if due or cancelled else None
                rate = (done - first) * batch / (time.monotonic() - started)
                numbers = {**losses, "images_per_s": rate}
                job.report(Progress(done=done, total=steps, stage="generator", numbers=numbers, preview=sheet))
            if cancelled:
                raise Cancelled(
                    f"Stopped after {done * batch:,} pictures; what there is so far is kept as {self.kept_as}, "
                    "and the same command goes on from there."
                )

        data = (tuple(_to(item, device) for item in batch) for batch in batches(trainer.steps_done))
        generator = train(trainer, data, after_step=after_step)
        if trainer.processes.first:
            self.keep(generator)
        return generator

    def _save(self, trainer: Trainer, *, sheet: bool) -> np.ndarray | None:
        """Save everything; the sheet is returned too, small enough to be watched: uint8 [H, W, 3]."""
        trainer.save(self.work / CHECKPOINT)
        self.keep(trainer.finished())
        if sheet:
            picture = grid_picture(sample_sheet(trainer.average, range(4 * self.columns)), self.columns)
            picture.save(self.work / f"sheet-{trainer.steps_done * trainer.settings.batch:07d}.png")
            picture.thumbnail((SHOWN_PX, SHOWN_PX))
            return np.asarray(picture)
        return None


def grid_picture(images: Tensor, columns: int) -> Image.Image:
    """Images [N, 3, H, W] in [-1, 1] side by side in rows, N a multiple of `columns`."""
    n, _, height, width = images.shape
    pixels = as_pixels(images).reshape(n // columns, columns, height, width, 3)
    return Image.fromarray(pixels.swapaxes(1, 2).reshape(n // columns * height, columns * width, 3))


def _device(trainer: Trainer):
    return trainer.generator.mapping.w_avg.device


def _to(item, device):
    """A tensor, or what else of a batch can be moved; None stays."""
    return None if item is None else item.to(device)
