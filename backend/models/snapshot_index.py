"""Which snapshots of a run there are, and how they measured: read from their file's header, without PyTorch."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import BadCheckpoint, Damaged
from .headers import FileHeader, read_header

METADATA_KEY = "latent_loom_snapshots"
FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class Point:
    """One snapshot as lists show it."""

    iterations: int
    measures: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class SnapshotIndex:
    """run      `StyleInfo.run` of the run: snapshots of another run are none of a style's
    points   in the order of training
    history  name of a number (loss, direction) -> its value at every iteration
    """

    run: str
    points: tuple[Point, ...]
    history: dict[str, list[float]] = field(default_factory=dict)

    @property
    def iterations(self) -> tuple[int, ...]:
        return tuple(point.iterations for point in self.points)


def read_snapshots(path: Path) -> SnapshotIndex:
    """What the file holds, from its header alone. Raises BadCheckpoint, OSError."""
    return index_of(read_header(path), path.name)


def index_of(header: FileHeader, file_name: str) -> SnapshotIndex:
    """Raises BadCheckpoint where the header is not that of snapshots."""
    try:
        about = json.loads(header.metadata[METADATA_KEY])
        if about["format"] > FORMAT:
            raise BadCheckpoint(f"{file_name} was written by a newer Latent Loom; update this one to read it.")
        points = tuple(_point(entry) for entry in about["snapshots"])
        history = {str(name): [float(v) for v in values] for name, values in about["history"].items()}
        there = {name.partition("/")[0] for name in header.shapes}
        if not points or [p.iterations for p in points] != sorted({p.iterations for p in points}):
            raise ValueError("the snapshots are in no order")
        if not {str(p.iterations) for p in points} <= there:
            raise ValueError("a snapshot is missing")
        return SnapshotIndex(run=str(about["run"]), points=points, history=history)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Damaged(f"The snapshots {file_name} are damaged; the style itself is not.") from error


def _point(entry: dict[str, Any]) -> Point:
    if type(entry["iterations"]) is not int or entry["iterations"] < 1:
        raise ValueError("not a number of iterations")
    return Point(
        iterations=entry["iterations"], measures={str(n): float(value) for n, value in entry["measures"].items()}
    )
