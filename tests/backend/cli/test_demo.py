"""The whole demo on a tiny generator: a real backend process, real sockets, the real built-in CLIP; no Blender."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import numpy as np
import pytest
from latent_loom.backend.cli import demo_blender, demo_work, main
from PIL import Image


@pytest.fixture(scope="module")
def shown(data, tmp_path_factory):
    """The demo's folder and what --json prints of it."""
    out = tmp_path_factory.mktemp("demo") / "demo"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo_blender.shutil, "which", lambda name: None)
        patch.setattr(demo_work, "TEXTURE_PX", 64)
        patch.setattr(demo_work, "WALK_FRAMES", 6)
        line = ["demo", "--generator", "tiny", "--iterations", "4", "--data", str(data), "--out", str(out), "--json"]
        assert main.main(line) == 0
    yield out, json.loads((out / "demo.json").read_text())
    for name in demo_work.PROMPTS:
        (data / "styles" / f"{name}.safetensors").unlink()


def test_every_number_is_there(shown):
    _, value = shown
    assert value["identical"] is True
    assert value["ping_ms"]["count"] > 0 and 0 < value["ping_ms"]["median"] <= value["ping_ms"]["worst"]
    assert value["cancel_s"] > 0 and value["step_s"] > 0
    assert set(value["scores"]) == set(demo_work.PROMPTS)
    assert all(scores for scores in value["scores"].values())
    assert value["problems"] == [] and "skipped" in value["blender"]
    assert value["total_s"] == pytest.approx(sum(value["seconds"].values()), abs=0.01)


def test_textures_have_every_map(shown):
    out, _ = shown
    names = {path.name for path in (out / "textures").glob("*.png")}
    for which in demo_work.MAPS:
        for seed in demo_work.TEXTURE_SEEDS:
            assert f"mossy-{seed}_{which}.png" in names
        assert f"gilded-0_{which}.png" in names


def test_the_walk_is_a_loop_of_frames_with_a_preview(shown):
    out, _ = shown
    assert len(list((out / "walk").glob("frame-*.png"))) == 6
    with Image.open(out / "walk" / "previews" / "walk.webp") as animation:
        assert animation.n_frames == 6


def test_the_batch_has_a_manifest_line_for_every_file(shown):
    out, _ = shown
    jobs = tomllib.loads((out / "batch" / "jobs.toml").read_text())
    assert len(jobs["items"]) == len(demo_work.PROMPTS)
    pictures = list((out / "batch" / "set").rglob("*.png"))
    lines = [json.loads(line) for line in next((out / "batch").rglob("manifest.jsonl")).read_text().splitlines()]
    assert len(pictures) == 2 * 3 * len(demo_work.PROMPTS)
    assert lines and all(isinstance(line, dict) for line in lines)


def test_the_sheets_are_pictures_with_something_on_them(shown):
    out, _ = shown
    for path in (out / "before_after.png", out / "textures" / "previews" / "maps.png"):
        assert np.asarray(Image.open(path)).std() > 10


def test_the_backend_is_gone_and_so_is_its_token(shown):
    out, value = shown
    said = next(part["said"] for part in value["parts"] if part["name"] == "start the backend")
    assert "process" in said
    assert not any("token" in path.read_text(errors="replace") for path in out.glob("*.json"))
    assert "cancelled" not in [path.stem for path in Path(out / "data" / "styles").glob("*")]
