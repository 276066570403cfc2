"""What a picture is made from: the settings that `generate`, `walk` and the items of a batch share, and their rules."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ...protocol.limits import MAX_PICTURE_PX
from ...stylegan2.seeds import SEED_LIMIT
from ..errors import BadRequest
from ..models.files import check_name
from .files import DEEP, FORMATS, MAPS
from .pbr import PbrSettings
from .variation import Source, Variation

TILES = ("none", "x", "y", "xy")
SMALLEST_PX, LARGEST_PX = 16, MAX_PICTURE_PX
MOST_STYLES = 16
StyleList = tuple[tuple[str, float], ...]


@dataclass(frozen=True, kw_only=True)
class Look(Variation):
    """generator  name of a generator in the store
    styles     (name, strength) pairs, added up; strength 1 = as trained
    size       (width, height) in pixels, 16..8192 each
    tile       axes on which the picture is seamless: none | x (along the width) | y | xy
    mine       how far the styles' mappers pull samples to what fits the styles best: 0 = not, 1 = as trained
    psi, cutoff, mix, directions, class_index, noise, noise_seed, noise_strength   see `variation.Variation`
    maps       color, height, normal, roughness, ao, orm
    format     of the colour picture: png | png16 | exr | jpeg | webp; the other maps are always PNG
    material, relief, normal, roughness   see `pbr.PbrSettings`
    """

    generator: str = "builtin"
    styles: StyleList = ()
    size: tuple[int, int] = (512, 512)
    tile: str = "xy"
    mine: float = 0.0
    maps: tuple[str, ...] = ("color",)
    format: str = "png"
    material: str = "auto"
    relief: float = 1.0
    normal: str = "opengl"
    roughness: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_size(self.size)
        check_choice("tile mode", self.tile, TILES)
        check_choice("format", self.format, tuple(FORMATS))
        if not self.maps:
            raise BadRequest(f"No map is asked for; name at least one of {', '.join(MAPS)}.")
        for which in self.maps:
            check_choice("map", which, MAPS)
        if len(set(self.maps)) < len(self.maps):
            raise BadRequest(f"A map is named twice in {', '.join(self.maps)}; name each once.")
        if not 0 <= self.mine <= 2:
            raise BadRequest(f"Mining is {self.mine}; give a number from 0 (none) to 2 (1 is as trained).")
        check_styles(self.styles)
        self.pbr  # noqa: B018  its settings check themselves

    @property
    def pbr(self) -> PbrSettings:
        return PbrSettings(material=self.material, relief=self.relief, normal=self.normal, roughness=self.roughness)

    @property
    def deep(self) -> bool:
        """Whether the colour keeps more than 8 bits."""
        return self.format in DEEP


def check_size(size: tuple[int, int]) -> None:
    if len(size) != 2 or not all(isinstance(n, int) and SMALLEST_PX <= n <= LARGEST_PX for n in size):
        shown = "x".join(str(n) for n in size)
        raise BadRequest(
            f"The size {shown} is out of range; give width x height, {SMALLEST_PX} to {LARGEST_PX} px each."
        )


def check_choice(kind: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise BadRequest(f"There is no {kind} {value!r};{_near(value, choices)} choose from {', '.join(choices)}.")


def check_seeds(seeds: tuple[Source, ...]) -> None:
    if not seeds:
        raise BadRequest("No seed is given; give at least one whole number.")
    for seed in seeds:
        if isinstance(seed, str):
            check_name(seed)
        elif not 0 <= seed < SEED_LIMIT:
            raise BadRequest(f"The seed {seed} is out of range; give whole numbers from 0 to {SEED_LIMIT - 1}.")


def check_styles(styles: StyleList) -> None:
    if len(styles) > MOST_STYLES:
        raise BadRequest(f"{len(styles)} styles are mixed at once; mix at most {MOST_STYLES}.")
    for name, strength in styles:
        if not (math.isfinite(strength) and -10 <= strength <= 10):
            raise BadRequest(f"The strength of the style {name!r} is {strength}; give a number from -10 to 10.")


def check_keys(what: str, given: Iterable[str], known: Iterable[str]) -> None:
    """BadRequest naming the first key of `given` that is not `known`, and what it may have been meant to be."""
    known = tuple(known)
    for key in given:
        if key not in known:
            raise BadRequest(f"{what} has an unknown key {key!r};{_near(key, known)} known are {', '.join(known)}.")


def _near(value: Any, choices: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(str(value), choices, n=2, cutoff=0.5)
    return f" did you mean {' or '.join(repr(n) for n in near)}?" if near else ""
