"""How a style is named where one is used: `mossy`, or `mossy@75`, as it was after 75 iterations. Needs no PyTorch."""

from __future__ import annotations

import re

from ..errors import BadRequest

_NUMBER = re.compile(r"\d{1,6}(\.\d{1,6})?", re.ASCII)


def split(reference: str) -> tuple[str, float | None]:
    """ "mossy@75" -> ("mossy", 75.0), "mossy" -> ("mossy", None). Raises BadRequest for what follows @ and is none."""
    name, at, iterations = reference.partition("@")
    if not at:
        return name, None
    if not _NUMBER.fullmatch(iterations):
        raise BadRequest(f"{reference!r} is not a style; write NAME or NAME@ITERATIONS, like mossy@75.")
    return name, float(iterations)


def join(name: str, iterations: float | None) -> str:
    """The one spelling of a reference: ("mossy", 75.0) -> "mossy@75"."""
    if iterations is None:
        return name
    return f"{name}@{iterations:.6f}".rstrip("0").rstrip(".")
