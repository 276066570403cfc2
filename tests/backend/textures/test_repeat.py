from __future__ import annotations

import numpy as np
import pytest
from latent_loom.backend.textures.repeat import repeat_score

from . import pictures


def test_a_repeated_tile_is_found_and_a_larger_texture_is_not_accused():
    large = pictures.cobbles(128)[0]
    assert repeat_score(np.tile(large[:64, :64], (2, 2, 1)), 64) > 0.99
    assert repeat_score(large, 64) < 0.3


def test_a_repetition_along_one_axis_or_after_two_periods_is_found():
    large = pictures.cobbles(192)[0]
    assert repeat_score(np.tile(large[:, :64], (1, 3, 1)), 64) > 0.99
    assert repeat_score(np.tile(large[:, :96], (1, 2, 1)), 48) > 0.99, "every second period"


def test_a_picture_that_was_resampled_has_a_period_for_each_axis():
    tile = pictures.cobbles(64)[0][:60]
    assert repeat_score(np.tile(tile, (2, 2, 1)), (60.0, 64.0)) > 0.99


def test_the_score_is_the_correlation_with_the_shifted_picture():
    large = pictures.bricks(128)[0]
    light = large.astype(float).mean(-1)
    expected = max(
        np.corrcoef(light.ravel(), np.roll(light, 32 * k, axis).ravel())[0, 1] for k in (1, 2, 3) for axis in (0, 1)
    )
    assert repeat_score(large, 32) == pytest.approx(expected, abs=1e-4)


def test_courses_of_a_lattice_are_a_pattern_and_a_repeated_picture_with_courses_is_a_repetition():
    joints = np.ones((128, 128), np.float32)
    joints[::16] = joints[:, ::16] = 0.3
    shade = np.random.RandomState(0).uniform(0.6, 1, (8, 8)).repeat(16, 0).repeat(16, 1)
    tiles = (255 * joints * shade)[..., None].repeat(3, -1).astype(np.uint8)
    assert repeat_score(tiles, 64) > 0.5, "without knowing of the lattice"
    assert repeat_score(tiles, 64, cells=4) < 0.3
    assert repeat_score(np.tile(tiles[:64, :64], (2, 2, 1)), 64, cells=4) > 0.99


def test_what_is_smaller_than_two_periods_has_no_score():
    assert repeat_score(pictures.cobbles(128)[0], 65) is None
