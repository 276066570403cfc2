"""What may be varied of a seed's picture: how its latents are truncated, mixed and moved, and what noise it gets."""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ...stylegan2.config import GeneratorConfig
from ...stylegan2.inputs import Grid, SynthesisInputs, draw_inputs
from ...stylegan2.latents import SEED_LIMIT, z_from_seed
from ...stylegan2.networks import Generator
from ..errors import BadRequest

if TYPE_CHECKING:
    from ..models.store import Store
    from .kept import KeptTexture

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
    noise_seed      seed of the noise and, where the generator takes them, of the input map and the places of its
                    constant; None = the picture's own. One seed for many pictures: they share their layout
    noise_strength  factors of the noise, one for each convolution from coarse to fine; the last holds for the rest
    """

    psi: float = 0.8
    cutoff: int | None = None
    mix: tuple[tuple[int, int], ...] = ()
    directions: tuple[tuple[str, float], ...] = ()
    noise: str = "fixed"
    noise_seed: int | None = None
    noise_strength: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        if not (math.isfinite(self.psi) and -2 <= self.psi <= 2):
            raise BadRequest(f"The truncation psi is {self.psi}; give a number from -2 to 2 (0.8 is usual).")
        if self.cutoff is not None and self.cutoff < 0:
            raise BadRequest(f"The cutoff is {self.cutoff}; give the number of layers that are truncated, 0 or more.")
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
        plain = asdict(self)
        return {
            f.name: plain[f.name] for f in fields(Variation) if f.name != "psi" and getattr(self, f.name) != f.default
        }


def split_direction(name: str) -> tuple[int, str]:
    """ "d3" -> (3, ""), "d3-fine" -> (3, "fine"). Raises BadRequest"""
    found = _DIRECTION.fullmatch(name)
    if not found:
        raise BadRequest(
            f"There is no direction {name!r}; write d0, d1, ... or, for some layers alone, "
            "d0-coarse, d0-middle, d0-fine."
        )
    return int(found[1]), found[2] or ""


def group_layers(config: GeneratorConfig, group: str) -> tuple[int, ...]:
    """The w vectors of a group, "" = all. Raises BadRequest where the generator is too small to have them."""
    layers = tuple(range(config.num_ws)[GROUPS[group]] if group else range(config.num_ws))
    if not layers:
        raise BadRequest(f"This generator of {config.resolution} px has no {group} layers; leave {group!r} out.")
    return layers


def z_to_ws(generator: Generator, z: Tensor, *, psi: float, cutoff: int | None = None) -> Tensor:
    """z [1, z_dim] -> truncated latents [1, L, w_dim] on the generator's device. Classes: the first one."""
    device = generator.mapping.w_avg.device
    labels = torch.eye(1, generator.config.c_dim, device=device) if generator.config.c_dim else None
    with torch.no_grad():
        return generator.map(z.to(device), psi=psi, cutoff=cutoff, labels=labels)


def seed_to_ws(generator: Generator, seed: int, *, psi: float, cutoff: int | None = None) -> Tensor:
    """The truncated latents of `seed`, [1, L, w_dim], on the generator's device."""
    return z_to_ws(generator, z_from_seed(seed, generator.config.z_dim)[None], psi=psi, cutoff=cutoff)


class Varied:
    """A look's variation of one generator: from latents to latents, and from seeds to noise.

    generator  with its styles; the directions are those of the generator without them, so that a name keeps its meaning
    """

    def __init__(self, store: Store, generator_name: str, generator: Generator, variation: Variation) -> None:
        self.store, self.generator_name = store, generator_name
        self.generator, self.variation = generator, variation
        config = generator.config
        for seed, layer in variation.mix:
            if layer >= config.num_ws:
                raise BadRequest(
                    f"The seed {seed} is mixed in from layer {layer}, but this generator's last layer is "
                    f"{config.num_ws - 1}; give a smaller one."
                )
        self.step = torch.zeros(config.num_ws, config.w_dim)
        for name, amount in variation.directions:
            index, group = split_direction(name)
            found = store.directions(generator_name, group_layers(config, group))
            self.step += found.step(index, amount, config.num_ws)

    def kept(self, name: str) -> KeptTexture:
        return self.store.kept_texture(name, self.generator_name)

    def seed(self, seed: Source) -> Tensor:
        """The latents of `seed`, [1, L, w_dim]. Those of a kept texture are truncated already."""
        ws = self.kept(seed).ws.to(self.step) if isinstance(seed, str) else self.truncated(seed)
        return self.latents(ws)

    def truncated(self, seed: int) -> Tensor:
        return seed_to_ws(self.generator, seed, psi=self.variation.psi, cutoff=self.variation.cutoff)

    def latents(self, ws: Tensor) -> Tensor:
        """Truncated latents [1, L, w_dim] with the other seeds' layers put in and the directions added."""
        if self.variation.mix:
            ws = ws.clone()
            for seed, layer in self.variation.mix:
                ws[:, layer:] = self.truncated(seed)[:, layer:]
        return ws + self.step.to(ws) if self.variation.directions else ws

    def inputs(self, seed: Source, grid: Grid) -> SynthesisInputs:
        """The noise, map and places of `seed` or, if there is one, of the variation's own noise seed."""
        config, chosen = self.generator.config, seed if self.variation.noise_seed is None else self.variation.noise_seed
        if isinstance(chosen, str):
            drawn = self.kept(chosen).inputs(config, grid)
        else:
            drawn = draw_inputs(config, [chosen], grid)
        return replace(drawn, noise=scaled(drawn.noise, self.variation))


def scaled(noise: tuple[Tensor, ...], variation: Variation) -> tuple[Tensor, ...]:
    """Noise maps with the strengths of `variation`; () where it wants none."""
    strengths = variation.noise_strength
    if variation.noise == "none" or not any(strengths):
        return ()
    last = len(strengths) - 1
    factors = [strengths[min(layer, last)] for layer in range(len(noise))]
    return tuple(n if factor == 1 else n * factor for n, factor in zip(noise, factors, strict=True))
