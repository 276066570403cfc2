"""Large pictures in bounded memory: the coarse blocks at once, the fine ones window by window.

Nearly all memory goes into the fine blocks, and they are local: a pixel depends on the activations at a coarse block
within a few of *its* pixels. So a large picture is made whole up to a block whose plane is still small; from there on
overlapping windows are cut from those activations and from the picture's own full-size noise, and of each window the
part that no cut edge has touched is kept. The result is the whole picture's up to the rounding of float32. Where the
windows lie depends on the size alone, so the bytes still depend on the settings alone; but where the device runs out of
memory all the same, the picture is made again in smaller pieces, which is said in the log.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...stylegan2.config import GeneratorConfig
from ...stylegan2.inputs import Grid, SynthesisInputs
from ...stylegan2.networks import Generator, Partway
from ..errors import NO_COLOURS, NonFinite, is_out_of_memory
from ..models.memory import MODELS

log = logging.getLogger(__name__)

WHOLE_PX = 2048**2
"""A picture of at most so many pixels is made in one piece."""

PLANE_PX = 512**2
"""The coarse blocks of a larger one are made whole as far as their plane has at most so many pixels."""

WINDOW_PX = 1024
"""Side of what a window yields, in pixels of the picture."""

SMALLEST_WINDOW_PX = 128
"""Smaller windows would be mostly halo."""

CHECKED_AT_ONCE = 1 << 22
"""Numbers that are looked at together for not being finite."""

HALO = 6
"""Pixels of the coarse plane around a window that its edge may touch. Each finer block reaches 1.5 px of the plane
before it by the up-convolution and 0.5 by the convolution; the planes double, so under 2 * (1.5 + 0.5) = 4 in all."""


@dataclass(frozen=True)
class Pieces:
    """How a picture is cut: `WHOLE_PX`, `PLANE_PX` and `WINDOW_PX`, or less of each."""

    whole_px: int
    plane_px: int
    window_px: int

    @classmethod
    def usual(cls) -> Pieces:
        return cls(WHOLE_PX, PLANE_PX, WINDOW_PX)

    def smaller(self) -> Pieces | None:
        """A quarter of the pixels at once; None where smaller pieces would save nothing."""
        if self.window_px <= SMALLEST_WINDOW_PX:
            return None
        return Pieces(min(self.whole_px // 4, self.window_px**2 // 4), self.plane_px // 4, self.window_px // 2)


def whole_blocks(config: GeneratorConfig, grid: Grid, pieces: Pieces | None = None) -> int:
    """How many blocks are made for the whole plane; all of them where the picture is not cut."""
    cells, pieces = grid[0] * grid[1], pieces or Pieces.usual()
    if cells << 2 * (config.blocks - 1) <= pieces.whole_px:
        return config.blocks
    fitting = [index + 1 for index in range(config.blocks - 1) if cells << 2 * index <= pieces.plane_px]
    return max(fitting, default=1)


def synthesize(generator: Generator, ws: Tensor, inputs: SynthesisInputs, padding: str) -> np.ndarray:
    """One picture, float32 [H, W, C], of ws [1, L, w_dim]: like `Generator.synthesize`, in windows where it is large.

    inputs  on the CPU; what is needed at a time is brought to the generator's device
    Raises  NonFinite; out of memory (PyTorch's) only where neither letting other models go nor smaller pieces help
    """
    pieces: Pieces | None = Pieces.usual()
    freed = False
    while True:
        assert pieces is not None
        try:
            return _finite(_in_pieces(generator, ws, inputs, padding, pieces))
        except Exception as error:
            smaller = pieces.smaller() if freed else pieces
            if not is_out_of_memory(error) or smaller is None:
                raise
            pieces = smaller
        # Outside the handler: the error's frames held what was made so far.
        MODELS.free()
        if freed:
            log.warning("out of memory: the picture is made again in pieces of %d px", pieces.window_px)
        freed = True


def _finite(picture: np.ndarray) -> np.ndarray:
    """The picture, or NonFinite: rounded to bytes, such numbers would be any colour."""
    if not all(np.isfinite(rows).all() for rows in np.array_split(picture, 1 + picture.size // CHECKED_AT_ONCE)):
        raise NonFinite(NO_COLOURS)
    return picture


@torch.no_grad()
def _in_pieces(generator: Generator, ws: Tensor, inputs: SynthesisInputs, padding: str, pieces: Pieces) -> np.ndarray:
    device, config, net = ws.device, generator.config, generator.synthesis
    split = whole_blocks(config, inputs.grid, pieces)
    if split == config.blocks:
        return _pixels(generator.synthesize(ws, inputs.to(device), tile=padding))
    convs = 2 * split - 1
    coarse = net(ws, inputs.to(device), tile=padding, stop=split)
    scale = 1 << (config.blocks - split)
    rows, columns = (
        _Axis(n, axis in padding, scale, pieces.window_px) for n, axis in zip(coarse.x.shape[2:], "yx", strict=True)
    )
    # On an axis that is cut the padding meets only what is thrown away.
    tile = "".join(axis for axis, cut in (("x", columns.cut), ("y", rows.cut)) if axis in padding and not cut)
    picture = np.empty((rows.size * scale, columns.size * scale, config.image_channels), np.float32)
    for row in rows.windows():
        for column in columns.windows():
            start, noise = cut(coarse, inputs.noise[convs:], row.taken, column.taken)
            window = SynthesisInputs(noise=(*inputs.noise[:convs], *(n.to(device) for n in noise)))
            made = _pixels(net(ws, window, tile=tile or "none", start=start).image)
            picture[row.place(scale), column.place(scale)] = made[row.kept(scale), column.kept(scale)]
    return picture


@dataclass(frozen=True)
class _Window:
    """start, stop  the pixels of the coarse plane that it yields
    first        the one at which what it takes begins; below 0 it wraps around
    taken        [n] those it takes, halo included
    """

    start: int
    stop: int
    first: int
    taken: Tensor

    def place(self, scale: int) -> slice:
        return slice(self.start * scale, self.stop * scale)

    def kept(self, scale: int) -> slice:
        return slice((self.start - self.first) * scale, (self.stop - self.first) * scale)


class _Axis:
    """One axis of the coarse plane: its size, whether it wraps, and whether it is cut into windows."""

    def __init__(self, size: int, wraps: bool, scale: int, window_px: int) -> None:
        self.size, self.wraps = size, wraps
        self.core = max(window_px // scale, 1)
        self.cut = size > self.core + 2 * HALO

    def windows(self) -> Iterator[_Window]:
        if not self.cut:
            yield _Window(0, self.size, 0, torch.arange(self.size))
            return
        for start in range(0, self.size, self.core):
            stop = min(start + self.core, self.size)
            first, last = start - HALO, stop + HALO
            if not self.wraps:
                first, last = max(first, 0), min(last, self.size)
            yield _Window(start, stop, first, torch.arange(first, last) % self.size)


def cut(plane: Partway, noise: Sequence[Tensor], rows: Tensor, columns: Tensor) -> tuple[Partway, tuple[Tensor, ...]]:
    """The given pixels of the coarse plane, in the given order, and what lies there of the finer noise maps."""
    width = plane.x.shape[3]

    def taken(field: Tensor) -> Tensor:
        scale = field.shape[3] // width
        y, x = (_finer(pixels, scale).to(field.device) for pixels in (rows, columns))
        return field.index_select(2, y).index_select(3, x)

    assert plane.image is not None
    x = taken(plane.x).contiguous(memory_format=torch.channels_last)  # `taken` loses the layout, which is the fast one
    part = Partway(block=plane.block, x=x, image=taken(plane.image))
    return part, tuple(taken(n) for n in noise)


def _finer(pixels: Tensor, scale: int) -> Tensor:
    """Indices of the finer pixels in `pixels` of `scale` each."""
    return (pixels[:, None] * scale + torch.arange(scale)).flatten()


def _pixels(images: Tensor | None) -> np.ndarray:
    """[1, C, H, W] -> float32 [H, W, C] on the CPU."""
    assert images is not None  # there is a block left to run
    return images[0].permute(1, 2, 0).float().cpu().numpy()
