"""One resolution of synthesis by strips of rows, so small that everything between its layers stays in the cache.

At 1024 px one activation is 128 MiB: written and read again by each pass, and its fresh pages cost as much as a
convolution. A strip's up-convolution, second convolution and colours are finished before the next strip begins; of the
first convolution's output nothing but a strip ever exists.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from .padding import rows_around

STRIP_BYTES = 8 << 20
"""Of one layer's output, for a strip. At 512 and 1024 px 4 to 16 MiB are alike; 2 MiB and the whole are slower."""


def strip_heights(x: Tensor, c_out: int) -> list[int] | None:
    """How to cut one picture of `x` [N, I, H, W] whose output has c_out channels and twice the size; None = not at all.

    Shapes alone decide, and never the batch, so that pictures with and without gradients have the same bits.
    """
    height, width = x.shape[2:]
    rows = max(8, STRIP_BYTES // (4 * width * c_out * x.element_size()))
    count = -(-height // rows)
    if x.device.type != "cpu" or count < 2:
        return None
    return [(height * (k + 1)) // count - (height * k) // count for k in range(count)]


def by_strips(
    x: Tensor,
    heights: list[int],
    noise: Sequence[Tensor | None],
    tile: str,
    up: Callable[[Tensor, Tensor | None], Tensor],
    plain: Callable[[Tensor, Tensor | None, Tensor | None], Tensor],
    out: Tensor,
) -> Iterator[Tensor]:
    """The output of both convolutions of one resolution for one picture, strip by strip.

    x      [1, I, H, W]
    noise  of both convolutions, [1, 1, 2H, 2W] or None
    up     (rows with one more above and below, their noise) -> twice as many rows as those in the middle
    plain  (likewise, noise of the middle, where to put the result) -> the rows in the middle
    out    [1, C, 2H, 2W], filled where no gradient is needed; or empty
    """
    twice = [2 * height for height in heights]
    strips = x.split(heights, 2)
    noise_up, noise_plain = (None if n is None else n.split(twice, 2) for n in noise)
    for i, height in enumerate(twice):
        first = up(rows_around(strips, i, 2, tile), None if noise_up is None else rows_around(noise_up, i, 2, tile))
        first = first.narrow(2, 1, height + 2)
        if "y" not in tile:  # the second convolution sees zeros beyond the picture, not what the first makes of zeros
            top, bottom = int(i == 0), int(i == len(twice) - 1)
            first = F.pad(first.narrow(2, top, height + 2 - top - bottom), (0, 0, top, bottom))
        place = None if torch.is_grad_enabled() or len(out) == 0 else out.narrow(2, sum(twice[:i]), height)
        yield plain(first, None if noise_plain is None else noise_plain[i], place)
