"""Values as they stand on the command line, each as an argparse `type`: seeds `0-15`, sizes `512x512`, `mossy:0.8`.

What a batch file can hold too is spelled as there (`textures/spelling.py`); that is imported when a value is read, so
that `--help` stays quick. Each function returns the value or raises `ArgumentTypeError` with one sentence that shows
the right form.
"""

from __future__ import annotations

import math
from argparse import ArgumentTypeError
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import BadRequest

MAPS = ("color", "height", "normal", "roughness", "ao", "orm")
MATERIALS = (
    *("auto", "stone", "brick", "wood", "ground", "plaster", "fabric", "leather", "tiles", "polished", "metal", "ice"),
)
LARGEST_SEED = 2**32 - 1


def seeds(text: str) -> list[int]:
    """`0-3,7` -> [0, 1, 2, 3, 7]: single seeds and ranges with both ends included, in the order they were written."""
    from ..textures import look, spelling

    found = _told(spelling.seeds, text)
    _told(look.check_seeds, found)
    return list(found)


def seed(text: str) -> int:
    """One seed: a whole number from 0 up."""
    if not _is_number(text) or int(text) > LARGEST_SEED:
        raise ArgumentTypeError(f"{text!r} is not a seed; give a whole number from 0 to {LARGEST_SEED}.")
    return int(text)


def keep(text: str) -> tuple[int, str]:
    """`7=wall` -> (7, "wall")."""
    number, _, name = text.partition("=")
    if not name:
        raise ArgumentTypeError(f"{text!r} names no texture; write SEED=NAME, like 7=wall.")
    return seed(number), name


def size(text: str) -> tuple[int, int]:
    """`512x256` -> (512, 256), width first, in pixels; `512` alone is a square."""
    from ..textures import look, spelling

    found = _told(spelling.size, text)
    _told(look.check_size, found)
    return found


def style(text: str) -> tuple[str, float]:
    """`mossy:0.8` -> ("mossy", 0.8); without a strength it is 1."""
    from ..textures import look, spelling

    (found,) = _told(spelling.styles, [text]) or (("", 1.0),)
    if not found[0]:
        raise ArgumentTypeError(f"{text!r} is not a style; write NAME or NAME:STRENGTH, like mossy:0.8.")
    _told(look.check_styles, (found,))
    return found


def mix(text: str) -> tuple[int, int]:
    """`7@4` -> (7, 4): from layer 4 on, seed 7."""
    from ..textures import spelling

    return _told(spelling.mixes, text)[0]


def direction(text: str) -> tuple[str, float]:
    """`d0:2` -> ("d0", 2.0)."""
    from ..textures import spelling, variation

    (found,) = _told(spelling.directions, text)
    _told(variation.split_direction, found[0])
    return found[0], number(text.partition(":")[2])


def numbers(text: str) -> list[float]:
    """`0,0.5,1` -> [0.0, 0.5, 1.0], all finite."""
    return [number(part) for part in text.split(",")]


def key(text: str) -> Any:
    """`7,mossy:0.8,d0:2,psi=0.7,hold=10,ease=smooth` -> a key of a walk; in place of the seed, a kept texture."""
    from ..textures import keys

    return _told(keys.read_key, text)


def maps(text: str) -> list[str]:
    """`color,normal` -> ["color", "normal"]; `all` stands for every map."""
    from ..textures import look, spelling

    names = _told(spelling.maps, text)
    for name in names:
        _told(lambda name: look.check_choice("map", name, MAPS), name)
    return list(names)


def weighted(text: str) -> tuple[str, float]:
    """`wet stone:0.5` -> ("wet stone", 0.5); without a weight it is 1. A colon that no number follows is the text's."""
    name, colon, weight = text.rpartition(":")
    try:
        return (name, float(weight)) if colon else (text, 1.0)
    except ValueError:
        return text, 1.0


def iterations(text: str) -> int | str:
    """`auto`, or how many steps to train."""
    if text != "auto" and (not _is_number(text) or int(text) < 1):
        raise ArgumentTypeError(f"{text!r} is not a number of steps; give a whole number from 1 up, or auto.")
    return text if text == "auto" else int(text)


def count(text: str) -> int:
    """A whole number from 1 up."""
    if not _is_number(text) or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is not a number of things; give a whole number from 1 up.")
    return int(text)


def whole(text: str) -> int:
    """A whole number from 0 up."""
    if not _is_number(text):
        raise ArgumentTypeError(f"{text!r} is not a number; give a whole number from 0 up.")
    return int(text)


def number(text: str) -> float:
    """A finite number."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ArgumentTypeError(f"{text!r} is not a number; write it like 0.7.")
    return value


def path(text: str) -> Path:
    """A path; `~` is the home folder. An empty one is a slip (an unset variable) and is refused."""
    if not text.strip():
        raise ArgumentTypeError("The path is empty; name a file or folder.")
    return Path(text).expanduser()


def source(text: str) -> Path | str:
    """A path, or an address as text: whatever has a scheme like `https://`."""
    if "://" in text:
        from ..models.web import check_address

        _told(check_address, text)
        return text
    return path(text)


def _told(read: Callable[[Any], Any], value: Any) -> Any:
    """`read(value)`, with its refusal as argparse's."""
    try:
        return read(value)
    except BadRequest as refusal:
        raise ArgumentTypeError(str(refusal)) from refusal


def _is_number(text: str) -> bool:
    """Whether `text` is plain decimal digits (`int` alone would take ' 1_0', '٣' and '+5' too), few enough to read."""
    return text.isascii() and text.isdigit() and len(text) <= 18
