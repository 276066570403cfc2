"""How a picture of a size and tile mode is rendered: which grid, which padding, what is cut out."""

from __future__ import annotations

from dataclasses import dataclass

from ...stylegan2.config import GeneratorConfig

MARGIN_CELLS = 2
"""Cells of the constant's grid that are rendered and cut away where a circular generator must *not* tile."""


@dataclass(frozen=True, kw_only=True)
class Canvas:
    """How a size and tile mode are rendered.

    grid     (h0, w0) of the constant
    padding  tile mode handed to synthesis
    crop     (rows, columns) kept of what is rendered, before resampling
    size     (width, height) of the picture
    tile     axes on which it wraps
    """

    grid: tuple[int, int]
    padding: str
    crop: tuple[int, int]
    size: tuple[int, int]
    tile: str


def plan_canvas(config: GeneratorConfig, size: tuple[int, int], tile: str) -> Canvas:
    """Each axis on its own, from the grid's cell of resolution / 4 pixels:

    seamless                          circular padding, the next larger grid resampled to the size (wrapping around)
    not, and trained circular         circular padding too, since borders of zeros would look wrong, on a grid that is
                                      larger by a margin; what is cut out has no seam but does not tile
    not, and trained with zeros       zero padding as trained, the next larger grid resampled to the size
    """
    cell = config.resolution // 4
    padding = ""
    grid, crop = [], []
    for axis, pixels in zip("xy", size, strict=True):
        cells = -(-pixels // cell)
        cut = axis not in tile.replace("none", "") and axis in config.tile.replace("none", "")
        if cut or axis in tile.replace("none", ""):
            padding += axis
        grid.append(cells + MARGIN_CELLS if cut else cells)
        crop.append(pixels if cut else cells * cell)
    return Canvas(grid=(grid[1], grid[0]), padding=padding or "none", crop=(crop[1], crop[0]), size=size, tile=tile)
