"""The kinds of picture that a generator's seeds fall into, by name: of the built-in one, the families of materials."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from ...stylegan2.checkpoints.native import Header
from ...stylegan2.latents import seeds_of_kind
from ...stylegan2.seeds import SEED_LIMIT
from ..errors import BadRequest, not_found

KINDS = "kinds"
"""The metadata entry of a generator's file that names them: a JSON list."""
MOST_SEEDS = 4096


def kind_names(header: Header) -> tuple[str, ...]:
    """One name for each kind, in their order; numbers where the file names none, or not as many as there are."""
    kinds = header.config.kinds
    try:
        names = json.loads(header.metadata.get(KINDS, "[]"))
    except ValueError:
        names = []
    if not isinstance(names, list) or len(names) != kinds or not all(isinstance(name, str) for name in names):
        return tuple(str(index) for index in range(kinds))
    return tuple(names)


@dataclass(frozen=True, kw_only=True)
class SeedsWanted:
    """kind       name of a kind of picture, such as brick
    generator  name of a generator in the store
    count      how many seeds
    start      the first seed that may be among them
    """

    kind: str
    generator: str = "builtin"
    count: int = 16
    start: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.count <= MOST_SEEDS:
            raise BadRequest(f"{self.count} seeds are asked for; ask for 1 to {MOST_SEEDS}.")
        if not 0 <= self.start <= SEED_LIMIT - 1_000_000:
            raise BadRequest(f"The first seed is {self.start}; give a whole number from 0 to {SEED_LIMIT - 1_000_000}.")


def seeds_wanted(header: Header, wanted: SeedsWanted) -> list[int]:
    """Seeds of the kind that is asked for.

    Raises  BadRequest where the generator knows no kinds; NotFound for another name
    """
    names = kind_names(header)
    if not names:
        raise BadRequest(f"The generator {wanted.generator!r} knows no kinds of picture; choose seeds by eye.")
    if wanted.kind not in names:
        raise not_found("kind", wanted.kind, names, "")
    index, config = names.index(wanted.kind), header.config
    return seeds_of_kind(index, config.kinds, config.z_dim, count=wanted.count, start=wanted.start)


def counted_seeds(header: Header, generator: str, kind: str, numbers: Sequence[int]) -> tuple[int, ...]:
    """Of the seeds that show the kind, from 0 on, those with these numbers: 0 is the first, 1 the second.

    Raises  as `seeds_wanted`, and BadRequest for a number of MOST_SEEDS or more
    """
    if numbers and max(numbers) >= MOST_SEEDS:
        raise BadRequest(
            f"With a kind, seeds count those that show it, from 0 to {MOST_SEEDS - 1}; {max(numbers)} is too far on."
        )
    found = seeds_wanted(header, SeedsWanted(kind=kind, generator=generator, count=max(numbers, default=0) + 1))
    return tuple(found[number] for number in numbers)
