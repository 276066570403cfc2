"""Mining the part of a style's domain that fits its target."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from ...errors import BadRequest
from ...job import Job
from ...models.reference import split
from ..parameters import parse
from .context import Answer, Context
from .entries import style_value, style_warnings


@dataclass(frozen=True, kw_only=True)
class MineRequest:
    """generator  None = the one that the style was made for"""

    name: str
    generator: str | None = None


def mine_style(context: Context, params: Mapping, arrays: Mapping, job: Job) -> Answer:
    """Train a style's mapper and keep it in the style. A cancel leaves the style as it was."""
    from ...adaptation.mapper import MineSettings, encoders, mine
    from ...models.clips import find_clip

    asked, settings = parse("mine_style", params, MineRequest, MineSettings)
    store, began_s = context.store, time.monotonic()
    store.library.own_path(_plain(asked.name))  # before the work
    style = store.style(asked.name)
    name = asked.generator or style.info.generator
    warnings, generator = style_warnings(context, name, [(asked.name, 1.0)]), store.generator(name)
    clips, judge = encoders(style.info)
    trained = [find_clip(store.root, clip, str(store.device)) for clip in (*clips, judge)]
    store.library.rewrite(mine(generator, style, settings, clips=trained[:-1], judge=trained[-1], job=job))
    value = {"style": style_value(store.library.entry(asked.name)), "warnings": warnings}
    return Answer(value=value | {"seconds": time.monotonic() - began_s})


def _plain(name: str) -> str:
    """The name; BadRequest for a state of a run (mossy@75), whose style it would silently become."""
    style, iterations = split(name)
    if iterations is not None:
        raise BadRequest(
            f"A mapper is kept in a style, not in a state of its run such as {name!r}; choose that state first: "
            f"latent-loom styles choose {style} --iterations {iterations:g}."
        )
    return style
