"""What a batch will take, before it is run: counts, time and disk.

Time and bytes are measured: of every kind of picture (generator, size, edges, maps, format) one is made, with its
maps, encoded and thrown away. A kind over `SAMPLE_PX` is measured at a smaller size and scaled by its area.
"""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import LoomError
from ..job import Job, Progress
from .batch import BatchItem, BatchSettings
from .files import encode
from .generate import GenerateSettings, make_texture, picture_origin, picture_record, picture_set, repetition
from .manifest import Manifest, whole_files
from .variation import Source

if TYPE_CHECKING:
    from ..models.store import Store

SAMPLE_PX = 1024
MOST_SAMPLES = 8
"""Kinds that are measured; further ones are reckoned by their pixels from those."""
Kind = tuple[Any, ...]


def estimate(
    store: Store, settings: BatchSettings, out: Path, job: Job, *, resume: bool = False, verify: bool = False
) -> dict[str, Any]:
    """{textures, files, there, seconds, bytes, free_bytes, samples, missing}; nothing is written.

    there    files that are complete already (with resume)
    missing  a sentence for each item whose models are not there
    """
    there = whole_files(out, verify=verify) if resume else {}
    kinds: dict[Kind, list[Any]] = {}  # kind -> [a texture of it, how many are to be made]
    missing: dict[str, None] = {}
    counts = {"textures": settings.pictures, "files": 0, "there": 0}
    broken: tuple[BatchItem | None, bool] = (None, False)
    for item, seed, strength in settings.textures():
        job.check()
        look = item.settings
        if item is not broken[0]:
            broken = (item, _missing(store, item, missing))
        counts["files"] += len(look.maps)
        if not broken[1] and there and _complete(store, item, seed, strength, there):
            counts["there"] += len(look.maps)
            continue
        kind = (look.generator, look.size, look.tile, look.maps, look.format)
        entry = kinds.setdefault(kind, [(item, seed, strength), 0, broken[1]])
        if entry[2] and not broken[1]:
            entry[0], entry[2] = (item, seed, strength), False
        entry[1] += 1
    seconds, size, samples = _measured(store, [tuple(entry) for entry in kinds.values()], job)
    return counts | {
        "seconds": round(seconds, 2), "bytes": round(size), "free_bytes": _free_bytes(out), "samples": samples,
        "missing": list(missing),
    }  # fmt: skip


def _missing(store: Store, item: BatchItem, missing: dict[str, None]) -> bool:
    try:
        store.generator(item.settings.generator)
        store.styled(item.settings.generator, item.settings.styles, item.settings.mine)
        for seed in item.settings.seeds:
            if isinstance(seed, str):
                store.kept_texture(seed, item.settings.generator)
    except LoomError as error:
        missing[str(error)] = None
        return True
    return False


def _complete(store: Store, item: BatchItem, seed: Source, strength: float | None, there: dict[str, bytes]) -> bool:
    origin = picture_origin(store, item.settings, seed, strength)
    return all(
        there.get(file) == Manifest.digest(picture_record(item.settings, origin, seed, which))
        for which, file in item.files(seed, strength).items()
    )


def _measured(
    store: Store, kinds: list[tuple[tuple[BatchItem, Source, float | None], int, bool]], job: Job
) -> tuple[float, float, int]:
    """(seconds, bytes, pictures measured) of all kinds. A texture whose style is missing is measured without it."""
    seconds = size = 0.0
    per_px: list[tuple[float, float]] = []
    for number, ((item, seed, strength), count, broken) in enumerate(kinds):
        job.check()
        look = item.settings
        px = look.size[0] * look.size[1] * len(look.maps)
        if number < MOST_SAMPLES:
            try:
                sample = _sample(store, look, 0 if broken else seed, None if broken else strength, plain=broken)
                per_px.append(sample)
            except LoomError:
                continue  # a missing generator: nothing of it will be made
        if not per_px:
            continue
        s, b = (
            per_px[-1] if number < MOST_SAMPLES else (sum(column) / len(per_px) for column in zip(*per_px, strict=True))
        )
        seconds, size = seconds + s * px * count, size + b * px * count
        job.report(Progress(done=number + 1, total=len(kinds), stage="measure"))
    return seconds, size, len(per_px)


def _sample(
    store: Store, look: GenerateSettings, seed: Source, strength: float | None, *, plain: bool
) -> tuple[float, float]:
    """(seconds, bytes) for each pixel of each map, of one picture made for the purpose. The first use of a model is
    not counted.
    """
    scale = min(1.0, SAMPLE_PX / max(look.size))
    size = (max(16, round(look.size[0] * scale)), max(16, round(look.size[1] * scale)))
    smaller = replace(look, size=size, styles=() if plain else look.styles, strengths=(), seeds=(seed,))
    make_texture(store, replace(smaller, size=(16, 16)), seed, None)
    began_s = time.monotonic()
    color = make_texture(store, smaller, seed, None if plain else strength)
    config = store.generator(look.generator).config
    repetition(config, color, smaller)
    size_bytes = 0
    for which, image in picture_set(config, color, smaller).items():
        size_bytes += len(encode(image, look.format if which == "color" else "png"))
    px = size[0] * size[1] * len(look.maps)
    return (time.monotonic() - began_s) / px, size_bytes / px


def _free_bytes(out: Path) -> int:
    there = next(folder for folder in (out, *out.parents) if folder.exists())
    return shutil.disk_usage(there if there.is_dir() else os.curdir).free
