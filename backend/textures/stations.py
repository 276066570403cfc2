"""Styles that change along a walk: every key may have its own, and between two keys their strengths go straight over.

A style is linear in its strength, so the generator at a moment is the source plus the sum of a_i(t) * delta_i. It is
summed anew from the source for each frame: a frame depends on its moment alone, not on the frames before.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

from ...stylegan2.networks import Generator
from ..adaptation.style import check_fits
from .look import StyleList

if TYPE_CHECKING:
    from ..models.store import Store


def strengths_at(stations: tuple[StyleList, ...], t: float, *, loop: bool) -> dict[str, float]:
    """Style -> strength at t in 0..1 of a walk through `stations`; a style that a key does not name is 0 there."""
    spans = len(stations) if loop else len(stations) - 1
    position = (t % 1.0 if loop else t) * spans
    first = min(int(position), spans - 1)
    share = position - first
    found: dict[str, float] = {}
    for station, weight in ((stations[first], 1 - share), (stations[(first + 1) % len(stations)], share)):
        for name, strength in station:
            found[name] = found.get(name, 0.0) + weight * strength
    return found


def generator_along(
    store: Store, base: Generator, stations: tuple[StyleList, ...], *, loop: bool
) -> Callable[[float], Generator]:
    """t -> `base` with the styles of that moment. One generator is used again and again: draw before asking anew.

    Raises  NotFound; BadRequest for a style of other shapes
    """
    if not any(stations):
        return lambda t: base
    deltas = {}
    for name in dict.fromkeys(name for station in stations for name, _ in station):
        style = store.style(name)
        check_fits(base, style)
        deltas[name] = style.deltas()
    source = dict(base.named_parameters())
    moving = copy.deepcopy(base)
    changed = {name: p for name, p in moving.named_parameters() if any(name in delta for delta in deltas.values())}

    @torch.no_grad()
    def at(t: float) -> Generator:
        strengths = strengths_at(stations, t, loop=loop)
        for parameter, p in changed.items():
            p.copy_(source[parameter])
            for name, strength in strengths.items():
                if strength and parameter in deltas[name]:
                    p.add_(deltas[name][parameter].to(p), alpha=strength)
        return moving

    return at
