"""Tileable means: an input rolled along a tiled axis gives the output rolled as far, whatever the operation."""

from __future__ import annotations

import pytest
import torch
from latent_loom.stylegan2.ops.modulation import modulated_convolve
from latent_loom.stylegan2.ops.padding import pad
from latent_loom.stylegan2.ops.resample import normalise_taps, upsample

TAPS = normalise_taps((1.0, 3.0, 3.0, 1.0))
AXES = {"x": 3, "y": 2}
ROUNDING = 1e-5  # of values around 1: the order of a sum may depend on where a pixel lies
S = torch.linspace(0.5, 1.5, 3)[None]
WEIGHT = torch.randn(4, 3, 3, 3, generator=torch.Generator().manual_seed(1)) / 5

OPS = {  # name -> (operation, pixels out for one pixel in)
    "pad": (lambda x, tile: pad(x, 1, tile)[:, :, :-2, :-2], 1),
    "upsample": (lambda x, tile: upsample(x, TAPS, tile), 2),
    "convolve": (lambda x, tile: modulated_convolve(x, WEIGHT, S, tile=tile), 1),
    "up-sampling convolve": (lambda x, tile: modulated_convolve(x, WEIGHT, S, tile=tile, up_taps=TAPS), 2),
}


@pytest.mark.parametrize("name", OPS)
@pytest.mark.parametrize("tile", ["x", "y", "xy"])
@pytest.mark.parametrize("shape", [(5, 8), (1, 3)])
def test_a_rolled_input_gives_the_rolled_output_along_each_tiled_axis(name, tile, shape):
    op, scale = OPS[name]
    x = torch.randn(1, 3, *shape, generator=torch.Generator().manual_seed(0))
    for axis in tile:
        moved = op(x.roll(1, AXES[axis]), tile)
        assert (moved - op(x, tile).roll(scale, AXES[axis])).abs().max() < ROUNDING


@pytest.mark.parametrize("name", OPS)
@pytest.mark.parametrize(("tile", "other"), [("x", "y"), ("y", "x"), ("none", "x")])
def test_the_other_axis_is_not_wrapped(name, tile, other):
    op, scale = OPS[name]
    x = torch.randn(1, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    moved = op(x.roll(1, AXES[other]), tile)
    assert (moved - op(x, tile).roll(scale, AXES[other])).abs().max() > 0.01
