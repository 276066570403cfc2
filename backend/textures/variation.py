"""What may be varied of a seed's picture: how its latents are truncated, mixed and moved, and what noise it gets."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, fields
from typing import Any

from ...stylegan2.seeds import SEED_LIMIT
from ..errors import BadRequest

Source = int | str
"""What a picture is made from: a seed, or the name of a kept texture."""

NOISES = ("fixed", "none", "animated")
GROUPS = {"coarse": slice(0, 4), "middle": slice(4, 8), "fine": slice(8, None)}
"""The w vectors that drive 4 and 8 px, 16 and 32 px, and the rest (Karras et al. 2019, section 3.1)."""
MOST_MIXED, MOST_DIRECTIONS = 16, 64
_DIRECTION = re.compile(r"d(\d{1,4})(?:-(coarse|middle|fine))?")


@dataclass(frozen=True, kw_only=True)
class Variation:
    """psi             truncation: 1 = as varied as trained .. 0 = the mean picture; lower is safer and less varied
    cutoff          how many of the w vectors, from the coarse ones on, are truncated; None = all
    mix             (seed, layer) pairs: from w vector `layer` on, the picture takes that seed's latents
    directions      (name, amount) pairs: d0, d1, ... as `stylegan2.directions` finds them, `d0-coarse`, `-middle` or
                    `-fine` for those of some layers; amount 1 = one standard deviation
    noise           fixed | none | animated (in walks: goes round once in the walk)
    class_index     which class, of a generator that has them; None = the first one
    noise_seed      seed of the noise and, where the generator takes them, of the input map and the places of its
                    constant; None = the picture's own. One seed for many pictures: they share their layout
    noise_strength  factors of the noise, one for each convolution from coarse to fine; the last holds for the rest
    """

    psi: float = 0.8
    cutoff: int | None = None
    mix: tuple[tuple[int, int], ...] = ()
    directions: tuple[tuple[str, float], ...] = ()
    class_index: int | None = None
    noise: str = "fixed"
    noise_seed: int | None = None
    noise_strength: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        if not (math.isfinite(self.psi) and -2 <= self.psi <= 2):
            raise BadRequest(f"The truncation psi is {self.psi}; give a number from -2 to 2 (0.8 is usual).")
        if self.cutoff is not None and self.cutoff < 0:
            raise BadRequest(f"The cutoff is {self.cutoff}; give the number of layers that are truncated, 0 or more.")
        check_class(self.class_index)
        if self.noise not in NOISES:
            raise BadRequest(f"There is no noise {self.noise!r}; choose from {', '.join(NOISES)}.")
        if len(self.mix) > MOST_MIXED or len(self.directions) > MOST_DIRECTIONS:
            raise BadRequest(f"At most {MOST_MIXED} seeds are mixed in and {MOST_DIRECTIONS} directions added at once.")
        for seed in (*(seed for seed, _ in self.mix), *([] if self.noise_seed is None else [self.noise_seed])):
            if not 0 <= seed < SEED_LIMIT:
                raise BadRequest(f"The seed {seed} is out of range; give whole numbers from 0 to {SEED_LIMIT - 1}.")
        for seed, layer in self.mix:
            if layer < 0:
                raise BadRequest(f"The seed {seed} is mixed in from layer {layer}; layers are counted from 0.")
        for name, amount in self.directions:
            split_direction(name)
            if not (math.isfinite(amount) and abs(amount) <= 100):
                raise BadRequest(f"The amount of the direction {name!r} is {amount}; give a number, like 2.")
        if not self.noise_strength or not all(math.isfinite(n) and abs(n) <= 100 for n in self.noise_strength):
            raise BadRequest("The noise strength is not usable; give a factor, or one for each layer, like 1,1,0.5.")

    def varied(self) -> dict[str, Any]:
        """The settings that are not at their defaults, but for psi, JSON-able: for a picture's record."""
        # not `asdict`: an item of a batch holds thousands of seeds, and each of its pictures asks
        settings = {f.name: (getattr(self, f.name), f.default) for f in fields(Variation) if f.name != "psi"}
        return {name: value for name, (value, default) in settings.items() if value != default}


def check_class(class_index: int | None) -> None:
    """Raises BadRequest where it can be no class of any generator."""
    if class_index is not None and class_index < 0:
        raise BadRequest(f"The class is {class_index}; give its number, from 0 on.")


def split_direction(name: str) -> tuple[int, str]:
    """ "d3" -> (3, ""), "d3-fine" -> (3, "fine"). Raises BadRequest"""
    found = _DIRECTION.fullmatch(name)
    if not found:
        raise BadRequest(
            f"There is no direction {name!r}; write d0, d1, ... or, for some layers alone, "
            "d0-coarse, d0-middle, d0-fine."
        )
    return int(found[1]), found[2] or ""
