"""A run that goes on from a style: only one of the same settings, or its provenance would not be true."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from torch import Tensor

from ..errors import BadRequest
from .methods import METHODS
from .settings import AdaptSettings
from .style import Style
from .subject import Subject

NO_SOURCE = "the generator's own pictures"
"""What a style names as its source where pictures alone are the target."""
PICTURES = ("images", "source_images")
FREE = (
    *("iterations", "preview_every", "diversity_floor", "precision", "checkpointing", "deterministic", "rollbacks"),
    *("method", "learning_rate"),
)
"""Settings that may differ: how long, how it is computed and shown; and two that are compared in another way."""
ONCE = {"contrast": 0.0, "diversity": 0.0}
"""What a style did whose program did not know a setting, where that is not the setting's default."""


def told_settings(settings: AdaptSettings, *, learning_rate: float, judge: str, rollbacks: int = 0) -> dict[str, Any]:
    """Every setting of a run for its style's provenance; pictures by what is in them, since a style holds no path.

    learning_rate  at the end of the run
    """
    told = asdict(settings) | {"learning_rate": learning_rate, "judge": judge}
    for name in PICTURES:
        told[name] = [hashlib.sha256(path.read_bytes()).hexdigest() for path in getattr(settings, name)]
    return told | ({"rollbacks": rollbacks} if rollbacks else {})


def tensors_to_go_on_from(
    style: Style, subject: Subject, settings: AdaptSettings, told: Mapping[str, Any]
) -> dict[str, Tensor]:
    """Copies of the style's tensors, in the order of a fresh run: sums over them are to have the same bits.

    told    `told_settings` of the run that is to go on
    Raises  BadRequest where the style is another run's
    """
    shapes = METHODS[settings.method_name].shapes(subject, settings)
    _check_same_run(style, subject, settings, told, shapes)
    begun = {name: style.tensors[name].detach().clone() for name in shapes if name in style.tensors}
    return {name: t.to(subject.device) for name, t in begun.items()}


def _check_same_run(
    style: Style,
    subject: Subject,
    settings: AdaptSettings,
    told: Mapping[str, Any],
    shapes: Mapping[str, tuple[int, ...]],
) -> None:
    info, s = style.info, settings
    there = {name: tuple(t.shape) for name, t in style.tensors.items()}
    fits = there.items() <= shapes.items() if METHODS[s.method_name].selects else there == shapes
    asked = (s.method_name, s.source or NO_SOURCE, s.described_target(), subject.hash())
    if (info.method, info.source, info.target, info.generator_hash) != asked:
        what = f"{info.method}: {info.source!r} to {info.target!r} on {info.generator!r}"
    elif differing := _differences(info.settings, told):
        what = "; ".join(differing)
    elif not fits:
        what = "its tensors have other shapes"
    else:
        return
    raise BadRequest(
        f"The style {info.name!r} was made with other settings ({what}), so this run cannot go on from it; give those, "
        "or start anew."
    )


def with_defaults(settings: Mapping[str, Any]) -> dict[str, Any]:
    """A style's settings with those that its program did not know yet, as JSON has them."""
    return json.loads(json.dumps({f.name: f.default for f in fields(AdaptSettings)} | ONCE | dict(settings)))


def _differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Half a sentence for each setting that differs."""
    then, now = with_defaults(then), with_defaults(now)
    found = [_told(n, then[n], now[n]) for n in now if n not in FREE and n in then and then[n] != now[n]]
    began, asked = _first_rate(then), _first_rate(now)
    return found if math.isclose(began, asked) else [*found, _told("learning_rate", began, asked)]


def _first_rate(settings: Mapping[str, Any]) -> float:
    """The learning rate at the beginning: each step that was undone halved it. 0 = none is told that could be."""
    rate, undone = settings["learning_rate"], settings.get("rollbacks", 0)
    usable = isinstance(rate, int | float) and type(undone) is int and 0 <= undone <= 1000
    return rate * 2.0**undone if usable else 0.0


def _told(name: str, then: Any, now: Any) -> str:
    if name in PICTURES:
        return f"other {name}"
    return f"{name} {then}, not {now}"
