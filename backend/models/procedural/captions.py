"""What a rendered material is called: its attributes, and captions in varied wording.

A caption without a condition means an unweathered material; a caption without a colour or without a family leaves
that open. `matches` says which captions are true of which pictures, so that training counts no true pair as false.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from .conditions import CONDITIONS
from .families import FAMILIES

TINTS: dict[str, tuple[float, float, float]] = {
    "red": (0.75, 0.16, 0.13),
    "orange": (0.9, 0.48, 0.12),
    "yellow": (0.9, 0.8, 0.2),
    "green": (0.2, 0.58, 0.24),
    "blue": (0.15, 0.33, 0.72),
    "purple": (0.46, 0.22, 0.6),
    "pink": (0.92, 0.55, 0.68),
    "brown": (0.42, 0.27, 0.16),
    "white": (0.94, 0.93, 0.91),
    "black": (0.1, 0.1, 0.105),
    "grey": (0.5, 0.5, 0.5),
}

FAMILY_WORDS: dict[str, tuple[str, ...]] = {
    "stone": ("stone", "stone", "rock"),
    "wood": ("wood", "wood", "timber"),
    "brick": ("brick", "bricks", "brick wall"),
    "cobblestone": ("cobblestone", "cobblestones", "paving stones"),
    "plaster": ("plaster", "plaster", "stucco"),
    "metal": ("metal", "metal", "steel", "brushed metal"),
    "fabric": ("fabric", "cloth", "woven fabric"),
    "soil": ("soil", "dirt", "earth"),
    "grass": ("grass", "grass", "lawn"),
    "tiles": ("tiles", "tile", "ceramic tiles"),
    "bark": ("bark", "tree bark"),
}

CONDITION_WORDS: dict[str, tuple[str, ...]] = {
    "mossy": ("mossy {}", "mossy {}", "{} covered with moss", "{} with moss", "moss covered {}", "overgrown {}"),
    "rusty": ("rusty {}", "rusty {}", "rusted {}", "{} covered with rust", "{} with rust", "corroded {}"),
    "snowy": ("snowy {}", "snowy {}", "{} covered with snow", "snow covered {}", "{} with snow"),
    "frosted": ("frosted {}", "frosty {}", "frozen {}", "{} covered with frost", "{} with frost"),
    "cracked": ("cracked {}", "cracked {}", "{} with cracks", "broken {}", "fractured {}"),
    "wet": ("wet {}", "wet {}", "damp {}", "{} covered with water"),
    "dusty": ("dusty {}", "dusty {}", "{} covered with dust", "{} with dust"),
    "burnt": ("burnt {}", "burned {}", "charred {}", "scorched {}"),
    "gilded": ("gilded {}", "golden {}", "{} covered with gold", "gold {}"),
    "painted": ("painted {}", "painted {}", "{} with paint", "{} covered with paint"),
    "scratched": ("scratched {}", "scratched {}", "{} with scratches", "scuffed {}"),
    "muddy": ("muddy {}", "muddy {}", "{} covered with mud", "{} with mud"),
}

TEMPLATES = (
    "{}",
    "{} texture",
    "{} surface",
    "a photo of {}",
    "a close up photo of {}",
    "a picture of {}",
    "a texture of {}",
    "a seamless texture of {}",
    "a render of {}",
    "the surface of {}",
)

NOTHING = -1


@dataclass(frozen=True)
class Attributes:
    """A picture's, or a caption's, attributes as indices into FAMILIES, CONDITIONS, TINTS; NOTHING = none or open."""

    family: int
    condition: int = NOTHING
    tint: int = NOTHING


FAMILY_NAMES, CONDITION_NAMES, TINT_NAMES = list(FAMILIES), list(CONDITIONS), list(TINTS)


def _choose(chance: float, options: Sequence[str]) -> str:
    return options[int(chance * len(options))]


def describe(picture: Attributes, rng: Generator) -> tuple[str, Attributes]:
    """A caption that is true of a picture, and the attributes that it mentions."""
    no_tint, no_family, noun, wording, template = torch.rand(5, generator=rng).tolist()
    family, tint = picture.family, picture.tint
    if tint != NOTHING and no_tint < 0.3:
        tint = NOTHING
    if picture.condition != NOTHING and no_family < 0.12:
        family = NOTHING
    name = FAMILY_NAMES[family] if family != NOTHING else ""
    phrase = _choose(noun, FAMILY_WORDS.get(name, (name,)) if name else ("material", "something"))
    if tint != NOTHING:
        phrase = f"{TINT_NAMES[tint]} {phrase}"
    if picture.condition != NOTHING:
        phrase = _choose(wording, CONDITION_WORDS[CONDITION_NAMES[picture.condition]]).format(phrase)
    return _choose(template, TEMPLATES).format(phrase), Attributes(family, picture.condition, tint)


def matches(pictures: list[Attributes], captions: list[Attributes]) -> Tensor:
    """Bool [len(pictures), len(captions)]: whether the caption is true of the picture."""
    seen = torch.tensor([(a.family, a.condition, a.tint) for a in pictures])[:, None]
    said = torch.tensor([(a.family, a.condition, a.tint) for a in captions])[None]
    same = seen == said
    open_ = said == NOTHING
    return (same[..., 0] | open_[..., 0]) & same[..., 1] & (same[..., 2] | open_[..., 2])


def vocabulary() -> list[str]:
    """Every word that a caption can have, sorted."""
    phrases = [
        *TEMPLATES,
        *TINTS,
        *FAMILIES,
        *(w for words in FAMILY_WORDS.values() for w in words),
        *(w for words in CONDITION_WORDS.values() for w in words),
        *CONDITIONS,
        "material something",
    ]
    return sorted({word for phrase in phrases for word in phrase.replace("{}", " ").split()})
