"""The keys of a walk as people write them: `3,mossy:0.8,d0:2,psi=0.7,hold=10,ease=smooth`, or a file of them.

A file is TOML or JSON: a list `keys` of tables with `seed` or `texture`, and what else a key may have:

    [[keys]]
    seed = 3
    styles = ["mossy:0.8"]
    directions = ["d0:2"]
    psi = 0.7
    hold = 10
    ease = "smooth"
"""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import BadRequest, NotFound
from . import spelling
from .batch_file import lines_of_toml
from .look import StyleList, check_choice, check_keys, check_seeds, check_styles
from .pace import EASES
from .variation import Source, split_direction

MOST_HELD = 10_000
LARGEST_FILE_BYTES = 2**24


@dataclass(frozen=True, kw_only=True)
class Key:
    """seed        a seed or the name of a kept texture
    styles      beside those of the whole walk
    directions  (name, amount) pairs, beside those of the whole walk
    psi         truncation; None = the walk's
    hold        frames that the walk stays here beside the one that arrives
    ease        of the way to the next key: see `pace.EASES`
    """

    seed: Source
    styles: StyleList = ()
    directions: tuple[tuple[str, float], ...] = ()
    psi: float | None = None
    hold: int = 0
    ease: str = "linear"

    def __post_init__(self) -> None:
        check_seeds((self.seed,))
        check_styles(self.styles)
        for name, amount in self.directions:
            split_direction(name)
            if not (math.isfinite(amount) and abs(amount) <= 100):
                raise BadRequest(f"The amount of the direction {name!r} is {amount}; give a number, like 2.")
        if self.psi is not None and not (math.isfinite(self.psi) and -2 <= self.psi <= 2):
            raise BadRequest(f"The truncation psi of a key is {self.psi}; give a number from -2 to 2 (0.8 is usual).")
        if not 0 <= self.hold <= MOST_HELD:
            raise BadRequest(f"A key is held for {self.hold} frames; give a number from 0 to {MOST_HELD}.")
        check_choice("easing", self.ease, EASES)


_TABLE = ("seed", "texture", "styles", "directions", "psi", "hold", "ease")
_DIRECTION = re.compile(r"d\d{1,4}(-[a-z]+)?:.*")


def read_key(text: str) -> Key:
    """`7,mossy:0.8,d0:2,psi=0.7` -> Key. What looks like d0:2 is a direction; other parts without = are styles."""
    first, *parts = (part.strip() for part in text.split(","))
    table: dict[str, Any] = {"styles": [], "directions": []}
    table["texture" if first[:1].isalpha() else "seed"] = first if first[:1].isalpha() else _whole(first, text)
    for part in parts:
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if equals and name in ("psi", "hold", "ease"):
            table[name] = _number(value, text) if name == "psi" else _whole(value, text) if name == "hold" else value
        elif equals:
            raise BadRequest(f"{part!r} in the key {text!r} is not known; a key has psi=, hold= and ease=.")
        else:
            table["directions" if _DIRECTION.fullmatch(part) else "styles"].append(part)
    return key_of(table)


def key_of(table: Any) -> Key:
    """A table of a file of keys -> Key. Raises BadRequest."""
    if not isinstance(table, dict):
        raise BadRequest(f"{table!r} is not a key; write a table with seed or texture.")
    check_keys("A key", table, _TABLE)
    if ("seed" in table) == ("texture" in table):
        raise BadRequest("A key has either a seed or a texture (the name of a kept one); give one of them.")
    for name, kind in (("texture", str), ("ease", str)):
        if name in table and not isinstance(table[name], kind):
            raise BadRequest(f"{table[name]!r} is not text; write {name} in quotes.")
    return Key(
        seed=table["texture"] if "texture" in table else spelling.whole(table["seed"]),
        styles=spelling.styles(table.get("styles", [])),
        directions=spelling.directions(table.get("directions", [])),
        psi=spelling.number(table["psi"]) if "psi" in table else None,
        hold=spelling.whole(table.get("hold", 0)),
        ease=table.get("ease", "linear"),
    )


def read_keys(path: Path) -> list[Key]:
    """The keys in a TOML or JSON file. Raises NotFound; BadRequest with the wrong key and, in TOML, its line."""
    try:
        if path.stat().st_size > LARGEST_FILE_BYTES:
            raise BadRequest(f"{path.name} is too large for a file of keys.")
        text = path.read_text("utf-8")
        found = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
    except OSError as error:
        raise NotFound(f"There is no file of keys {str(path)!r} that can be read; check the path.") from error
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"{path.name} is not readable as JSON or TOML: {error}") from error
    tables = found.get("keys") if isinstance(found, dict) else found
    if not isinstance(tables, list) or not tables:
        raise BadRequest(f"{path.name} has no keys; write a list of tables, [[keys]] in TOML.")
    keys = []
    for number, table in enumerate(tables, start=1):
        try:
            keys.append(key_of(table))
        except BadRequest as error:
            line = None if path.suffix.lower() == ".json" else lines_of_toml(text)("keys", number, _culprit(table))
            where = f"{path.name}, line {line}" if line else path.name
            raise BadRequest(f"{where}: key {number}: {error}") from error
    return keys


def _culprit(table: Any) -> str | None:
    """What stands in a key without which it would be right; None where it is no single thing's fault."""
    for name in table if isinstance(table, dict) else ():
        try:
            key_of({other: value for other, value in table.items() if other != name})
        except BadRequest:
            continue
        return name
    return None


def key_params(keys: Sequence[Key]) -> dict[str, Any]:
    """The parameters of the request `walk` that say `keys`; what every key has at its default is left out."""
    params: dict[str, Any] = {"seeds": [key.seed for key in keys]}
    if any(key.styles for key in keys):
        params["key_styles"] = [[list(style) for style in key.styles] for key in keys]
    if any(key.directions for key in keys):
        params["key_directions"] = [[list(direction) for direction in key.directions] for key in keys]
    for name, default in (("psi", None), ("hold", 0), ("ease", "linear")):
        values = [getattr(key, name) for key in keys]
        if any(value != default for value in values):
            params[f"key_{name}"] = values
    return params


def _whole(text: str, key: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= 18:
        return int(text)
    raise BadRequest(f"{text!r} in the key {key!r} is not a whole number; write a key like 7,mossy:0.8,hold=10.")


def _number(text: str, key: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise BadRequest(f"{text!r} in the key {key!r} is not a number; write it like psi=0.7.") from None
