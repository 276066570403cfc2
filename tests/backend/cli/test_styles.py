"""`latent-loom styles` as it is typed, on a style with snapshots that nobody had to train."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from latent_loom.backend.adaptation.adapt import Snapshot
from latent_loom.backend.adaptation.measures import Measures
from latent_loom.backend.adaptation.style import Style, StyleInfo
from latent_loom.backend.cli import main
from latent_loom.backend.models.store import Store
from PIL import Image

BIAS = "synthesis.b8.conv0.bias"
MEASURES = Measures(quality=0.2, direction=0.5, retention=0.9, pinned=0.3, structure=0.8)


@pytest.fixture
def ferny(data) -> str:
    store = Store(data)
    snapshots = [Snapshot(iterations=n, tensors={BIAS: torch.full((8,), n / 50)}, measures=MEASURES) for n in (25, 50)]
    info = StyleInfo(
        name="ferny", generator="tiny", generator_hash=store.generator_hash("tiny"), source="stone",
        target="mossy stone", method="style", iterations=50, seed=0, clips=("builtin",), measures=MEASURES.as_dict(),
    )  # fmt: skip
    store.add_style(Style(info=info, tensors=snapshots[-1].tensors), snapshots, overwrite=True)
    return "ferny"


def picture(path: Path) -> np.ndarray:
    with Image.open(path) as opened:
        return np.asarray(opened)


def test_the_snapshots_of_a_style_are_listed_chosen_and_used(loom, ferny, tmp_path, data, capsys):
    listed = loom("styles", "snapshots", ferny).value
    assert [point["iterations"] for point in listed["snapshots"]] == [25, 50] and listed["iterations"] == 50
    assert main.main(["styles", "snapshots", ferny, "--data", str(data)]) == 0
    assert "<- the style" in capsys.readouterr().out
    assert loom("styles", "choose", ferny, "--iterations", "30").value["style"]["iterations"] == 30
    assert loom("styles", "show", ferny).value["style"]["fits"][-1]["relation"] == "own"
    look = ("--generator", "tiny", "--size", "32x32", "--out", tmp_path)
    assert loom("generate", "--style", "ferny:0.8@25", *look).code == 0
    assert picture(tmp_path / "ferny-25-0_color.png").shape == (32, 32, 3)
    refused = loom("generate", "--style", "ferny@99", *look)
    assert refused.code == 1 and "the snapshots are 25, 50" in refused.complaint


def test_a_style_travels_as_a_file(loom, ferny, tmp_path):
    file = tmp_path / "given.safetensors"
    assert loom("styles", "export", "ferny@25", file).code == 0
    taken = loom("styles", "import", file)
    assert taken.code == 1 and "already" in taken.complaint
    assert loom("styles", "import", file, "--name", "fern").value["style"]["iterations"] == 25
    related = {
        style["name"]: style["relation"] for style in loom("styles", "list", "--generator", "tiny").value["styles"]
    }
    assert related["fern"] == "own"
    assert loom("styles", "delete", "fern").code == 0


def test_a_walk_goes_from_style_to_style(loom, ferny, tmp_path):
    line = ("walk", "--generator", "tiny", "--size", "32x32", "--frames", "3", "--out", tmp_path)
    assert loom(*line, "--key", "1", "--key", "1,ferny:2").code == 0
    first, last = (picture(tmp_path / f"frame-000{n}.png") for n in (1, 3))
    assert (first != last).any()
    assert loom(*line, "--key", "1,ferny:much").code == 2


def test_a_report_is_a_page(loom, ferny, tmp_path):
    assert loom("styles", "report", ferny, "--out", tmp_path / "r.pdf").code == 1
    value = loom("styles", "report", ferny, "--out", tmp_path / "r.html").value
    assert (tmp_path / "r.html").read_text().startswith("<!doctype html>") and value["json"].endswith("r.json")


def test_mining_is_for_whole_styles_of_one_s_own(loom, ferny, data):
    file = data / "styles" / "ferny.safetensors"
    before = file.read_bytes()
    refused = loom("styles", "mine", "ferny@25", "--iterations", "1")
    assert refused.code == 1 and "styles choose ferny --iterations 25" in refused.complaint
    assert file.read_bytes() == before
    refused = loom("styles", "mine", "gilded", "--iterations", "100000")
    assert refused.code == 1 and "came with the program" in refused.complaint
    mined = loom("styles", "mine", "ferny", "--iterations", "1", "--batch", "2").value
    assert "mined_quality" in mined["style"]["measures"] and mined["warnings"] == []


def test_a_style_that_no_words_made_is_mined_for_words_that_are_given(loom, ferny, data):
    Store(data).add_generator(Store(data).styled("tiny", [(ferny, 1.0)]), "child", overwrite=True)
    assert loom("styles", "derive", "--generator", "child", "--parent", "tiny", "--overwrite").code == 0
    refused = loom("styles", "mine", "child", "--iterations", "1", "--batch", "2")
    assert refused.code == 1 and "--target" in refused.complaint
    mined = loom("styles", "mine", "child", "--iterations", "1", "--batch", "2", "--target", "wet stone")
    assert mined.code == 0
    on_a_relative = loom("styles", "mine", ferny, "--generator", "child", "--iterations", "1", "--batch", "2")
    assert "same shapes and other weights" in on_a_relative.complaint


def test_a_style_between_two_snapshots_is_listed_so_and_a_taken_name_is_no_new_one(loom, ferny, data, capsys):
    loom("styles", "choose", ferny, "--iterations", "30.5")
    assert main.main(["styles", "snapshots", ferny, "--data", str(data)]) == 0
    assert "between two of them, at 30.5" in capsys.readouterr().out
    refused = loom("styles", "rename", ferny, "ferny")
    assert refused.code == 1 and "or delete that one first" in refused.complaint
