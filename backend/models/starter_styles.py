"""The starter styles: made from a table of prompts by `latent-loom train styles`, shipped beside the generator.

Each is an ordinary adaptation of the built-in generator; of its snapshots the one is kept that does best by the judge's
zero-shot reading of pictures that trained nothing (`Effect`), and its numbers are stored as float16.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from ...stylegan2.networks import Generator
from ..adaptation.adapt import adapt
from ..adaptation.clip import load_clip
from ..adaptation.settings import AdaptSettings
from ..adaptation.snapshots import between
from ..adaptation.style import Style, blend
from ..errors import BadRequest
from ..job import Job, Progress
from .samples import generated
from .store import BUILTIN, Store
from .zero_shot import ZeroShot

BEFORE_BELOW, AFTER_ABOVE, FAMILY_KEPT = 0.2, 0.6, 0.7
LICENCE = "CC0-1.0"
CHOSEN_BY, REPORTED_ON = 3_000_000, 4_000_000
"""First seeds of the pictures by which a snapshot is chosen, and of those that the reported effect is measured on."""


@dataclass(frozen=True, kw_only=True)
class Starter:
    """One row: the condition that the judge is to see, and how the style is trained; prompts are "material" and
    "CONDITION material", because the style is for every family. What it does at `strength` it is shipped to do at 1."""

    condition: str
    method: str = "lowrank"
    rank: int = 4
    iterations: int = 250
    batch: int = 16
    learning_rate: float = 0.008
    in_domain: float = 0.5
    diversity: float = 0.0
    seed: int = 0
    strength: float = 1.0

    @property
    def settings(self) -> AdaptSettings:
        chosen = {name: value for name, value in asdict(self).items() if name not in ("condition", "strength")}
        return AdaptSettings(source="material", target=f"{self.condition} material", preview_every=0, **chosen)


STARTERS: dict[str, Starter] = {
    name: Starter(condition=name)
    for name in (
        "mossy", "rusty", "snowy", "frosted", "cracked", "wet", "dusty", "burnt", "gilded", "painted", "scratched",
        "muddy",
    )
} | {
    "cracked": Starter(condition="cracked", in_domain=0.25, iterations=350, strength=1.15),
    "scratched": Starter(condition="scratched", in_domain=0.25, iterations=350),
    "painted": Starter(condition="painted", in_domain=1.0, iterations=300),
    "snowy": Starter(condition="snowy", batch=8, iterations=350),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Effect:
    """What a style does to the generator's own pictures, in the eyes of the judge.

    before, after  mean zero-shot probability of the condition
    family         share of the pictures in which the same family is recognised before and after
    """

    before: float
    after: float
    family: float

    @property
    def reached(self) -> bool:
        return self.before < BEFORE_BELOW and self.after > AFTER_ABOVE and self.family >= FAMILY_KEPT

    @property
    def merit(self) -> float:
        """More is better; a shortfall of either target weighs more than any surplus of the other."""
        short = max(0.0, AFTER_ABOVE - self.after) + max(0.0, FAMILY_KEPT - self.family)
        return 0.5 * (self.after + self.family) - 10 * short

    def as_dict(self) -> dict[str, float]:
        return {name: round(value, 3) for name, value in asdict(self).items()}


def effect_between(before: Tensor, after: Tensor, condition: int) -> Effect:
    """What two readings [N, conditions + 1, families] of the same pictures tell of the condition with that index."""
    same = before.sum(1).argmax(1) == after.sum(1).argmax(1)
    return Effect(
        before=before.sum(2)[:, condition].mean().item(),
        after=after.sum(2)[:, condition].mean().item(),
        family=same.float().mean().item(),
    )


class EffectMeter:
    """Measures the effect of styles on one generator, on `count` pictures from `first_seed` on."""

    def __init__(self, generator: Generator, judge: ZeroShot, *, count: int, first_seed: int) -> None:
        self.generator, self.judge = generator, judge
        self._seeds = range(first_seed, first_seed + count)
        self._before = judge.probabilities(generated(generator, self._seeds))

    def effect(self, condition: str, style: Style) -> Effect:
        after = self.judge.probabilities(generated(blend(self.generator, [(style, 1.0)]), self._seeds))
        return effect_between(self._before, after, self.judge.condition_index(condition))


@dataclass(frozen=True, kw_only=True)
class StarterTraining:
    """only       names, separated by commas; empty = all
    pictures   by which a snapshot is chosen, and on which its effect is reported
    iterations of every style, instead of the table's; 0 = the table's
    """

    only: str = ""
    pictures: int = 96
    iterations: int = 0

    def __post_init__(self) -> None:
        for name in self.names:
            if name not in STARTERS:
                raise BadRequest(f"There is no starter style {name!r}; there are {', '.join(STARTERS)}.")
        if self.pictures < 2 or self.iterations < 0:
            raise BadRequest("Give at least 2 pictures, and iterations of at least 0.")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name.strip() for name in self.only.split(",") if name.strip()) or tuple(STARTERS)


def train_styles(
    settings: StarterTraining, out: Path, job: Job | None = None, *, device: str = "cpu"
) -> dict[str, Any]:
    """Make the starter styles for the built-in generator and write NAME.safetensors to the folder `out`.

    Returns  name -> effect, bytes, iterations, and whether the targets are reached
    """
    job = job or Job()
    out.mkdir(parents=True, exist_ok=True)
    generator = Store(device=device).generator(BUILTIN)
    judge = ZeroShot(load_clip("judge", device))
    chooser, reporter = (
        EffectMeter(generator, judge, count=settings.pictures, first_seed=seed) for seed in (CHOSEN_BY, REPORTED_ON)
    )
    card: dict[str, Any] = {}
    for done, name in enumerate(settings.names):
        starter = STARTERS[name]
        if settings.iterations:
            starter = replace(starter, iterations=settings.iterations)
        style = compact(best_snapshot(generator, name, starter, chooser, job), starter.strength)
        style.save(out / f"{name}.safetensors")
        effect = reporter.effect(starter.condition, style)
        card[name] = effect.as_dict() | {
            "reached": effect.reached,
            "iterations": style.info.iterations,
            "bytes": (out / f"{name}.safetensors").stat().st_size,
        }
        job.report(Progress(done=done + 1, total=len(settings.names), stage=name, numbers=effect.as_dict()))
    return card


@dataclass
class _Best:
    style: Style | None = None
    merit: float = field(default=float("-inf"))


def best_snapshot(generator: Generator, name: str, starter: Starter, meter: EffectMeter, job: Job) -> Style:
    """The snapshot of one adaptation that has the greatest merit."""
    best = _Best()

    def consider(style: Style, *_: object) -> None:
        merit = meter.effect(starter.condition, style).merit
        if merit > best.merit:
            best.style, best.merit = style, merit

    quiet = Job(cancelled=job.cancelled)
    adapt(generator, starter.settings, name=name, generator_name=BUILTIN, job=quiet, keep=consider)
    assert best.style is not None  # an adaptation ends with a snapshot
    return best.style


def compact(style: Style, strength: float = 1.0) -> Style:
    """The style as it is shipped: this strength of it as float16, a square thumbnail, our licence."""
    tensors = {name: tensor.half() for name, tensor in between({}, style.tensors, strength).items()}
    thumbnail = style.thumbnail
    if thumbnail is not None:
        side = min(thumbnail.shape[:2])
        thumbnail = thumbnail[:side, :side]
    return Style(info=replace(style.info, licence=LICENCE), tensors=tensors, thumbnail=thumbnail)
