"""The user's own models: full CLIPs fetched, generators trained on a folder, both deleted; what the disk holds."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ...errors import BadRequest
from ...job import Job
from ..parameters import parse
from .context import Answer, Context, Named, Nothing, absolute
from .entries import generator_value, plain

PARTS = ("generators", "styles", "kept", "clips", "training", "downloads")


@dataclass(frozen=True, kw_only=True)
class TrainRequest:
    """The settings that artists choose of `models.own_generator.OwnTraining`, and the name.

    images  folder of pictures
    start   a generator to go on from; "" = none
    """

    name: str
    images: Path
    size: int = 128
    total: int = 100_000
    tileable: bool = False
    flips: bool = True
    start: str = ""
    seed: int = 0
    save_every: int = 4_000
    overwrite: bool = False

    def __post_init__(self) -> None:
        absolute("images", self.images)
        if self.total < 1 or self.save_every < 1:
            raise BadRequest("total and save_every are numbers of pictures, of at least 1.")


def fetch_clip(context: Context, params: Mapping, arrays: Mapping, job: Job) -> Answer:
    from ...models.full_clips import fetch_full_clip

    (asked,) = parse("fetch_clip", params, Named)
    folder = fetch_full_clip(context.store.root, asked.name, job)
    return Answer(value={"clip": asked.name, "bytes": _bytes(folder)})


def delete_clip(context: Context, params: Mapping, arrays: Mapping, job: Job) -> Answer:
    from ...models.full_clips import delete_clip

    (asked,) = parse("delete_clip", params, Named)
    delete_clip(context.store.root, asked.name)
    return Answer()


def delete_generator(context: Context, params: Mapping, arrays: Mapping, job: Job) -> Answer:
    """The generator, and the checkpoint of its training; styles that were made on it stay."""
    (asked,) = parse("delete_generator", params, Named)
    context.store.delete_generator(asked.name)
    shutil.rmtree(context.store.root / "training" / asked.name, ignore_errors=True)
    return Answer()


def train_generator(context: Context, params: Mapping, arrays: Mapping, job: Job) -> Answer:
    """Train a generator on a folder of pictures. A cancel keeps it; the same request goes on from there."""
    from ...models.own_generator import OwnTraining, train_own_generator

    (asked,) = parse("train_generator", params, TrainRequest)
    began_s = time.monotonic()
    said: list[str] = []
    chosen = {name: getattr(asked, name) for name in ("size", "total", "tileable", "flips", "start", "seed")}
    settings = OwnTraining(images=str(asked.images), save_every=asked.save_every, **chosen)
    store = context.store
    train_own_generator(
        settings, store, asked.name, overwrite=asked.overwrite, job=job, say=said.append, device=str(store.device)
    )
    entry = next(entry for entry in store.generators() if entry.name == asked.name)
    value = {"generator": generator_value(entry), "warnings": plain(said), "seconds": time.monotonic() - began_s}
    return Answer(value=value | {"folder": str(store.root / "training" / asked.name) if context.for_owner else ""})


def disk(context: Context, params: Mapping, arrays: Mapping, job: Job) -> Answer:
    """What the data folder holds, in bytes."""
    parse("disk", params, Nothing)
    root = context.store.root
    parts = {name: _bytes(root / name) for name in PARTS}
    there = next(place for place in (root, *root.parents) if place.exists())
    shown = str(root) if context.for_owner else ""
    return Answer(value={"root": shown, "parts": parts, "free_bytes": shutil.disk_usage(there).free})


def _bytes(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except OSError:  # it went meanwhile
            continue
    return total
