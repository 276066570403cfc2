"""`latent-loom bench adaptation`: what it reports, on a generator small enough for a test. No test asserts a time."""

from __future__ import annotations

import pytest
from latent_loom.backend.cli.bench_adaptation import summary
from latent_loom.backend.cli.bench_adaptation_worker import arithmetic

SMALL = ("bench", "adaptation", "--size", "32", "--repeats", "1", "--device", "cpu", "--threads", "1")


def test_a_row_says_how_long_a_step_took_and_how_near_to_the_limit(loom):
    done = loom(*SMALL, "--method", "style")
    assert done.code == 0, done.complaint
    (row,) = done.value["rows"]
    assert (row["impl"], row["method"], row["size"], row["batch"]) == ("latent-loom", "style", 32, 2)
    assert row["limit_s"] == pytest.approx(2 * sum(done.value["gmac"].values()) / done.value["rate_gflops"])
    assert row["share"] == pytest.approx(row["limit_s"] / row["step_s"])
    assert row["growth_mib"] >= 0


def test_the_arithmetic_of_a_step_is_that_of_the_published_networks():
    gmac = {name: count / 1e9 for name, count in arithmetic({"size": 256, "batch": 2}).items()}
    assert round(gmac["frozen"], 1) == round(gmac["trained"], 1) == round(gmac["gradients"], 1) == 29.8
    assert round(gmac["clip"], 1) == 26.2  # ViT-B/32: 4.4 GMAC a picture


def test_ours_is_compared_with_every_row_of_the_reference():
    common = {"size": 256, "batch": 2, "device": "cpu"}
    ours, theirs = (
        {"impl": impl, "method": "m", "growth_mib": mib, "how": "peak"}
        for impl, mib in (("latent-loom", 100.0), ("reference", 400.0))
    )
    value = summary(common, {"all": 5.0}, 10.0, [(ours, [1.0, 9.0, 2.0]), (theirs, [20.0])])
    ours, theirs = value["rows"]
    assert ours["step_s"] == 2.0 and ours["share"] == 0.5 and ours["times_faster"] == {"m": 10.0}
    assert ours["memory_share"] == {"m": 0.25} and "times_faster" not in theirs


@pytest.mark.parametrize("wrong", [("--size", "100"), ("--size", "16"), ("--against", "nowhere")])
def test_what_cannot_be_measured_is_refused_before_anything_is(loom, wrong):
    done = loom("bench", "adaptation", *wrong)
    assert done.code == 1 and done.complaint.count("\n") <= 1
