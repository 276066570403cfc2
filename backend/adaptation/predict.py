"""What a run will take, said before it starts: memory by arithmetic, time by one step that is thrown away."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from ..errors import OutOfMemory
from .clip import Clip
from .methods import METHODS
from .settings import AdaptSettings
from .subject import Subject

CLIP_BYTES = 40 * 2**20
"""Activations that a ViT-B/32 keeps for one picture of 224 px; others are taken to grow with the number of pixels."""
CHECKPOINTED = 0.88
"""The share of the activations that is left where only those between blocks are kept: the last block is as large as all
others together, and what its backward pass works with is larger still (47 + 64 of 62 + 64 MiB a picture of 256 px)."""
COPIES = 6
"""Of everything trained: itself and as it was before the step, its gradient, Adam's two moments, the average."""
ROOM = 0.9
"""The share of the free memory that a run may plan with."""


@dataclass(frozen=True, kw_only=True)
class Need:
    """Bytes beyond the loaded models, and how many are free; None = nobody knows."""

    kept: int
    trained: int
    free: int | None

    @property
    def total(self) -> int:
        return self.kept + self.trained

    @property
    def fits(self) -> bool:
        return self.free is None or self.total <= ROOM * self.free


def memory(subject: Subject, settings: AdaptSettings, clips: Sequence[Clip]) -> Need:
    """What training keeps at once, if no activation is computed twice."""
    method = METHODS[settings.method_name]
    shapes = method.shapes(subject, settings)
    seen = sum(CLIP_BYTES * (clip.size / 224) ** 2 for clip in clips) * (2 if settings.patch else 1)
    kept = settings.batch * (subject.cost(list(shapes)).kept_bytes + seen)
    trained = COPIES * 4 * sum(math.prod(shape) for shape in shapes.values())
    weights = sum(p.numel() * p.element_size() for p in subject.parameters().values())
    # The frozen weights' sums of squares, and the weights with their changes added, come and go beside what stays.
    return Need(kept=round(kept), trained=trained + 2 * weights, free=free_bytes(subject.device))


def plan(subject: Subject, settings: AdaptSettings, clips: Sequence[Clip]) -> tuple[Need, bool]:
    """(need, whether to compute activations twice). OutOfMemory, with advice, for a run that cannot fit."""
    need = memory(subject, settings, clips)
    sparing = replace(need, kept=round(CHECKPOINTED * need.kept))
    if settings.checkpointing is not None:
        need = sparing if settings.checkpointing else need
    elif not need.fits:
        settings, need = replace(settings, checkpointing=True), sparing
    if not need.fits:
        advice = [] if settings.checkpointing else ["--checkpointing"]
        advice += ["a smaller --batch"] if settings.batch > 1 else []
        advice += ["a smaller --train-size"]
        advice += ["--method style"] if need.trained > need.kept else []
        raise OutOfMemory(
            f"This adaptation needs about {need.total >> 20:,} MiB beyond the models, and {(need.free or 0) >> 20:,} "
            f"are free; try {' or '.join(advice)}, or close other programs."
        )
    return need, bool(settings.checkpointing)


def free_bytes(device: torch.device) -> int | None:
    """Memory that is free on the device now; None where that cannot be asked."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError):
        return None
