"""What each request does: one function per type, no sockets. The service and the command line call the same ones.

    HANDLERS[type](context, params, arrays, job) -> Answer         raises LoomError and what `as_loom_error` knows

Everything that needs PyTorch is imported inside the functions, so that a table of names costs nothing and the service
can bind, and refuse a taken address, before it spends seconds on that import.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...job import Job
from .adaptation import PARTIAL, adapt, adapt_cancel, adapt_status
from .assets import asset_library
from .batches import batch, batch_cancel, batch_status
from .checkpoints import export, import_
from .context import Answer, Context, idle_status
from .kept import delete_texture, keep, kept_textures, project
from .library import free, models, seeds, status
from .mining import mine_style
from .own_models import delete_clip, delete_generator, disk, fetch_clip, train_generator
from .reporting import report_style
from .style_files import (
    choose_snapshot,
    delete_style,
    derive_style,
    export_style,
    import_style,
    rename_style,
    show_style,
    styles,
)
from .textures import directions, generate, grid, walk

__all__ = [
    "AT_ONCE",
    "AT_THE_DESK",
    "AT_THE_DOOR",
    "HANDLERS",
    "PARTIAL",
    "Answer",
    "Context",
    "Handler",
    "idle_status",
]

Handler = Callable[[Context, Mapping[str, Any], Mapping[str, np.ndarray], Job], Answer]

HANDLERS: dict[str, Handler] = {
    "status": status,
    "models": models,
    "styles": styles,
    "adapt": adapt,
    "adapt_status": adapt_status,
    "adapt_cancel": adapt_cancel,
    "generate": generate,
    "seeds": seeds,
    "directions": directions,
    "walk": walk,
    "grid": grid,
    "batch": batch,
    "batch_status": batch_status,
    "batch_cancel": batch_cancel,
    "asset_library": asset_library,
    "import": import_,
    "fetch_clip": fetch_clip,
    "delete_clip": delete_clip,
    "train_generator": train_generator,
    "delete_generator": delete_generator,
    "disk": disk,
    "export": export,
    "mine_style": mine_style,
    "show_style": show_style,
    "rename_style": rename_style,
    "delete_style": delete_style,
    "choose_snapshot": choose_snapshot,
    "import_style": import_style,
    "export_style": export_style,
    "derive_style": derive_style,
    "report_style": report_style,
    "project": project,
    "keep": keep,
    "textures": kept_textures,
    "delete_texture": delete_texture,
    "free": free,
}

AT_THE_DESK = frozenset(
    {
        *("models", "styles", "show_style", "rename_style", "delete_style", "textures", "delete_texture"),
        *(
            "seeds",
            "adapt_status",
            "adapt_cancel",
            "batch_status",
            "batch_cancel",
            "free",
            "delete_clip",
            "delete_generator",
            "disk",
        ),
    }
)
"""Requests that compute nothing: they need not wait for the device's worker."""

AT_THE_DOOR = frozenset({"import", "fetch_clip", "asset_library"})
"""Requests that may wait minutes for the network or another program: they hold up neither the device nor the lists."""

AT_ONCE = frozenset({"status"})
"""Requests that only read what the I/O thread knows."""
