from __future__ import annotations

import numpy as np
import pytest
from latent_loom.backend.textures.filters import blur, gradient, resample, shift, wrap_of

RANDOM = np.random.default_rng(0).standard_normal((24, 32)).astype(np.float32)


@pytest.mark.parametrize("tile, wrap", [("none", (False, False)), ("x", (False, True)), ("y", (True, False))])
def test_tiling_along_the_width_wraps_the_columns(tile, wrap):
    assert wrap_of(tile) == wrap


@pytest.mark.parametrize("operation", [lambda f: blur(f, 2.0, (True, True)), lambda f: gradient(f, (True, True))[1]])
def test_on_a_wrapping_picture_a_filter_commutes_with_rolling(operation):
    rolled = operation(np.roll(RANDOM, (5, 9), (0, 1)))
    assert np.allclose(rolled, np.roll(operation(RANDOM), (5, 9), (0, 1)), atol=1e-6)


def test_a_blur_is_the_gaussian_it_claims_to_be():
    dot = np.zeros((65, 65), np.float32)
    dot[32, 32] = 1
    y, x = np.mgrid[-32:33, -32:33]
    expected = np.exp(-(x**2 + y**2) / (2 * 3.0**2)) / (2 * np.pi * 3.0**2)
    assert np.allclose(blur(dot, 3.0, (True, True)), expected, atol=1e-6)
    assert np.allclose(blur(dot, 3.0, (False, False)), expected, atol=1e-6)


def test_an_edge_that_does_not_wrap_is_not_bled_into_from_the_other_side():
    ramp = np.tile(np.linspace(0, 1, 64, dtype=np.float32), (8, 1))
    assert np.abs(blur(ramp, 3.0, (False, False)) - ramp).max() < 0.05
    assert np.abs(blur(ramp, 3.0, (False, True)) - ramp).max() > 0.3


def test_the_gradient_of_a_ramp_is_its_slope():
    y, x = np.mgrid[0:16, 0:16].astype(np.float32)
    dx, dy = gradient(0.25 * x - 0.5 * y, (False, False))
    assert np.allclose(dx[1:-1, 1:-1], 0.25) and np.allclose(dy[1:-1, 1:-1], -0.5)


def test_a_shift_wraps_or_holds_the_edge():
    row = np.arange(4, dtype=np.float32)[None]
    assert shift(row, 0, 1, (True, True)).tolist() == [[1, 2, 3, 0]]
    assert shift(row, 0, 1, (False, False)).tolist() == [[1, 2, 3, 3]]


def test_resampling_a_periodic_wave_gives_the_wave_at_the_new_size():
    def wave(n: int) -> np.ndarray:
        return np.sin(2 * np.pi * 3 * (np.arange(n) + 0.5) / n).astype(np.float32)[None, :, None].repeat(4, axis=0)

    assert np.abs(resample(wave(64), 4, 50, (True, True)) - wave(50)).max() < 0.01


def test_resampling_averages_out_what_the_new_size_cannot_hold():
    stripes = np.tile(np.array([0.0, 1.0], np.float32), 32)[None, :, None].repeat(4, axis=0)
    assert np.abs(resample(stripes, 4, 20, (True, True)) - 0.5).max() < 0.02


def test_resampling_to_the_same_size_changes_nothing():
    picture = RANDOM[..., None]
    assert resample(picture, 24, 32, (True, True)) is picture or np.array_equal(
        resample(picture, 24, 32, (True, True)), picture
    )
