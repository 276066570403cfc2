# SPDX-License-Identifier: GPL-3.0-or-later
"""A small picture of each style in a mix, asked of the backend once and kept as an icon."""

from __future__ import annotations

import bpy

from . import icons, runtime
from .job import FINISHED, Job

MOST = 64
_known: dict[str, object] = {}
"""Style -> what it was when its thumbnail was asked for; one that was trained anew is asked for again."""


def fetch() -> None:
    """Ask for the thumbnails that are missing. Never waits."""
    session = runtime.session()
    if not session.connected or bpy.app.background:
        return
    there = {str(style.get("name")): (style.get("iterations"), style.get("bytes")) for style in session.styles}
    wanted = {slot.name for scene in bpy.data.scenes for slot in scene.loom.styles}
    for name in sorted(wanted & set(there))[:MOST]:
        if _known.get(name) != there[name]:
            _known[name] = there[name]
            session.submit("show_style", {"name": name}, quiet=True, on_end=_arrived)


def forget() -> None:
    _known.clear()


def icon_of(style: str) -> int:
    """The icon's number, 0 while there is none."""
    return icons.number(key(style))


def key(style: str) -> str:
    return f"style:{style}"


def _arrived(job: Job) -> None:
    if job.state == FINISHED and "thumbnail" in job.arrays:
        icons.keep(key(str(job.value["style"]["name"])), job.arrays["thumbnail"][0])
