"""When an adaptation has done enough, and which of its snapshots is the result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from .measures import Measures

SNAPSHOT_EVERY = 25
PLATEAU = 0.01
PATIENCE = 3
"""Less rise of the direction score than PLATEAU over PATIENCE snapshots, and "auto" stops; relief comes after colour,
and the score rests between them. Diversity may be under its floor for fewer snapshots in a row: at first one colour
covers everything, and the pictures part again."""


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """The trained tensors after some iterations, and what they did to the fixed latents."""

    iterations: int
    tensors: dict[str, Tensor]
    measures: Measures


def finished(snapshots: Sequence[Snapshot], diversity_floor: float) -> bool:
    """Whether to stop: diversity stays under its floor, or the direction score no longer rises."""
    if not snapshots:
        return False
    if len(snapshots) >= PATIENCE and all(s.measures.retention < diversity_floor for s in snapshots[-PATIENCE:]):
        return True
    if len(snapshots) < 2 * PATIENCE:
        return False
    before = max(s.measures.direction for s in snapshots[:-PATIENCE])
    return max(s.measures.direction for s in snapshots[-PATIENCE:]) < before + PLATEAU


def best(snapshots: Sequence[Snapshot], diversity_floor: float) -> Snapshot:
    """The highest direction score among the snapshots that keep their diversity; the first one where none does."""
    diverse = [s for s in snapshots if s.measures.retention >= diversity_floor]
    return max(diverse, key=lambda s: s.measures.direction) if diverse else snapshots[0]
