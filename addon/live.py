# SPDX-License-Identifier: GPL-3.0-or-later
"""The live texture: an image on the object that follows the sliders, the animation and, exactly, the render.

    a slider moves -> `changed` -> a request in the slot "live" (a newer one replaces it) -> `_arrived` -> the pixels
    the frame changes -> `after_frame` -> the same; for a render or without a window it waits, and never shows less

What a texture is asked with is its key: it says what an image shows, what is on its way and what is remembered.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

import bpy

from ..protocol.client import BackendLost
from . import live_images, params, picture_cache, place, pump, runtime, screen, troubles
from .job import FAILED, FINISHED, Job
from .params import BadInput

SLOT = "live"
SHARES = {"FULL": 1, "HALF": 2, "QUARTER": 4}

cache = picture_cache.PictureCache()
_shown: dict[int, str] = {}
"""Scene -> key of what its image shows."""
_asked: dict[str, int] = {}
"""Key -> number of the newest wish for it, while its request is on its way."""
_last_shown: dict[int, int] = {}
"""Scene -> number of the wish that it shows: an answer to an older one comes too late."""
_lists = ""
_count = 0
is_paused = False


class FrameLostError(Exception):
    """The texture of a frame cannot be had in time; the text is one sentence."""


def changed(group: bpy.types.PropertyGroup, context: bpy.types.Context) -> None:
    """A setting was changed by hand: the update of every property that a texture depends on.

    Without a window nobody looks: there the picture is made when a frame wants it.
    """
    scene = group.id_data
    if isinstance(scene, bpy.types.Scene) and scene.loom.live and not pump.must_wait():
        follow(scene)


def moved_on(group: bpy.types.PropertyGroup, context: bpy.types.Context) -> None:
    """The same where another texture is taken: whether it shows the chosen material is not known any more."""
    group.kind = ""
    changed(group, context)


def chose_model(group: bpy.types.PropertyGroup, context: bpy.types.Context) -> None:
    """The same where another model makes the textures: the classes, if it has any, are others."""
    group.class_index = 0
    moved_on(group, context)


def follow(scene: bpy.types.Scene, settings: Any = None) -> None:
    """Show what `settings` (those of `scene`, perhaps evaluated) ask for: at once, or when it comes. Never waits."""
    uid = scene.session_uid
    asked = asked_params(settings or scene.loom, full=False)
    key = key_of(asked)
    if _shown.get(uid) == key:
        _last_shown[uid] = _next()
        return
    held = cache.get(key)
    if held is not None:
        _show(scene, key, held)
        return
    if key in _asked:
        _asked[key] = _next()
    elif runtime.session().connected and runtime.lock.acquire(blocking=False):
        try:
            _ask(scene, key, asked)
        finally:
            runtime.lock.release()


def follow_all() -> None:
    """After a connection, or what may have changed the picture behind our back: see to every live scene."""
    for scene in bpy.data.scenes:
        if scene.loom.live:
            follow(scene)


def lists_came() -> None:
    """A style that was trained anew, or a generator of the same name, makes other textures of the same settings."""
    global _lists
    session = runtime.session()
    told = repr((session.styles, session.generators, session.textures))
    if told != _lists:
        _lists = told
        cache.clear()
        _shown.clear()
    follow_all()


def exact(scene: bpy.types.Scene, settings: Any) -> None:
    """Have the image show what `settings` ask for before this returns, in full size.

    Raises FrameLostError
    """
    try:
        asked = asked_params(settings, full=True)
    except BadInput as error:
        raise FrameLostError(str(error)) from error
    key = key_of(asked)
    if _shown.get(scene.session_uid) == key:
        return
    held = cache.get(key)
    if held is None:
        held = _wait_for(asked, settings.live_limit_s)
        cache.put(key, held)
    _show(scene, key, held)


def asked_params(settings: Any, *, full: bool) -> dict[str, Any]:
    """Params of the `generate` that makes the texture of now."""
    look = settings.look(live_images.MAPS if settings.live_pbr else ("color",))
    share = 1 if full else SHARES[settings.live_size]
    width, height = (max(16, edge // share) for edge in look.size)
    asked = params.generate(look, seeds=[settings.source_of_texture()], out=None)
    return asked | {"size": [width, height]}


def key_of(asked: Mapping[str, Any]) -> str:
    return json.dumps(asked, sort_keys=True)


@contextlib.contextmanager
def paused() -> Iterator[None]:
    """Frames may change without the texture following."""
    global is_paused
    is_paused, before = True, is_paused
    try:
        yield
    finally:
        is_paused = before


def forget() -> None:
    """Another file is open: its images show we know not what. What is remembered is still true."""
    _shown.clear()
    _last_shown.clear()
    _asked.clear()
    live_images.forget()


def mistrust() -> None:
    """Undo may have taken pixels back: what is shown is not sure any more."""
    _shown.clear()
    live_images.forget()
    follow_all()


def _next() -> int:
    global _count
    _count += 1
    return _count


def _ask(scene: bpy.types.Scene, key: str, asked: Mapping[str, Any]) -> None:
    where = place.Place(scene=place.identity(scene), object=None)
    job = runtime.session().submit(
        "generate",
        asked,
        title="Live texture",
        slot=SLOT,
        quiet=True,
        on_end=lambda job: _arrived(job, where, key),
    )
    if job.running:
        _asked[key] = _next()
    pump.start_timer()


def _arrived(job: Job, where: place.Place, key: str) -> None:
    number = _asked.pop(key, 0)
    session = runtime.session()
    if job.state == FAILED and job.trouble is not None:
        session.trouble = job.trouble
        screen.redraw()
    if job.state != FINISHED:
        return
    held = pictures_of(job)
    cache.put(key, held)
    scene = place.scene_at(where)
    if scene is None or job.detached or not scene.loom.live:
        return
    # One that is not the newest is still nearer to what is wanted than what is shown.
    if number >= _last_shown.get(scene.session_uid, 0):
        _show(scene, key, held, number)


def pictures_of(job: Job) -> dict[str, Any]:
    """Map -> picture of the one texture that `job` made."""
    return {name: array[0] for name, array in job.arrays.items()}


def _show(scene: bpy.types.Scene, key: str, held: Mapping[str, Any], number: int | None = None) -> None:
    live_images.show(scene, held)
    _shown[scene.session_uid] = key
    _last_shown[scene.session_uid] = number if number is not None else _next()
    screen.redraw(whole=("VIEW_3D",))


def _wait_for(asked: Mapping[str, Any], limit_s: float) -> dict[str, Any]:
    """Ask and wait, in whatever thread this is: nobody else may use the socket meanwhile. Raises FrameLostError."""
    if not runtime.lock.acquire(timeout=limit_s):
        raise FrameLostError("The texture of this frame could not be asked for: the add-on was busy all the time.")
    try:
        if pump.must_wait():
            pump.ready()
        job = runtime.session().submit("generate", asked, title="Texture of a frame", quiet=True)
        if not pump.wait_here(job, limit_s):
            raise FrameLostError(
                f"The backend did not make this frame's texture within {limit_s:.0f} s; give it more time in the "
                "Live panel, or bake the animation to a sequence."
            )
    except BackendLost as error:
        raise FrameLostError(f"There is no backend to make this frame's texture: {error}") from error
    finally:
        runtime.lock.release()
    if job.state != FINISHED:
        raise FrameLostError(job.trouble.sentence if job.trouble else troubles.died(None).sentence)
    return pictures_of(job)
