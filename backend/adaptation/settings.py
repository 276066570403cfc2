"""What an adaptation is asked to do, checked once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..errors import BadRequest, PromptError

METHOD_NAMES = ("lowrank", "style", "full")
DEFAULT_METHOD = "lowrank"
"""The small method that measures best on the built-in models: docs/decisions/0004-default-method.md."""


@dataclass(frozen=True, kw_only=True)
class AdaptSettings:
    """source, target    prompts: what the texture is, what it is to become
    method            lowrank | style | full; "auto" = the default one (see `methods`)
    iterations        optimisation steps; "auto" = until quality no longer rises or diversity falls under its floor
    batch             pictures a step; the in-domain loss needs at least 2
    learning_rate     of Adam; None = the method's own
    rank              of low-rank updates
    clips             CLIP models whose losses are added, by name (`clip.load_clip`)
    in_domain         weight of the in-domain angle consistency loss
    gamut             weight of the loss that keeps colours within what a picture can hold
    psi               truncation of the training latents; 1 = none
    mixing            share of pictures whose latents are mixed at a random layer, the same for both generators
    diversity_floor   "auto" goes back to the best snapshot that keeps this share of the source's diversity
    preview_every     iterations between previews; 0 = none
    tile              padding of both generators; None = as the generator was trained
    """

    source: str
    target: str
    method: str = "auto"
    iterations: int | Literal["auto"] = "auto"
    seed: int = 0
    batch: int = 8
    learning_rate: float | None = None
    rank: int = 4
    clips: tuple[str, ...] = ("builtin",)
    in_domain: float = 0.25
    gamut: float = 1.0
    psi: float = 1.0
    mixing: float = 0.0
    diversity_floor: float = 0.7
    preview_every: int = 10
    tile: str | None = None

    def __post_init__(self) -> None:
        if not self.source.strip() or not self.target.strip():
            which = "target" if self.source.strip() else "source"
            raise PromptError(f'The {which} prompt is empty; write, for example, "stone" and "mossy stone".')
        if " ".join(self.source.lower().split()) == " ".join(self.target.lower().split()):
            raise PromptError("Source and target are the same prompt; say in the target what is to change.")
        if self.method not in ("auto", *METHOD_NAMES):
            raise BadRequest(f"There is no method {self.method!r}; choose auto, {', '.join(METHOD_NAMES)}.")
        if self.iterations != "auto" and not 1 <= self.iterations <= 100_000:
            raise BadRequest(f'Iterations must be "auto" or 1 to 100000, not {self.iterations}.')
        _within("seed", self.seed, 0, 2**32 - 1)
        _within("batch", self.batch, 1, 64)
        _within("rank", self.rank, 1, 256)
        _within("in_domain", self.in_domain, 0, 10)
        _within("gamut", self.gamut, 0, 1000)
        _within("psi", self.psi, 0, 2)
        _within("mixing", self.mixing, 0, 1)
        _within("diversity_floor", self.diversity_floor, 0, 1)
        _within("preview_every", self.preview_every, 0, 100_000)
        if self.learning_rate is not None:
            _within("learning_rate", self.learning_rate, 1e-7, 10)
        if not self.clips:
            raise BadRequest('At least one CLIP is needed; the built-in one is "builtin".')
        if self.tile not in (None, "none", "x", "y", "xy"):
            raise BadRequest(f"Tile must be none, x, y or xy, not {self.tile!r}.")

    @property
    def method_name(self) -> str:
        return DEFAULT_METHOD if self.method == "auto" else self.method


def _within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise BadRequest(f"{name} must be between {low} and {high}, not {value}.")
