"""`latent-loom bench outputs`, on a generator small enough for a test. No test asserts a time."""

from __future__ import annotations

import numpy as np
import pytest
from latent_loom.backend.cli.bench_walk import flicker, unevenness
from latent_loom.backend.textures.files import MAPS


def test_the_parts_and_the_batch_are_measured_and_a_long_batch_is_resumed(loom):
    done = loom(
        "bench", "outputs", "--generator", "tiny", "--size", "32", "--count", "2", "--repeats", "1", "--items", "20",
        "--frames", "6", "--part", "overlap", "--part", "long", "--part", "walk",
    )  # fmt: skip
    assert done.code == 0, done.complaint
    overlap, long = done.value["overlap"], done.value["long"]
    assert overlap["sum_s"] == pytest.approx(overlap["generate_s"] + overlap["maps_s"] + overlap["write_s"])
    assert overlap["share"] == pytest.approx(overlap["batch_s"] / overlap["sum_s"])
    assert (long["items"], long["resume_skipped"]) == (20, 20)
    assert len(long["memory_mib"]) == 10
    walk = done.value["walk"]
    assert walk["closes"] and walk["visual"] >= 1 and set(walk["flicker"]) == set(MAPS)
    assert "cluster" not in done.value


def test_flicker_tells_what_moves_from_what_is_drawn_anew():
    rng = np.random.default_rng(0)
    turns = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    smooth = [np.full((4, 4), 128 + 100 * np.cos(t)) for t in turns]
    assert flicker(smooth) < 0.15
    assert 1.6 < flicker([rng.normal(128, 20, (16, 16)) for _ in turns]) < 1.85
    assert flicker([np.zeros((2, 2))] * 3) == 0


def test_unevenness_is_one_at_constant_speed_and_the_jump_s_share_otherwise():
    levels = [0, 10, 20, 30, 20, 10]
    assert unevenness([np.full((16, 16, 3), level, np.uint8) for level in levels]) == pytest.approx(1)
    levels = [0, 10, 20, 60, 20, 10]  # steps of 10, 10, 40, 40, 10, 10
    assert unevenness([np.full((16, 16, 3), level, np.uint8) for level in levels]) == pytest.approx(2)
