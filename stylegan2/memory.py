"""What synthesis will take in memory, from shapes alone: before it is taken.

Counted are the activations that live at the same time in the worst moment of each layer, as the plain operations have
them; fused ones need less. Weights are not counted. tests/backend/textures/test_memory.py holds the sum against the
growth of a process.
"""

from __future__ import annotations

from .config import GeneratorConfig
from .inputs import Grid, conv_sizes

FLOAT = 4
"""Bytes of a float32."""

MARGIN = 1.15
"""For what libraries and the allocator take besides."""


def activation_bytes(config: GeneratorConfig, plane: Grid, blocks: range) -> int:
    """The most that running `blocks` takes for one picture, the activations they begin with included.

    plane  (height, width) of the output of the first of them
    """
    area = plane[0] * plane[1]
    return max(_block_bytes(config, index, area << 2 * step) for step, index in enumerate(blocks))


def _block_bytes(config: GeneratorConfig, index: int, area: int) -> int:
    c_in, c, colours = config.channels[max(index - 1, 0)], config.channels[index], config.image_channels
    # x, x scaled by the style, the same padded: a quarter of the area; the transposed convolution's result in two
    # formats, cut to size, and filtered
    up = (3 * c_in / 4 + 4 * c) * area if index else 0
    same = 4 * c * area  # x, x scaled by the style, the same padded, the result
    return round(MARGIN * FLOAT * (max(up, same) + 2 * colours * area))


def input_bytes(config: GeneratorConfig, grid: Grid) -> int:
    """Noise maps, and the input map or the places of the constant, of one picture."""
    noise = sum(height * width for height, width in conv_sizes(config, grid))
    maps = (config.channels[0] if config.input_map > 0 else 0) + config.const_size**2
    return FLOAT * (noise + maps * grid[0] * grid[1])
