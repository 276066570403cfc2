"""Pictures: textures, sheets of directions and walks."""

from __future__ import annotations

import time
from collections.abc import Mapping

from ...job import Job
from ..parameters import parse
from .context import Answer, Context, Folder, OptionalFolder
from .entries import class_warnings, look_warnings, plain, style_warnings


def generate(context: Context, params: Mapping, arrays: Mapping, job: Job) -> Answer:
    from ...textures import generate as textures
    from ...textures.files import no_empty_folder

    settings, where = parse("generate", params, textures.GenerateSettings, OptionalFolder)
    began_s = time.monotonic()
    with no_empty_folder(where.out):
        made = textures.generate(context.store, settings, where.out, job)
    value = {"files": made.files, "memory_mib": made.memory_mib}
    value |= {"warnings": look_warnings(context, settings)}
    return Answer(value=value | {"seconds": time.monotonic() - began_s}, arrays=made.images)


def directions(context: Context, params: Mapping, arrays: Mapping, job: Job) -> Answer:
    from ...textures.direction_sheet import DirectionSettings, show_directions
    from ...textures.files import no_empty_folder

    settings, where = parse("directions", params, DirectionSettings, OptionalFolder)
    began_s = time.monotonic()
    with no_empty_folder(where.out):
        made = show_directions(context.store, settings, where.out, job)
    value = {"directions": made.directions, "file": plain(made.file)}
    value["warnings"] = style_warnings(context, settings.generator, settings.styles)
    value["warnings"] += class_warnings(context, settings.generator, settings.class_index)
    return Answer(
        value=value | {"seconds": time.monotonic() - began_s}, arrays={} if made.file else {"sheet": made.sheet[None]}
    )


def walk(context: Context, params: Mapping, arrays: Mapping, job: Job) -> Answer:
    from ...textures import walk as walks
    from ...textures.files import no_empty_folder

    settings, where = parse("walk", params, walks.WalkSettings, Folder)
    began_s = time.monotonic()
    with no_empty_folder(where.out):
        made = walks.walk(context.store, settings, where.out, job)
    told = look_warnings(context, settings, (style for key in settings.key_styles for style in key))
    value = {"files": made.files, "frames": settings.frames, "out": str(where.out), "warnings": told}
    value["animations"] = made.animations
    return Answer(value=value | {"seconds": time.monotonic() - began_s})


def grid(context: Context, params: Mapping, arrays: Mapping, job: Job) -> Answer:
    from ...textures import grid as grids
    from ...textures.files import no_empty_folder

    settings, where = parse("grid", params, grids.GridSettings, Folder)
    began_s = time.monotonic()
    with no_empty_folder(where.out):
        made = grids.grid(context.store, settings, where.out, job)
    value = {"file": plain(made.file), "frames": len(made.frames), "animation": plain(made.animation)}
    value["warnings"] = look_warnings(context, settings)
    return Answer(value=value | {"seconds": time.monotonic() - began_s})
