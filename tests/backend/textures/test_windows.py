from __future__ import annotations

import numpy as np
import pytest
import torch
from latent_loom.backend.errors import NonFinite
from latent_loom.backend.textures import windows
from latent_loom.backend.textures.generate import plan_canvas, render, seed_to_ws
from latent_loom.stylegan2.inputs import draw_inputs
from latent_loom.stylegan2.networks import Synthesis

from .conftest import make_generator


@torch.inference_mode()
def both(generator, grid, padding, monkeypatch) -> tuple[np.ndarray, np.ndarray, list[tuple[int, int]]]:
    """The picture whole, the picture in windows of 32 px, and the sizes of the planes that the latter ran on."""
    ws, inputs = seed_to_ws(generator, 1, psi=1.0), draw_inputs(generator.config, [1], grid)
    whole = windows.synthesize(generator, ws, inputs, padding)
    real, sizes = Synthesis.forward, []

    def spy(net, ws, inputs, *, start=None, **rest):
        sizes.append(tuple(start.x.shape[2:]) if start else inputs.grid)
        return real(net, ws, inputs, start=start, **rest)

    monkeypatch.setattr(Synthesis, "forward", spy)
    monkeypatch.setattr(windows, "WHOLE_PX", 1)
    monkeypatch.setattr(windows, "PLANE_PX", 4 * grid[0] * grid[1])
    monkeypatch.setattr(windows, "WINDOW_PX", 32)
    return whole, windows.synthesize(generator, ws, inputs, padding), sizes


@pytest.mark.parametrize("padding", ["xy", "x", "y", "none"])
@pytest.mark.parametrize("grid", [(14, 11), (3, 25)])
def test_a_picture_made_in_windows_is_the_whole_picture(grid, padding, monkeypatch):
    generator = make_generator(const_size=4)
    whole, windowed, (coarse, *fine) = both(generator, grid, padding, monkeypatch)
    assert np.abs(whole - windowed).max() < 1e-5 * np.abs(whole).max()
    assert coarse == grid, "the coarse blocks are run once"
    assert len(fine) > 1 and max(map(max, fine)) <= 32 // 4 + 2 * windows.HALO


def test_windows_need_their_halo(monkeypatch):
    monkeypatch.setattr(windows, "HALO", 1)
    whole, windowed, _ = both(make_generator(), (14, 14), "xy", monkeypatch)
    assert np.abs(whole - windowed).max() > 1e-3 * np.abs(whole).max()


@pytest.mark.parametrize("resolution", [32, 64, 256, 1024])
@pytest.mark.parametrize("size", [(4096, 4096), (8192, 8192), (4096, 1024)])
def test_neither_the_whole_plane_nor_a_window_is_large(resolution, size):
    blocks = resolution.bit_length() - 2
    config = make_generator(resolution=resolution, channels=(1,) * blocks).config
    grid = (size[0] * 4 // resolution, size[1] * 4 // resolution)
    split = windows.whole_blocks(config, grid)
    assert split < blocks or size[0] * size[1] <= windows.WHOLE_PX
    if split < blocks:
        assert split == 1 or grid[0] * grid[1] << 2 * (split - 1) <= windows.PLANE_PX
        assert (windows.WINDOW_PX >> (blocks - split)) >= 2 * windows.HALO, "most of a window is kept"


def test_a_picture_of_ordinary_size_is_made_in_one_piece(generator, monkeypatch):
    monkeypatch.setattr(windows, "cut", None)
    canvas = plan_canvas(generator.config, (1024, 64), "xy")
    inputs = draw_inputs(generator.config, [0], canvas.grid)
    assert render(generator, seed_to_ws(generator, 0, psi=1.0), inputs, canvas).shape == (64, 1024, 3)


def test_a_device_that_runs_out_of_memory_gets_smaller_and_smaller_pieces(generator, monkeypatch):
    ws, inputs = seed_to_ws(generator, 1, psi=1.0), draw_inputs(generator.config, [1], (32, 32))
    whole, real, asked = windows.synthesize(generator, ws, inputs, "xy"), windows._in_pieces, []

    def short(generator, ws, inputs, padding, pieces):
        asked.append((pieces.whole_px, pieces.window_px))
        if len(asked) < 5:
            raise torch.OutOfMemoryError("out of memory")
        return real(generator, ws, inputs, padding, pieces)

    monkeypatch.setattr(windows, "_in_pieces", short)
    made = windows.synthesize(generator, ws, inputs, "xy")
    usual = (windows.WHOLE_PX, windows.WINDOW_PX)
    assert asked == [usual, usual, (512**2, 512), (256**2, 256), (128**2, 128)]
    assert np.abs(whole - made).max() < 1e-5 * np.abs(whole).max()


def test_where_the_smallest_pieces_are_too_large_the_error_is_the_device_s(generator, monkeypatch):
    def short(*args):
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(windows, "_in_pieces", short)
    with pytest.raises(torch.OutOfMemoryError):
        windows.synthesize(generator, None, None, "xy")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_no_colours_are_an_error_and_never_a_picture(generator, monkeypatch, value):
    picture = np.zeros((8, 8, 3), np.float32)
    picture[7, 7, 2] = value
    monkeypatch.setattr(windows, "_in_pieces", lambda *args: picture)
    with pytest.raises(NonFinite, match="import the generator again"):
        windows.synthesize(generator, None, None, "xy")
