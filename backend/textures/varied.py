"""A variation applied to a generator: from seeds and kept textures to latents, noise and places."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ...stylegan2.config import GeneratorConfig
from ...stylegan2.inputs import Grid, SynthesisInputs, draw_inputs
from ...stylegan2.latents import z_from_seed
from ...stylegan2.networks import Generator
from ..errors import BadRequest
from .variation import GROUPS, Source, Variation, split_direction

if TYPE_CHECKING:
    from ..models.store import Store
    from .kept import KeptTexture


def group_layers(config: GeneratorConfig, group: str) -> tuple[int, ...]:
    """The w vectors of a group, "" = all. Raises BadRequest where the generator is too small to have them."""
    layers = tuple(range(config.num_ws)[GROUPS[group]] if group else range(config.num_ws))
    if not layers:
        raise BadRequest(f"This generator of {config.resolution} px has no {group} layers; leave {group!r} out.")
    return layers


def z_to_ws(
    generator: Generator, z: Tensor, *, psi: float, cutoff: int | None = None, class_index: int | None = None
) -> Tensor:
    """z [1, z_dim] -> truncated latents [1, L, w_dim] on the generator's device; None = the first class."""
    labels = generator.labels([class_index])
    with torch.no_grad():
        return generator.map(z.to(generator.mapping.w_avg.device), psi=psi, cutoff=cutoff, labels=labels)


def seed_to_ws(
    generator: Generator, seed: int, *, psi: float, cutoff: int | None = None, class_index: int | None = None
) -> Tensor:
    """The truncated latents of `seed`, [1, L, w_dim], on the generator's device."""
    z = z_from_seed(seed, generator.config.z_dim)[None]
    return z_to_ws(generator, z, psi=psi, cutoff=cutoff, class_index=class_index)


class Varied:
    """A look's variation of one generator: from latents to latents, and from seeds to noise.

    generator  with its styles; the directions are those of the generator without them, so that a name keeps its meaning
    """

    def __init__(self, store: Store, generator_name: str, generator: Generator, variation: Variation) -> None:
        self.store, self.generator_name = store, generator_name
        self.generator, self.variation = generator, variation
        config = generator.config
        generator.labels([variation.class_index])  # says where there is no such class
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
        v = self.variation
        return seed_to_ws(self.generator, seed, psi=v.psi, cutoff=v.cutoff, class_index=v.class_index)

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
