# SPDX-License-Identifier: GPL-3.0-or-later
"""Small pictures of the styles in a mix and of the keys of a walk, asked of the backend once and kept as icons."""

from __future__ import annotations

import dataclasses

import bpy

from . import icons, live, params, runtime
from .job import FINISHED, Job
from .pixels import left_square

MOST = 64
KEY_PX = 128
_known: dict[str, object] = {}
"""Style -> what it was when its thumbnail was asked for; one that was trained anew is asked for again."""
_asked: set[str] = set()
"""Icons of walk keys that were asked for."""


def fetch() -> None:
    """Ask for the pictures that are missing. Never waits."""
    session = runtime.session()
    if not session.connected or bpy.app.background:
        return
    there = {str(style.get("name")): (style.get("iterations"), style.get("bytes")) for style in session.styles}
    settings = [scene.loom for scene in bpy.data.scenes]
    keys = [(one, key) for one in settings for key in one.walk_keys[:MOST]]
    wanted = {slot.name for holder in (*settings, *(key for _, key in keys)) for slot in holder.styles}
    for name in sorted(wanted & set(there))[:MOST]:
        if _known.get(name) != there[name]:
            if name in _known:
                _asked.clear()  # keys with a style that was trained anew look otherwise now
            _known[name] = there[name]
            session.submit("show_style", {"name": name}, quiet=True, on_end=_arrived)
    for one, key in keys:
        _ask_key(one, key)


def forget() -> None:
    _known.clear()
    _asked.clear()


def icon_of(style: str) -> int:
    """The icon's number, 0 while there is none."""
    return icons.number(_name(style))


def icon_of_key(settings, key) -> int:
    """That of a walk's key, 0 while there is none: since its sliders were moved, too."""
    return icons.number(live.key_of(_texture_of(settings, key)))


def _ask_key(settings, key) -> None:
    asked = _texture_of(settings, key)
    name = live.key_of(asked)
    if name in _asked:
        return
    _asked.add(name)

    def arrived(job: Job) -> None:
        if job.state == FINISHED:
            icons.keep(name, job.arrays["color"][0])

    runtime.session().submit("generate", asked, quiet=True, on_end=arrived)


def _texture_of(settings, key) -> dict:
    """Params of the `generate` that makes the picture of `key`."""
    at, look = key.as_key(), settings.look(maps=("color",))
    size = tuple(min(edge, KEY_PX) for edge in look.size)
    look = dataclasses.replace(look, styles=at.styles, directions=at.directions, psi=at.psi, size=size)
    return params.generate(look, seeds=[at.source], out=None)


def _name(style: str) -> str:
    return f"style:{style}"


def _arrived(job: Job) -> None:
    if job.state == FINISHED and "thumbnail" in job.arrays:
        icons.keep(_name(str(job.value["style"]["name"])), left_square(job.arrays["thumbnail"][0]))
