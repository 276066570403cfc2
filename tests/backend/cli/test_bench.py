"""`latent-loom bench synthesis`: what it reports, on a generator small enough for a test. No test asserts a time."""

from __future__ import annotations

import pytest

SMALL = ("bench", "synthesis", "--case", "16:2", "--channel-base", "128", "--repeats", "1", "--device", "cpu")


def test_a_row_says_what_was_made_and_how_near_to_the_limit(loom):
    done = loom(*SMALL, "--impl", "torch")
    assert done.code == 0, done.complaint
    (row,) = done.value["rows"]
    assert (row["size"], row["batch"], row["impl"]) == (16, 2, "torch")
    assert row["limit_s"] == pytest.approx(2 * row["gmac"] / done.value["rate_gflops"])
    assert row["share"] == pytest.approx(row["limit_s"] / row["seconds"])
    assert row["growth_mib"] >= 0
    assert "resident" in done.value["growth"]


def test_the_arithmetic_is_that_of_the_published_layers():
    from latent_loom.backend.cli.bench_worker import macs

    channels = {4: 512, 8: 512, 16: 512, 32: 512, 64: 256, 128: 128, 256: 64}
    assert round(macs(channels) / 1e9, 1) == 14.9  # 256 px, channel_base 16384
    assert macs({4: 2, 8: 3}) == 16 * (9 * 4 + 3 * 2) + 64 * (9 * 9 + 3 * 3) + 16 * 9 * 2 * 3


def test_a_folder_that_is_no_reference_is_refused_before_anything_is_measured(loom, tmp_path):
    done = loom(*SMALL, "--against", tmp_path)
    assert done.code == 1 and "no checkout of" in done.complaint


@pytest.mark.parametrize("case", ["100:1", "64", "64:0", "64x1", "8192:1"])
def test_a_case_is_a_power_of_two_and_a_batch(loom, case):
    done = loom("bench", "synthesis", "--case", case)
    assert done.code == 2 and "SIZE:BATCH" in done.complaint
