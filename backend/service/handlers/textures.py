"""Pictures: textures, walks and batches."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ...errors import BadRequest
from ...job import Job
from ..parameters import parse
from .context import Answer, Context, Folder, OptionalFolder, absolute
from .entries import plain, style_warnings


@dataclass(frozen=True, kw_only=True)
class BatchRequest(Folder):
    jobs: dict | None = None
    file: Path | None = None
    resume: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        absolute("file", self.file)
        if (self.jobs is None) == (self.file is None):
            raise BadRequest("batch needs either `jobs` (a map with defaults and items) or `file` (a TOML file).")


def generate(context: Context, params: Mapping, arrays: Mapping, job: Job) -> Answer:
    from ...textures import generate as textures

    settings, where = parse("generate", params, textures.GenerateSettings, OptionalFolder)
    began_s = time.monotonic()
    made = textures.generate(context.store, settings, where.out, job)
    value = {"files": made.files, "memory_mib": made.memory_mib}
    value |= {"warnings": style_warnings(context, settings.generator, settings.styles)}
    return Answer(value=value | {"seconds": time.monotonic() - began_s}, arrays=made.images)


def directions(context: Context, params: Mapping, arrays: Mapping, job: Job) -> Answer:
    from ...textures.direction_sheet import DirectionSettings, show_directions

    settings, where = parse("directions", params, DirectionSettings, OptionalFolder)
    began_s = time.monotonic()
    made = show_directions(context.store, settings, where.out, job)
    value = {"directions": made.directions, "file": plain(made.file), "seconds": time.monotonic() - began_s}
    return Answer(value=value, arrays={} if made.file else {"sheet": made.sheet[None]})


def walk(context: Context, params: Mapping, arrays: Mapping, job: Job) -> Answer:
    from ...textures import walk as walks

    settings, where = parse("walk", params, walks.WalkSettings, Folder)
    began_s = time.monotonic()
    made = walks.walk(context.store, settings, where.out, job)
    used = [*settings.styles, *(style for key in settings.key_styles for style in key)]
    told = style_warnings(context, settings.generator, used)
    value = {"files": made.files, "frames": settings.frames, "out": str(where.out), "warnings": told}
    return Answer(value=value | {"seconds": time.monotonic() - began_s})


def batch(context: Context, params: Mapping, arrays: Mapping, job: Job) -> Answer:
    from ...textures.batch import BatchSettings, run_batch

    (asked,) = parse("batch", params, BatchRequest)
    began_s = time.monotonic()
    settings = BatchSettings.from_toml(asked.file) if asked.file else BatchSettings.from_mapping(asked.jobs)
    made = run_batch(context.store, settings, asked.out, job, resume=asked.resume)
    value = {name: plain(getattr(made, name)) for name in ("out", "manifest", "written", "skipped", "failed")}
    return Answer(value=value | {"seconds": time.monotonic() - began_s})
