"""`latent-loom bench outputs`, on a generator small enough for a test. No test asserts a time."""

from __future__ import annotations

import pytest


def test_the_parts_and_the_batch_are_measured_and_a_long_batch_is_resumed(loom):
    done = loom(
        "bench", "outputs", "--generator", "tiny", "--size", "32", "--count", "2", "--repeats", "1", "--items", "20"
    )
    assert done.code == 0, done.complaint
    overlap, long = done.value["overlap"], done.value["long"]
    assert overlap["sum_s"] == pytest.approx(overlap["generate_s"] + overlap["maps_s"] + overlap["write_s"])
    assert overlap["share"] == pytest.approx(overlap["batch_s"] / overlap["sum_s"])
    assert (long["items"], long["resume_skipped"]) == (20, 20)
    assert len(long["memory_mib"]) == 10
