"""Large pictures in bounded memory: synthesis window by window.

Synthesis is local: a pixel depends on the noise and input map within a few cells of the grid. So a
large picture is synthesised in overlapping windows cut from *its own* full-size noise and input map, and of each window
the part that no cut edge has touched is kept. The result is the whole picture's up to the rounding of float32. Which
windows there are depends on the settings alone, so the bytes still do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...stylegan2.config import GeneratorConfig
from ...stylegan2.inputs import SynthesisInputs
from ...stylegan2.networks import Generator

HALO_CELLS = 8
"""Cells around a window that its edge may touch. The generator's reach is 1 cell for the first convolution and at most
3.5 / 2^k for block k (up-convolution 1.5, convolution 1, up-sampling of the colours 1): under 4.5 in all. A multiple
of `STEP_CELLS`."""

WINDOW_PX = 2048
"""Side of a window with its halo, where cells are small enough: about 2 GB with 24 channels at the full resolution."""

STEP_CELLS = 4
"""Windows begin at multiples of this, the period of a learned 4x4 constant."""


def window_cells(cell_px: int) -> int:
    """Cells that a window yields, without its halo."""
    cells = max(WINDOW_PX // max(cell_px, 1) - 2 * HALO_CELLS, 2 * HALO_CELLS)
    return cells - cells % STEP_CELLS


@torch.no_grad()
def synthesize(generator: Generator, ws: Tensor, inputs: SynthesisInputs, padding: str) -> np.ndarray:
    """One picture, float32 [H, W, C], of ws [1, L, w_dim]: like `Generator.synthesize`, in windows where it is large.

    inputs  on the CPU; what is needed at a time is brought to the generator's device
    """
    device, config = ws.device, generator.config
    rows, columns = (_Axis(n, axis in padding, config) for n, axis in zip(inputs.grid, "yx", strict=True))
    if not (rows.cut or columns.cut):
        return _pixels(generator.synthesize(ws, inputs.to(device), tile=padding))
    # On an axis that is cut the padding meets only what is thrown away.
    tile = "".join(axis for axis, cut in (("x", columns.cut), ("y", rows.cut)) if axis in padding and not cut)
    cell = config.resolution // 4
    image = np.empty((rows.cells * cell, columns.cells * cell, config.image_channels), np.float32)
    for y in rows.windows():
        for x in columns.windows():
            part = cut_inputs(inputs, y.taken, x.taken).to(device)
            pixels = _pixels(generator.synthesize(ws, part, tile=tile or "none"))
            image[y.place(cell), x.place(cell)] = pixels[y.kept(cell), x.kept(cell)]
    return image


@dataclass(frozen=True)
class _Window:
    """start, stop  the cells it yields
    first        the cell at which what it takes begins; below 0 it wraps around
    taken        [n] the cells it takes, halo included
    """

    start: int
    stop: int
    first: int
    taken: Tensor

    def place(self, cell: int) -> slice:
        return slice(self.start * cell, self.stop * cell)

    def kept(self, cell: int) -> slice:
        return slice((self.start - self.first) * cell, (self.stop - self.first) * cell)


class _Axis:
    """One axis of the grid: how many cells, whether it wraps, and whether it is cut into windows."""

    def __init__(self, cells: int, wraps: bool, config: GeneratorConfig) -> None:
        self.cells, self.wraps = cells, wraps
        self.core = window_cells(config.resolution // 4)
        # A learned 4x4 constant that does not fit evenly breaks its rhythm at the seam, which no window can show.
        uneven = wraps and config.const_size > 1 and cells % STEP_CELLS != 0
        self.cut = cells > self.core + 2 * HALO_CELLS and not uneven

    def windows(self) -> Iterator[_Window]:
        if not self.cut:
            yield _Window(0, self.cells, 0, torch.arange(self.cells))
            return
        for start in range(0, self.cells, self.core):
            stop = min(start + self.core, self.cells)
            first, last = start - HALO_CELLS, stop + HALO_CELLS
            if not self.wraps:
                first, last = max(first, 0), min(last, self.cells)
            yield _Window(start, stop, first, torch.arange(first, last) % self.cells)


def cut_inputs(inputs: SynthesisInputs, rows: Tensor, columns: Tensor) -> SynthesisInputs:
    """The inputs of the given cells of the grid, in the given order."""

    def cut(field: Tensor) -> Tensor:
        scale = field.shape[-1] // inputs.grid[1]
        return field[..., _finer(rows, scale)[:, None], _finer(columns, scale)]

    input_map = None if inputs.input_map is None else cut(inputs.input_map)
    return SynthesisInputs((len(rows), len(columns)), input_map, tuple(cut(noise) for noise in inputs.noise))


def _finer(cells: Tensor, scale: int) -> Tensor:
    """Indices of the pixels in `cells` of `scale` pixels each."""
    return (cells[:, None] * scale + torch.arange(scale)).flatten()


def _pixels(images: Tensor) -> np.ndarray:
    """[1, C, H, W] -> float32 [H, W, C] on the CPU."""
    return images[0].permute(1, 2, 0).float().cpu().numpy()
