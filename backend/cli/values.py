"""How values are written on the command line: seeds `0-15` or `3,7,12`, sizes `512x512`, styles `mossy:0.8`, ...

Each function is an argparse `type`: it returns the value or raises `ArgumentTypeError` with one sentence that shows
the right form.
"""

from __future__ import annotations

import math
from argparse import ArgumentTypeError
from pathlib import Path

MAPS = ("color", "height", "normal", "roughness", "ao", "orm")
MOST_SEEDS = 100_000  # a typing slip such as 0-1000000000 must not fill the memory
LARGEST_SEED = 2**32 - 1


def seeds(text: str) -> list[int]:
    """`0-3,7` -> [0, 1, 2, 3, 7]: single seeds and ranges with both ends included, in the order they were written."""
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not _is_number(first) or (dash and not _is_number(last)):
            raise ArgumentTypeError(f"{text!r} is not a list of seeds; write them like 0-15 or 3,7,12.")
        low, high = int(first), int(last) if dash else int(first)
        if high < low:
            raise ArgumentTypeError(f"The range {part.strip()!r} runs backwards; write {high}-{low}.")
        if high > LARGEST_SEED:
            raise ArgumentTypeError(f"The seed {high} is too large; the largest is {LARGEST_SEED}.")
        if len(found) + high - low + 1 > MOST_SEEDS:
            raise ArgumentTypeError(f"{text!r} holds too many seeds; give at most {MOST_SEEDS} at once.")
        found.extend(range(low, high + 1))
    return found


def seed(text: str) -> int:
    """One seed: a whole number from 0 up."""
    if not _is_number(text) or int(text) > LARGEST_SEED:
        raise ArgumentTypeError(f"{text!r} is not a seed; give a whole number from 0 to {LARGEST_SEED}.")
    return int(text)


def size(text: str) -> tuple[int, int]:
    """`512x256` -> (512, 256), width first, in pixels; `512` alone is a square."""
    width, times, height = text.lower().partition("x")
    if not times:
        height = width
    if not _is_number(width) or not _is_number(height) or not int(width) or not int(height):
        raise ArgumentTypeError(f"{text!r} is not a size; write WIDTHxHEIGHT in pixels, like 512x512.")
    return int(width), int(height)


def style(text: str) -> tuple[str, float]:
    """`mossy:0.8` -> ("mossy", 0.8); without a strength it is 1."""
    name, colon, strength = text.partition(":")
    try:
        value = float(strength) if colon else 1.0
    except ValueError:
        value = math.nan
    if not name or not math.isfinite(value):
        raise ArgumentTypeError(f"{text!r} is not a style; write NAME or NAME:STRENGTH, like mossy:0.8.")
    return name, value


def maps(text: str) -> list[str]:
    """`color,normal` -> ["color", "normal"]; `all` stands for every map."""
    names = list(MAPS) if text == "all" else [part.strip() for part in text.split(",")]
    for name in names:
        if name not in MAPS:
            raise ArgumentTypeError(f"{name!r} is not a map; choose from {', '.join(MAPS)} or write all.")
    return names


def iterations(text: str) -> int | str:
    """`auto`, or how many steps to train."""
    if text == "auto":
        return text
    return count(text)


def count(text: str) -> int:
    """A whole number from 1 up."""
    if not _is_number(text) or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is not a number of things; give a whole number from 1 up.")
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


def _is_number(text: str) -> bool:
    """Whether `text` is plain decimal digits (`int` alone would take ' 1_0', '٣' and '+5' too), few enough to read."""
    return text.isascii() and text.isdigit() and len(text) <= 18
