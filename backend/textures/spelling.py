"""How people write values in batch files: `mossy:0.8`, `0-15,20`, `512x256`, `color,normal` - or the plain lists.

Each function takes what TOML or the wire can hold and returns the value, or raises BadRequest with the right spelling.
"""

from __future__ import annotations

import re
from typing import Any

from ..errors import BadRequest
from ..models.reference import join, split
from .files import MAPS
from .look import StyleList

MOST_SEEDS = 1_000_000  # a slip such as 0-1000000000 must not fill the memory


def styles(value: Any) -> StyleList:
    """ "mossy", "mossy:0.8", ["mossy:0.8", "snowy"] or [["mossy", 0.8]] -> (("mossy", 0.8), ...).

    A snapshot of a style, as it was after 75 iterations, is "mossy@75"; with a strength "mossy@75:0.8", "mossy:0.8@75".
    """
    return tuple(_style(one) for one in (value if isinstance(value, list | tuple) else [value]) if one != "")


def _style(value: Any) -> tuple[str, float]:
    if isinstance(value, str):
        name, colon, strength = value.partition(":")
        strength, at, iterations = strength.partition("@")
        name = f"{name.strip()}{at}{iterations.strip()}"
        try:
            return join(*split(name)), float(strength) if colon else 1.0
        except ValueError:
            pass
    elif isinstance(value, list | tuple) and len(value) == 2 and isinstance(value[0], str) and _is_number(value[1]):
        return value[0], float(value[1])
    raise BadRequest(f"{value!r} is not a style; write NAME or NAME:STRENGTH, like mossy:0.8, and @75 for a snapshot.")


def seeds(value: Any) -> tuple[int, ...]:
    """7, "0-3,7", ["0-3", "7"] or [0, 1, 2] -> (0, 1, 2, ...)."""
    if isinstance(value, list | tuple) and value and all(isinstance(part, str) for part in value):
        return seeds(",".join(value))  # several in a cell of a CSV file
    if _is_whole(value):
        return (value,)
    if isinstance(value, list | tuple) and all(_is_whole(seed) for seed in value):
        return tuple(value)
    if isinstance(value, str) and re.fullmatch(
        r"\s*\d{1,10}(-\d{1,10})?(\s*,\s*\d{1,10}(-\d{1,10})?)*\s*", value, re.ASCII
    ):
        found: list[int] = []
        for part in value.split(","):
            first, _, last = part.strip().partition("-")
            low, high = int(first), int(last or first)
            if high < low:
                raise BadRequest(f"The range of seeds {part.strip()} runs backwards; write {high}-{low}.")
            if len(found) + high - low >= MOST_SEEDS:
                raise BadRequest(f"{value!r} holds too many seeds; give at most {MOST_SEEDS} in one item.")
            found.extend(range(low, high + 1))
        return tuple(found)
    raise BadRequest(f"{value!r} is not a list of seeds; write them like 0-15 or 3,7,12.")


def names(value: Any) -> tuple[str, ...]:
    """ "wall" or ["wall", "floor"] -> ("wall", "floor")."""
    found = (value,) if isinstance(value, str) else value
    if isinstance(found, list | tuple) and found and all(isinstance(name, str) for name in found):
        return tuple(found)
    raise BadRequest(f'{value!r} is not a list of names; write one, or several like ["wall", "floor"].')


def size(value: Any) -> tuple[int, int]:
    """512, "512", "512x256" or [512, 256] -> (width, height)."""
    if _is_whole(value):
        return value, value
    if isinstance(value, list | tuple) and len(value) == 2 and all(_is_whole(n) for n in value):
        return value[0], value[1]
    if isinstance(value, str) and (match := re.fullmatch(r"(\d{1,6})(?:[xX](\d{1,6}))?", value.strip(), re.ASCII)):
        return int(match[1]), int(match[2] or match[1])
    raise BadRequest(f"{value!r} is not a size; write WIDTHxHEIGHT in pixels, like 512x512.")


def maps(value: Any) -> tuple[str, ...]:
    """ "all", "color,normal" or ["color", "normal"] -> names; `Look` checks that they exist."""
    if value == "all":
        return MAPS
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(","))
    if isinstance(value, list | tuple) and all(isinstance(name, str) for name in value):
        return tuple(value)
    raise BadRequest(f"{value!r} is not a list of maps; choose from {', '.join(MAPS)} or write all.")


def number(value: Any) -> float:
    if _is_number(value):
        return float(value)
    raise BadRequest(f"{value!r} is not a number; write it like 0.8.")


def whole(value: Any) -> int:
    if _is_whole(value):
        return value
    raise BadRequest(f"{value!r} is not a whole number; write it like 4.")


def numbers(value: Any) -> tuple[float, ...]:
    """0.5, "0,0.5,1" or [0, 0.5, 1] -> (0.0, 0.5, 1.0)."""
    parts = value.split(",") if isinstance(value, str) else value if isinstance(value, list | tuple) else [value]
    try:
        if all(isinstance(part, str) or _is_number(part) for part in parts):
            return tuple(float(part) for part in parts)
    except ValueError:
        pass
    raise BadRequest(f"{value!r} is not a list of numbers; write them like 0,0.5,1.")


def mixes(value: Any) -> tuple[tuple[int, int], ...]:
    """ "7@4", ["7@4", "9@8"] or [[7, 4]] -> ((7, 4), ...): seed 7 from layer 4 on."""
    return tuple(_mix(one) for one in (value if isinstance(value, list | tuple) else [value]))


def _mix(value: Any) -> tuple[int, int]:
    if isinstance(value, str) and (match := re.fullmatch(r"\s*(\d{1,10})@(\d{1,3})\s*", value, re.ASCII)):
        return int(match[1]), int(match[2])
    if isinstance(value, list | tuple) and len(value) == 2 and all(_is_whole(n) for n in value):
        return value[0], value[1]
    raise BadRequest(f"{value!r} mixes nothing in; write SEED@LAYER, like 7@4: the layers from 4 on are seed 7's.")


def directions(value: Any) -> tuple[tuple[str, float], ...]:
    """ "d0:2", ["d0:2", "d3-fine:-1"] or [["d0", 2]] -> (("d0", 2.0), ...)."""
    return tuple(_direction(one) for one in (value if isinstance(value, list | tuple) else [value]))


def _direction(value: Any) -> tuple[str, float]:
    if isinstance(value, str):
        name, _, amount = value.partition(":")
        try:
            return name.strip(), float(amount)
        except ValueError:
            pass
    elif isinstance(value, list | tuple) and len(value) == 2 and isinstance(value[0], str) and _is_number(value[1]):
        return value[0], float(value[1])
    raise BadRequest(f"{value!r} is not a direction; write NAME:AMOUNT, like d0:2 or d3-fine:-1.")


def text(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise BadRequest(f"{value!r} is not text; put it in quotation marks.")


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
