"""What synthesis will take in memory, from shapes alone: before it is taken.

Counted are the activations that live at the same time in the worst moment of each layer, as the plain operations have
them; fused ones need less. Weights are not counted. tests/backend/textures/test_memory.py holds the sum against the
growth of a process.
"""

from __future__ import annotations

from .config import GeneratorConfig
from .inputs import Grid, conv_sizes
from .ops.strips import STRIP_BYTES

FLOAT = 4
"""Bytes of a float32."""

MARGIN = 1.15
"""For what libraries and the allocator take besides."""

STRIPS_AT_ONCE = 6
"""What the operations on one strip hold, in strips."""


def activation_bytes(config: GeneratorConfig, plane: Grid, blocks: range, *, strips: bool) -> int:
    """The most that running `blocks` takes for one picture, the activations they begin with included.

    plane   (height, width) of the output of the first of them
    strips  whether large planes are worked on by strips of rows, as they are on a processor (`ops.strips`)
    """
    area = plane[0] * plane[1]
    return max(_block_bytes(config, index, area << 2 * step, strips) for step, index in enumerate(blocks))


def _block_bytes(config: GeneratorConfig, index: int, area: int, strips: bool) -> int:
    c_in, c = config.channels[max(index - 1, 0)], config.channels[index]
    colours = (
        4 * config.image_channels * area
    )  # the sum so far, up-sampled by one axis and the other, and what is added
    if strips and index and FLOAT * c * area > STRIP_BYTES:
        kept = c * area if index + 1 < config.blocks else 0
        return FLOAT * (c_in * area // 4 + kept + colours) + STRIPS_AT_ONCE * STRIP_BYTES
    # x, x scaled by the style, the same padded: a quarter of the area; the result in two formats, cut, and filtered
    up = 3 * c_in * area // 4 + 4 * c * area if index else 0
    same = 4 * c * area  # x, x scaled by the style, the same padded, the result
    return round(MARGIN * FLOAT * (max(up, same) + colours))


def input_bytes(config: GeneratorConfig, grid: Grid) -> int:
    """Noise maps, and the input map or the places of the constant, of one picture."""
    noise = sum(height * width for height, width in conv_sizes(config, grid))
    maps = (config.channels[0] if config.input_map > 0 else 0) + config.const_size**2
    return FLOAT * (noise + maps * grid[0] * grid[1])
