"""Asset libraries for Blender."""

from __future__ import annotations

import time
from collections.abc import Mapping

from ...job import Job
from ..parameters import parse
from .context import Answer, Context, absolute


def asset_library(context: Context, params: Mapping, arrays: Mapping, job: Job) -> Answer:
    from ...textures.asset_library import LibrarySettings, make_library

    (settings,) = parse("asset_library", params, LibrarySettings)
    for name in ("folder", "blender", "addon"):
        absolute(name, getattr(settings, name))
    began_s = time.monotonic()
    return Answer(value=make_library(settings, job) | {"seconds": time.monotonic() - began_s})
