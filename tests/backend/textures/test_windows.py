from __future__ import annotations

import numpy as np
import pytest
import torch
from latent_loom.backend.textures import windows
from latent_loom.backend.textures.generate import plan_canvas, render, seed_to_ws
from latent_loom.stylegan2.inputs import draw_inputs

from .conftest import make_generator

CELL = 8  # pixels, of the tests' generators


@torch.inference_mode()
def both(generator, grid, padding, monkeypatch) -> tuple[np.ndarray, np.ndarray, list[tuple[int, int]]]:
    """The picture whole, the picture in windows, and the grids that were synthesised for the latter."""
    ws, inputs = seed_to_ws(generator, 1, psi=1.0), draw_inputs(generator.config, [1], grid)
    whole = windows.synthesize(generator, ws, inputs, padding)
    real, grids = generator.synthesize, []

    def spy(ws, inputs, **rest):
        grids.append(inputs.grid)
        return real(ws, inputs, **rest)

    monkeypatch.setattr(windows, "WINDOW_PX", 32 * CELL)
    monkeypatch.setattr(generator, "synthesize", spy)
    return whole, windows.synthesize(generator, ws, inputs, padding), grids


@pytest.mark.parametrize("padding", ["xy", "x", "y", "none"])
@pytest.mark.parametrize("grid", [(52, 40), (4, 70), (45, 8)])
@pytest.mark.parametrize("const_size", [1, 4])
def test_a_picture_made_in_windows_is_the_whole_picture(const_size, grid, padding, monkeypatch):
    generator = make_generator(const_size=const_size)
    whole, windowed, grids = both(generator, grid, padding, monkeypatch)
    assert np.abs(whole - windowed).max() < 1e-4 * np.abs(whole).max()
    uneven = const_size == 4 and ((grid[0] % 4 and "y" in padding) or (grid[1] % 4 and "x" in padding))
    assert uneven or (len(grids) > 1 and max(map(max, grids)) <= 32)


def test_windows_need_their_halo(monkeypatch):
    monkeypatch.setattr(windows, "HALO_CELLS", 0)
    whole, windowed, _ = both(make_generator(), (70, 70), "xy", monkeypatch)
    assert np.abs(whole - windowed).max() > 1e-2 * np.abs(whole).max()


def test_no_window_is_larger_than_allowed_where_cells_are_small():
    for cell in (1, 4, 16, 64):
        assert (windows.window_cells(cell) + 2 * windows.HALO_CELLS) * cell <= windows.WINDOW_PX


def test_a_picture_of_ordinary_size_is_made_in_one_piece(generator, monkeypatch):
    monkeypatch.setattr(windows, "cut_inputs", None)
    canvas = plan_canvas(generator.config, (1024, 64), "xy")
    inputs = draw_inputs(generator.config, [0], canvas.grid)
    assert render(generator, seed_to_ws(generator, 0, psi=1.0), inputs, canvas).shape == (64, 1024, 3)
