"""Everything random that enters synthesis beside w: the noise of each convolution and the input map, drawn by seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .config import GeneratorConfig
from .errors import ShapeError
from .latents import check_seed

Grid = tuple[int, int]


@dataclass(frozen=True)
class SynthesisInputs:
    """The drawn inputs of one batch, so that two generators can be shown the very same ones.

    grid       (h0, w0), the size of the constant; pixels = grid * resolution / 4
    input_map  [N, C0, h0, w0], unit variance (the network scales it by `config.input_map`); None = none
    noise      one [N or 1, 1, h, w] for each modulated convolution, in order; () = no noise
    """

    grid: Grid = (4, 4)
    input_map: Tensor | None = None
    noise: tuple[Tensor, ...] = ()

    def to(self, device: torch.device | str) -> SynthesisInputs:
        input_map = None if self.input_map is None else self.input_map.to(device)
        return SynthesisInputs(self.grid, input_map, tuple(n.to(device) for n in self.noise))

    def items(self, chosen: slice | Tensor) -> SynthesisInputs:
        """The inputs of some of the batch's items; noise shared by all stays shared."""
        input_map = None if self.input_map is None else self.input_map[chosen]
        return SynthesisInputs(self.grid, input_map, tuple(n if len(n) == 1 else n[chosen] for n in self.noise))


def draw_inputs(config: GeneratorConfig, seeds: Sequence[int], grid: Grid = (4, 4)) -> SynthesisInputs:
    """The inputs that belong to `seeds`: item i depends on seeds[i] and the size alone, not on the batch.

    Each map has a generator of its own, keyed by (seed, layer, height, width), in numpy's frozen RandomState.
    """
    _check_grid(grid)
    input_map = None
    if config.input_map > 0:
        input_map = torch.stack([_normal((config.channels[0], *grid), seed, 0) for seed in seeds])
    noise = tuple(
        torch.stack([_normal((1, *size), seed, 1 + layer) for seed in seeds])
        for layer, size in enumerate(conv_sizes(config, grid))
    )
    return SynthesisInputs(grid, input_map, noise)


def sample_inputs(
    config: GeneratorConfig, batch: int, grid: Grid = (4, 4), *, generator: torch.Generator | None = None
) -> SynthesisInputs:
    """Inputs for one training step: quick to draw, on the generator's device, not tied to a seed for each item."""
    _check_grid(grid)
    device = "cpu" if generator is None else generator.device

    def normal(*shape: int) -> Tensor:
        return torch.randn(batch, *shape, generator=generator, device=device)

    input_map = normal(config.channels[0], *grid) if config.input_map > 0 else None
    return SynthesisInputs(grid, input_map, tuple(normal(1, *size) for size in conv_sizes(config, grid)))


def conv_sizes(config: GeneratorConfig, grid: Grid) -> list[Grid]:
    """(height, width) of every modulated convolution's output, in order."""
    return [(grid[0] << k, grid[1] << k) for k in range(config.blocks) for _ in range(1 if k == 0 else 2)]


def _check_grid(grid: Grid) -> None:
    if len(grid) != 2 or min(grid) < 1:
        raise ShapeError(f"A grid is (height, width), each at least 1, not {grid}.")


def _normal(shape: tuple[int, ...], seed: int, stream: int) -> Tensor:
    draw = np.random.RandomState([check_seed(seed), stream, *shape[-2:]])
    return torch.from_numpy(draw.standard_normal(shape).astype(np.float32))
