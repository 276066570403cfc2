"""Everything random that enters synthesis beside w: the noise of each convolution and the input map, drawn by seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .config import GeneratorConfig
from .errors import ShapeError
from .seeds import check_seed

Grid = tuple[int, int]
PLACES = 1000
"""The stream of random numbers that `draw_places` takes; noise has 1, 2, ..., the input map 0."""


@dataclass(frozen=True)
class SynthesisInputs:
    """The drawn inputs of one batch, so that two generators can be shown the very same ones.

    grid       (h0, w0), the size of the constant; pixels = grid * resolution / 4
    input_map  [N, C0, h0, w0], unit variance (the network scales it by `config.input_map`); None = none
    noise      one [N or 1, 1, h, w] for each modulated convolution, in order; () = no noise
    places     [N, n*n, h0, w0] how much of each cell of the n x n constant lies where (see `draw_places`);
               None = the constant, repeated
    """

    grid: Grid = (4, 4)
    input_map: Tensor | None = None
    noise: tuple[Tensor, ...] = ()
    places: Tensor | None = None

    def to(self, device: torch.device | str) -> SynthesisInputs:
        input_map = None if self.input_map is None else self.input_map.to(device)
        places = None if self.places is None else self.places.to(device)
        return SynthesisInputs(self.grid, input_map, tuple(n.to(device) for n in self.noise), places)

    def items(self, chosen: slice | Tensor) -> SynthesisInputs:
        """The inputs of some of the batch's items; noise shared by all stays shared."""
        input_map = None if self.input_map is None else self.input_map[chosen]
        places = None if self.places is None else self.places[chosen]
        noise = tuple(n if len(n) == 1 else n[chosen] for n in self.noise)
        return SynthesisInputs(self.grid, input_map, noise, places)


def draw_inputs(config: GeneratorConfig, seeds: Sequence[int], grid: Grid = (4, 4)) -> SynthesisInputs:
    """The inputs that belong to `seeds`: item i depends on seeds[i] and the size alone, not on the batch.

    Each map has a generator of its own, keyed by (seed, layer, height, width), in numpy's frozen RandomState.
    """
    _check_grid(grid)
    input_map = places = None
    if config.input_map > 0:
        input_map = torch.stack([_normal((config.channels[0], *grid), seed, 0) for seed in seeds])
    if _scatters(config, grid):
        places = torch.stack([draw_places(config.const_size, seed, grid) for seed in seeds])
    return SynthesisInputs(grid, input_map, draw_noise(config, seeds, grid), places)


def _scatters(config: GeneratorConfig, grid: Grid) -> bool:
    """Whether the constant is scattered over a larger grid and not repeated, which would repeat the picture.

    Where a random map makes every place another one, repeating keeps what the constant is for: courses that go on.
    """
    n = config.const_size
    repeats = config.input_map > 0 and grid[0] % n == grid[1] % n == 0
    return n > 1 and max(grid) > n and not repeats


def draw_noise(
    config: GeneratorConfig, seeds: Sequence[int], grid: Grid = (4, 4), *, take: int = 0
) -> tuple[Tensor, ...]:
    """The noise of every convolution; another `take` is another draw of the same seed."""
    return tuple(
        torch.stack([_normal((1, *size), seed, 1 + layer, take) for seed in seeds])
        for layer, size in enumerate(conv_sizes(config, grid))
    )


def draw_places(n: int, seed: int, grid: Grid) -> Tensor:
    """Where the n x n constant lies on a larger grid, [n*n, h0, w0]: periodic in h0 and w0, but not in n.

    A learned constant, repeated, repeats the picture. Here every patch of about n x n cells shows the constant rolled
    by an offset of its own, so that any neighbourhood is one the generator knows, and neighbouring patches are blended.
    Blending would lower the contrast: the squares of the weights are scaled to the sum 1, and synthesis applies them to
    the constant less its mean.

    Source  Heitz and Neyret 2018, sections 3 and 4 (blending by example, variance kept), on the constant
    """
    row_weights, rows = _patches(grid[0], n)
    column_weights, columns = _patches(grid[1], n)
    offsets = _offsets(n, (len(rows), len(columns)), np.random.RandomState([check_seed(seed), PLACES, *grid]))
    places = np.zeros((n, n, *grid))
    y, x = np.ogrid[: grid[0], : grid[1]]
    for p, q in np.ndindex(offsets.shape):
        down, right = divmod(int(offsets[p, q]), n)
        row, column = (rows[p] + down) % n, (columns[q] + right) % n
        places[row[:, None], column, y, x] += np.outer(row_weights[p], column_weights[q])
    places /= np.sqrt((places**2).sum((0, 1)))
    return torch.from_numpy(places.reshape(n * n, *grid).astype(np.float32))


def _patches(cells: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """One axis: the weight of each patch at each cell, and each cell's distance from the patch's middle; [P, cells]."""
    if cells <= n:
        return np.ones((1, cells)), np.arange(cells)[None]
    count = max(2, round(cells / n))
    middles = (np.arange(count) + 0.5) * cells / count
    distance = (np.arange(cells) + 0.5 - middles[:, None] + cells / 2) % cells - cells / 2
    # 1 over the half of a patch around its middle, falling to 0 within the neighbours
    weights = np.cos(np.pi / 2 * np.clip(2 * np.abs(distance) * count / cells - 0.5, 0, 1)) ** 2
    return weights, np.floor(distance).astype(int)


def _offsets(n: int, shape: tuple[int, int], draw: np.random.RandomState) -> np.ndarray:
    """For each patch one of the n*n offsets, at random among those that its row and its column have least."""
    used = np.zeros((2, max(shape), n * n))
    offsets = np.zeros(shape, int)
    for p, q in np.ndindex(shape):
        tied = used[0, p] + used[1, q] + draw.random_sample(n * n)
        offsets[p, q] = chosen = int(tied.argmin())
        used[0, p, chosen] += 1
        used[1, q, chosen] += 1
    return offsets


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


def beside(rng: torch.Generator, device: torch.device) -> torch.Generator:
    """Random numbers of `rng` for tensors of a device: itself, or on a GPU one there that it gives the seed to. Numbers
    that are drawn on the processor would take longer to draw and to bring there than everything that they are for."""
    if device.type != "cuda":
        return rng
    return torch.Generator(device).manual_seed(int(torch.randint(2**62, (), generator=rng)))


def conv_sizes(config: GeneratorConfig, grid: Grid) -> list[Grid]:
    """(height, width) of every modulated convolution's output, in order."""
    return [(grid[0] << k, grid[1] << k) for k in range(config.blocks) for _ in range(1 if k == 0 else 2)]


def _check_grid(grid: Grid) -> None:
    if len(grid) != 2 or min(grid) < 1:
        raise ShapeError(f"A grid is (height, width), each at least 1, not {grid}.")


def _normal(shape: tuple[int, ...], seed: int, stream: int, take: int = 0) -> Tensor:
    draw = np.random.RandomState([check_seed(seed), stream, *shape[-2:], *([take] if take else [])])
    return torch.from_numpy(draw.standard_normal(shape).astype(np.float32))
