"""What an adaptation is asked to do, checked once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..errors import BadRequest, PromptError

METHOD_NAMES = ("lowrank", "style", "layers", "full")
DEFAULT_METHOD = "lowrank"
"""The small method that measures best on the built-in models: docs/decisions/0004-default-method.md."""
PRECISIONS = ("auto", "float32", "mixed")
DEFAULT_RANK = 4
SELECT_EVERY = 50
PATCH_SIZE = 0.5

Weighted = tuple[tuple[str, float], ...]


@dataclass(frozen=True, kw_only=True)
class AdaptSettings:
    """What to aim at (see `aims`)

    source, target    prompts: what the texture is, what it is to become; without text targets both may be empty
    targets           more targets, each with its weight beside the 1 of `target`
    negatives         prompts to move away from, each with its weight
    images            one to a few pictures to become like
    source_images     pictures of what the texture is, for `images`; () = the generator's own
    keep_fixed        words whose directions are taken out of the target's: what is to stay as it is (`bias`)
    image_weight      weight of `images` beside the 1 of all text

    How (see `methods`)

    method            lowrank | style | layers | full; "auto" = the default one
    rank              of low-rank updates
    coarse            whether the coarsest third of the layers trains too (style, lowrank); they hold shape, not surface
    keep_share        share of the offsets that stays (style): the largest, trained on alone over the last third
    top_layers        how many convolutions train (layers); None = two thirds
    select_every      iterations between two selections of layers (layers)

    Losses (see `losses`), each by its weight: directional, contrast, global_loss, patch,
    in_domain, diversity, decay, gamut

    patch_size        side of a patch as a share of the picture's

    Training

    iterations        optimisation steps; "auto" = until quality no longer rises or diversity stays under its floor
    batch             pictures a step; the in-domain loss needs at least 2
    learning_rate     of Adam; None = the method's own
    clips             CLIP models whose losses are added, by name (`clip.load_clip`), each perhaps "NAME*WEIGHT"
    psi               truncation of the training latents; 1 = none
    mixing            share of pictures whose latents are mixed at a random layer, the same for both generators
    diversity_floor   "auto" goes back to the best snapshot that keeps this share of the source's diversity
    preview_every     iterations between previews; 0 = none
    tile              padding of both generators; None = as the generator was trained
    class_index       of a generator that has classes, the one that is trained on; None = all of them
    train_size        side of the pictures trained on, in pixels; None = the smallest that shows the CLIPs what they
                      would see in whole pictures (`faithful`)
    precision         "mixed" = 16 bits where that is safe; "auto" = mixed on a CUDA device, else float32
    checkpointing     activations are computed twice instead of kept; None = where memory is short
    deterministic     the same bits every time on a GPU too, for some speed; a CPU gives them anyway
    """

    source: str = ""
    target: str = ""
    targets: Weighted = ()
    negatives: Weighted = ()
    images: tuple[Path, ...] = ()
    source_images: tuple[Path, ...] = ()
    keep_fixed: tuple[str, ...] = ()
    image_weight: float = 1.0
    method: str = "auto"
    rank: int = DEFAULT_RANK
    coarse: bool = True
    keep_share: float = 1.0
    top_layers: int | None = None
    select_every: int = SELECT_EVERY
    directional: float = 1.0
    contrast: float = 0.3
    global_loss: float = 0.0
    patch: float = 0.0
    patch_size: float = PATCH_SIZE
    in_domain: float = 0.25
    diversity: float = 2.0
    decay: float = 0.0
    gamut: float = 1.0
    iterations: int | Literal["auto"] = "auto"
    seed: int = 0
    batch: int = 8
    learning_rate: float | None = None
    clips: tuple[str, ...] = ("builtin",)
    psi: float = 1.0
    mixing: float = 0.0
    diversity_floor: float = 0.7
    preview_every: int = 10
    tile: str | None = None
    class_index: int | None = None
    train_size: int | None = None
    precision: str = "auto"
    checkpointing: bool | None = None
    deterministic: bool = False

    def __post_init__(self) -> None:
        _check_aim(self)
        _check_ranges(self)
        _check_contradictions(self)
        self.weighted_clips()  # refuses what it cannot read

    @property
    def method_name(self) -> str:
        return DEFAULT_METHOD if self.method == "auto" else self.method

    @property
    def text_targets(self) -> Weighted:
        """All text targets with their weights, `target` first."""
        return (*(((self.target, 1.0),) if self.target.strip() else ()), *self.targets)

    @property
    def text_share(self) -> float:
        """How much of the aim is text."""
        return 1 / (1 + self.image_weight) if self.images else 1.0

    @property
    def prompts(self) -> tuple[str, ...]:
        """Every text that a CLIP must understand."""
        texts = [*((self.source,) if self.text_targets else ()), *(text for text, _ in self.text_targets)]
        return (*texts, *(text for text, _ in self.negatives))

    def weighted_clips(self) -> Weighted:
        """(name, weight) of every CLIP that counts: one of weight 0 need not be loaded."""
        found = []
        for entry in self.clips:
            name, star, weight = entry.rpartition("*")
            found.append((name, _weight(weight, entry)) if star else (entry, 1.0))
        counted = tuple((name, weight) for name, weight in found if weight > 0)
        if not counted:
            raise BadRequest('At least one CLIP with a weight above 0 is needed; the built-in one is "builtin".')
        return counted

    def described_target(self) -> str:
        """The whole aim in one line: "mossy stone + 0.5 wet stone - 1 green + 2 pictures"."""
        parts = [text if weight == 1 else f"{weight:g} {text}" for text, weight in self.text_targets]
        pictures = f"{len(self.images)} picture{'s' * (len(self.images) > 1)}"
        if self.images:
            parts.append(pictures if self.image_weight == 1 else f"{self.image_weight:g} {pictures}")
        return " + ".join(parts) + "".join(f" - {weight:g} {text}" for text, weight in self.negatives)


def _check_aim(s: AdaptSettings) -> None:
    if not s.text_targets and not s.images:
        raise PromptError(
            'The target prompt is empty; write, for example, "stone" and "mossy stone", or give pictures.'
        )
    if s.text_targets and not s.source.strip():
        raise PromptError('The source prompt is empty; write, for example, "stone" and "mossy stone".')
    if s.targets and not s.target.strip():
        raise PromptError("The target prompt is empty; the first of several targets goes there.")
    plain = " ".join(s.source.lower().split())
    for text, weight in (*s.text_targets, *s.negatives):
        if not text.strip():
            raise PromptError("One of the prompts is empty; leave it out or say what it is to be.")
        if not 0 < weight <= 100:
            raise BadRequest(f"The weight of {text!r} must be above 0 and at most 100, not {weight:g}.")
        if " ".join(text.lower().split()) == plain and s.text_targets:
            if (text, weight) in s.text_targets:
                raise PromptError("Source and target are the same prompt; say in the target what is to change.")
            raise PromptError(f"The negative {text!r} is the source itself, and so says nothing; leave it out.")
    if s.negatives and not s.text_targets:
        raise BadRequest("Negative prompts need a target prompt; say what the texture is to become.")
    if s.source_images and not s.images:
        raise BadRequest("Source pictures need target pictures; give some with --image.")


def _check_ranges(s: AdaptSettings) -> None:
    if s.method not in ("auto", *METHOD_NAMES):
        raise BadRequest(f"There is no method {s.method!r}; choose auto, {', '.join(METHOD_NAMES)}.")
    if s.precision not in PRECISIONS:
        raise BadRequest(f"There is no precision {s.precision!r}; choose {', '.join(PRECISIONS)}.")
    if s.iterations != "auto" and not 1 <= s.iterations <= 100_000:
        raise BadRequest(f'Iterations must be "auto" or 1 to 100000, not {s.iterations}.')
    if s.tile not in (None, "none", "x", "y", "xy"):
        raise BadRequest(f"Tile must be none, x, y or xy, not {s.tile!r}.")
    if len(s.images) > MOST_IMAGES or len(s.source_images) > MOST_IMAGES:
        raise BadRequest(
            f"At most {MOST_IMAGES} pictures can be a target; a generator for more is trained, not adapted."
        )
    for name, (low, high) in RANGES.items():
        value = getattr(s, name)
        if value is not None and not low <= value <= high:
            raise BadRequest(f"{name} must be between {low} and {high}, not {value}.")


MOST_IMAGES = 64

RANGES: dict[str, tuple[float, float]] = {
    "seed": (0, 2**32 - 1),
    "batch": (1, 64),
    "rank": (1, 256),
    "keep_share": (0.001, 1),
    "top_layers": (1, 64),
    "select_every": (1, 100_000),
    "image_weight": (0.01, 100),
    "directional": (0, 100),
    "contrast": (0, 100),
    "global_loss": (0, 100),
    "patch": (0, 100),
    "patch_size": (0.01, 1),
    "in_domain": (0, 10),
    "diversity": (0, 100),
    "decay": (0, 1000),
    "gamut": (0, 1000),
    "psi": (0, 2),
    "mixing": (0, 1),
    "diversity_floor": (0, 1),
    "preview_every": (0, 100_000),
    "learning_rate": (1e-7, 10),
    "train_size": (4, 65536),
    "class_index": (0, 2**31),
}


def _check_contradictions(s: AdaptSettings) -> None:
    """Options that would be ignored, or fight each other, are refused rather than passed over."""
    only = {
        "rank": (s.rank != DEFAULT_RANK, ("lowrank",)),
        "coarse": (not s.coarse, ("style", "lowrank")),
        "keep_share": (s.keep_share != 1, ("style",)),
        "top_layers": (s.top_layers is not None, ("layers",)),
        "select_every": (s.select_every != SELECT_EVERY, ("layers",)),
    }
    for name, (given, methods) in only.items():
        if given and s.method_name not in methods:
            raise BadRequest(
                f"{name} means nothing to the method {s.method_name}; leave it out or choose {' or '.join(methods)}."
            )
    for name in ("in_domain", "diversity"):
        if s.batch == 1 and getattr(s, name) not in (0, getattr(AdaptSettings, name)):
            raise BadRequest(f"{name} compares the pictures of a batch, and there is one; give a batch of 2 or more.")
    if s.keep_share < 1 and s.iterations == 1:
        raise BadRequest("keep_share chooses offsets after two thirds of the steps; give 2 iterations or more.")
    if s.directional == s.global_loss == s.patch == (s.contrast if s.text_targets else 0) == 0:
        raise BadRequest(
            "No loss leads to the target; give directional, contrast, global_loss or patch a weight above 0."
        )
    if s.patch_size != PATCH_SIZE and not s.patch:
        raise BadRequest("patch_size means nothing without the patch loss; leave it out or give patch a weight.")
    if s.patch and not s.text_targets:
        raise BadRequest("The patch loss compares with texts; give a target prompt or leave patch out.")
    if s.image_weight != 1 and not (s.images and s.text_targets):
        raise BadRequest("image_weight weighs pictures against text; give both or leave it out.")


def _weight(text: str, entry: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = math.nan
    if not 0 <= weight <= 100:
        raise BadRequest(f"{entry!r} is not a CLIP with a weight; write NAME*0.5, with a weight from 0 to 100.")
    return weight
