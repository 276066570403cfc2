"""Mining the part of a style's domain that fits its target."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from ...job import Job
from ..parameters import parse
from .context import Answer, Context
from .entries import style_value


@dataclass(frozen=True, kw_only=True)
class MineRequest:
    """generator  None = the one that the style was made for"""

    name: str
    generator: str | None = None


def mine_style(context: Context, params: Mapping, arrays: Mapping, job: Job) -> Answer:
    """Train a style's mapper and keep it in the style. A cancel leaves the style as it was."""
    from ...adaptation.mapper import MineSettings, mine
    from ...models.clips import find_clip

    asked, settings = parse("mine_style", params, MineRequest, MineSettings)
    store, began_s = context.store, time.monotonic()
    style = store.style(asked.name)
    generator = store.generator(asked.generator or style.info.generator)
    clips = [find_clip(store.root, name, str(store.device)) for name in style.info.clips]
    judge = find_clip(store.root, style.info.settings.get("judge", style.info.clips[0]), str(store.device))
    store.library.rewrite(mine(generator, style, settings, clips=clips, judge=judge, job=job))
    entry = next(entry for entry in store.styles() if entry.name == asked.name)
    return Answer(value={"style": style_value(entry), "seconds": time.monotonic() - began_s})
