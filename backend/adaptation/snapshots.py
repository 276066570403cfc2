"""The snapshots of a run, kept beside its style, so that one can go back along a slider: `NAME.snapshots.safetensors`.

    "75/P"    tensor P of the style as it was after 75 iterations, as in the style's own file
    "state/S" tensor S of the trainer's state after the last of them, for a run that is to go on
    metadata  one JSON entry: which run this is, each snapshot's measures, the training's numbers at every iteration

The list is read from the header alone, one snapshot without the others. A style is linear, so between two snapshots
their deltas are mixed in proportion; before the first one lies the unchanged generator.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..errors import BadRequest, Damaged
from ..models.headers import FileHeader, check_digest, read_header
from ..models.snapshot_index import FORMAT, METADATA_KEY, index_of
from .style import DOWN, UP, check_finite, check_layout, writing_tensors

if TYPE_CHECKING:
    from .adapt import Snapshot

STATE = "state/"
ROOM_BYTES = 256 * 2**20
"""Snapshots of one run on the disk. Only `full` on large generators needs more: then every second one is dropped,
and again, always keeping the last and the one that became the style."""


def save_snapshots(path: Path, run: str, snapshots: Sequence[Snapshot], **more: Any) -> None:
    """Write the file, whole or not at all; see `saving_snapshots`."""
    with saving_snapshots(path, run, snapshots, **more):
        pass


def saving_snapshots(
    path: Path,
    run: str,
    snapshots: Sequence[Snapshot],
    *,
    chosen: float | None = None,
    history: Mapping[str, Sequence[float]] | None = None,
    state: Mapping[str, Tensor] | None = None,
) -> AbstractContextManager[None]:
    """The file is written at the beginning of the block and appears at its end (`style.writing_tensors`). What is over
    ROOM_BYTES is thinned out, but never `chosen` and the last."""
    kept = thin(snapshots, ROOM_BYTES, chosen)
    tensors = {f"{s.iterations}/{name}": t for s in kept for name, t in s.tensors.items()}
    tensors |= {STATE + name: t for name, t in (state or {}).items()}
    about = {
        "format": FORMAT,
        "run": run,
        "snapshots": [{"iterations": s.iterations, "measures": s.measures.as_dict()} for s in kept],
        "history": {name: [round(float(v), 5) for v in values] for name, values in (history or {}).items()},
    }
    return writing_tensors(path, tensors, METADATA_KEY, json.dumps(about, sort_keys=True))


def thin(snapshots: Sequence[Snapshot], room_bytes: int, chosen: float | None = None) -> list[Snapshot]:
    """As many of the snapshots as have room, evenly spread."""
    kept = list(snapshots)
    while len(kept) > 2 and sum(_bytes(s) for s in kept) > room_bytes:
        last = len(kept) - 1
        fewer = [s for n, s in enumerate(kept) if (last - n) % 2 == 0 or s.iterations == chosen]
        if len(fewer) == len(kept):
            break
        kept = fewer
    return kept


def _bytes(snapshot: Snapshot) -> int:
    return sum(t.numel() * t.element_size() for t in snapshot.tensors.values())


def load_position(path: Path, iterations: float) -> tuple[dict[str, Tensor], dict[str, float]]:
    """(tensors, measures) at a position from 0 to the last snapshot; between two of them there are no measures.

    Raises  BadRequest for a position that lies outside, BadCheckpoint
    """
    header = read_header(path)
    points = index_of(header, path.name).points
    last = points[-1].iterations if points else 0
    if not (math.isfinite(iterations) and 0 <= iterations <= last):
        there = ", ".join(str(p.iterations) for p in points) or "none"
        raise BadRequest(f"There is no state after {iterations:g} iterations; the snapshots are {there}.")
    for point in points:
        if point.iterations == iterations:
            return _load(path, header, point.iterations), point.measures
    after = next(p.iterations for p in points if p.iterations > iterations)
    before = max((p.iterations for p in points if p.iterations < iterations), default=0)
    later = _load(path, header, after)
    earlier = _load(path, header, before) if before else {name: torch.zeros_like(t) for name, t in later.items()}
    return between(earlier, later, (iterations - before) / (after - before)), {}


def between(a: dict[str, Tensor], b: dict[str, Tensor], share: float) -> dict[str, Tensor]:
    """Tensors of a style whose deltas are (1 - share) * those of a + share * those of b: a low-rank pair stays one.

    Two factors of rank r become one of rank 2 r: the ups side by side, each times its share, and the downs on top of
    each other. A tensor that only one of them has counts as 0 in the other.
    """
    mixed: dict[str, Tensor] = {}
    for name in [*a, *(name for name in b if name not in a)]:
        parts = [(each[name], s) for each, s in ((a, 1 - share), (b, share)) if name in each]
        if name.endswith(UP):
            mixed[name] = torch.cat([t.float() * s for t, s in parts], dim=1)
        elif name.endswith(DOWN):
            mixed[name] = torch.cat([t.float() for t, _ in parts])
        else:
            mixed[name] = torch.stack([t.float() * s for t, s in parts]).sum(0)
    return mixed


def load_snapshots(path: Path) -> dict[int, dict[str, Tensor]]:
    """All snapshots' tensors, by iterations: what a run that goes on begins with."""
    header = read_header(path)
    index_of(header, path.name)
    check_digest(path.read_bytes(), METADATA_KEY, path.name)
    return {n: _load(path, header, n) for n in index_of(header, path.name).iterations}


def load_state(path: Path) -> dict[str, Tensor]:
    """The trainer's state that was kept with the snapshots; {} where there is none."""
    header = read_header(path)
    return _tensors(path, [name for name in header.shapes if name.startswith(STATE)], STATE)


def _load(path: Path, header: FileHeader, iterations: int) -> dict[str, Tensor]:
    prefix = f"{iterations}/"
    names = [name for name in header.shapes if name.startswith(prefix)]
    part = FileHeader(
        shapes={name.removeprefix(prefix): header.shapes[name] for name in names},
        dtypes={name.removeprefix(prefix): header.dtypes[name] for name in names},
        metadata={},
    )
    check_layout(part, path.name)
    tensors = _tensors(path, names, prefix)
    check_finite(tensors, path.name)
    return tensors


def _tensors(path: Path, names: Sequence[str], prefix: str) -> dict[str, Tensor]:
    try:
        with safe_open(path, framework="pt") as file:
            return {name.removeprefix(prefix): file.get_tensor(name).clone() for name in names}
    except (SafetensorError, OSError) as error:
        raise Damaged(f"The snapshots {path.name} are damaged; the style itself is not.") from error
