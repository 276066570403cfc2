"""The height of a surface guessed from its colour by a small network that was trained on rendered materials.

Five rings of 3 x 3 convolutions whose taps lie 1, 2, 4, 8 and 16 px apart look 32 px around each pixel, nowhere do they
step over a pixel: shifting a seamless picture shifts its height, and any size is seamless where the colour is. Nothing
is normalised by picture, so a small change of the colour is a small change of the height: a walk does not flicker.

It learned from the procedural materials (light from above left, hollows darker) and knows their scale and their light;
elsewhere it is a guess. `scripts/train_height.py` makes the weights again, `scripts/measure_pbr.py` measures them.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from .filters import Wrap

WEIGHTS = Path(__file__).with_name("height.safetensors")
STEPS = (1, 1, 2, 4, 8, 16)
CHANNELS = 12
REACH = sum(STEPS)
"""How many pixels around a pixel decide its height."""

_ROWS_AT_ONCE = 256
"""Rows computed at a time: bounds the memory at large sizes. Fixed, so that the bits do not depend on the machine."""


class HeightNet(nn.Module):
    """Colour [N, 3, H, W] in 0..1 -> height [N, H, W] in pixels.

    The height lacks `REACH` rows and columns on every side or, `circular`, takes the colour for seamless and is whole.
    """

    def __init__(self, channels: int = CHANNELS) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, channels, 3)
        self.rings = nn.ModuleList(nn.Conv2d(channels, channels, 3, dilation=step) for step in STEPS[1:])
        self.mixes = nn.ModuleList(nn.Conv2d(channels, channels, 1) for _ in STEPS[1:])
        self.last = nn.Conv2d(channels, 1, 1)

    def forward(self, color: Tensor, *, circular: bool = False) -> Tensor:
        def around(x: Tensor, step: int) -> Tensor:
            return F.pad(x, (step,) * 4, mode="circular") if circular else x

        x = F.leaky_relu(self.first(around(color * 4 - 2, 1)), 0.1)
        for step, ring, mix in zip(STEPS[1:], self.rings, self.mixes, strict=True):
            x = around(x, step)
            x = x[..., step:-step, step:-step] + mix(F.leaky_relu(ring(x), 0.1))
        return self.last(x)[:, 0]


@cache
def height_net() -> HeightNet:
    """The trained network, float32, on the CPU: the maps are the same bits wherever the colour was made."""
    net = HeightNet()
    net.load_state_dict({name: tensor.float() for name, tensor in load_file(WEIGHTS).items()})
    return net.eval()


@torch.no_grad()
def guess_height(color: np.ndarray, wrap: Wrap) -> np.ndarray:
    """Height in pixels, float32 [H, W], of color uint8 [H, W, 3]; around edges that do not wrap it is mirrored."""
    net, threads = height_net(), torch.get_num_threads()
    rows = color.shape[0]
    for axis, wraps in enumerate(wrap):
        pad = [(0, 0)] * 3
        pad[axis] = (REACH, REACH)
        color = np.pad(color, pad, mode="wrap" if wraps else "symmetric")
    out = np.empty((rows, color.shape[1] - 2 * REACH), np.float32)
    torch.set_num_threads(1)  # the bits of a convolution may change with the number of threads
    try:
        for start in range(0, rows, _ROWS_AT_ONCE):
            stop = min(start + _ROWS_AT_ONCE, rows)
            lines = torch.from_numpy(color[start : stop + 2 * REACH].astype(np.float32) / 255)
            out[start:stop] = net(lines.permute(2, 0, 1)[None].contiguous())[0].numpy()
    finally:
        torch.set_num_threads(threads)
    return out
