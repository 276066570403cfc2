"""A batch as an asset library: what is planned, and what a real Blender makes of it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from latent_loom.backend.errors import BadRequest, LoomError, NotFound
from latent_loom.backend.textures.asset_library import LibrarySettings, make_library, plan_assets
from latent_loom.backend.textures.batch import BatchSettings
from latent_loom.backend.textures.batch_run import run_batch

JOBS = {
    "defaults": {"size": 32, "maps": "all"},
    "items": [{"name": "moss", "style": "mossy:0.8", "seeds": "0-1"}, {"name": "plain", "maps": ["color"]}],
}
LOOK = """
import bpy, json, sys
bpy.ops.wm.open_mainfile(filepath=sys.argv[1])
def told(m):
    group = next(n for n in m.node_tree.nodes if n.type == "GROUP").node_tree
    images = {n.name: n.image for n in group.nodes if n.type == "TEX_IMAGE"}
    shader = next(n for n in m.node_tree.nodes if n.type == "BSDF_PRINCIPLED")
    alpha = list(m.preview.image_pixels_float)[3::4]
    return {
        "catalogue": m.asset_data.catalog_id, "tags": sorted(t.name for t in m.asset_data.tags),
        "says": m.asset_data.description, "kept": m.use_fake_user, "linked": shader.inputs["Normal"].is_linked,
        "images": {name: [i.filepath, i.size[0], i.colorspace_settings.name] for name, i in images.items()},
        "preview": [*m.preview.image_size, sum(alpha) / len(alpha)],
    }
print(json.dumps({m.name: told(m) for m in bpy.data.materials}))
"""


@pytest.fixture
def finished(store, tmp_path) -> Path:
    run_batch(store, BatchSettings.from_mapping(JOBS), tmp_path / "set")
    return tmp_path / "set"


def test_every_texture_becomes_an_asset_with_the_maps_that_are_there(finished):
    (finished / "moss-1_normal.png").unlink()
    assets = list(plan_assets(finished))
    assert [asset["name"] for asset in assets] == ["moss-0", "moss-1", "plain-0"]
    assert [len(asset["maps"]) for asset in assets] == [5, 4, 1]
    assert assets[0]["catalogue"] == "Latent Loom/builtin/moss"
    assert assets[0]["tags"] == ["mossy", "builtin", "seamless", "32x32"]
    assert assets[0]["catalogue_id"] == assets[1]["catalogue_id"] != assets[2]["catalogue_id"]


def test_what_cannot_become_a_library_is_told_in_a_sentence(store, tmp_path, finished):
    with pytest.raises(NotFound, match="no finished texture"):
        make_library(LibrarySettings(folder=tmp_path))
    with pytest.raises(NotFound, match="no program"):
        make_library(LibrarySettings(folder=finished, blender=tmp_path / "blender"))
    with pytest.raises(NotFound, match="name the add-on's folder"):
        make_library(LibrarySettings(folder=finished, blender=Path("/bin/sh"), addon=tmp_path))
    with pytest.raises(LoomError, match="Blender could not do it"):
        make_library(LibrarySettings(folder=finished, blender=Path("/bin/false")))
    directx = {"items": [{"size": 32, "maps": ["color", "normal"], "normal": "directx"}]}
    run_batch(store, BatchSettings.from_mapping(directx), tmp_path / "dx")
    with pytest.raises(BadRequest, match="OpenGL"):
        list(plan_assets(tmp_path / "dx"))


def test_a_real_blender_makes_a_library_that_it_can_open(finished, tmp_path):
    python = Path(os.environ.get("LOOM_BPY45", Path(__file__).resolve().parents[3] / ".env-bpy45/bin/python"))
    if not python.is_file():
        pytest.skip("there is no bpy 4.5 here: run `make test`, or set LOOM_BPY45 to a Python that has it")
    (finished / "blender_assets.cats.txt").write_text("VERSION 1\n\n0-my-own:Mine:Mine\n")
    made = make_library(LibrarySettings(folder=finished, blender=python))
    again = make_library(LibrarySettings(folder=finished, blender=python))
    assert made["materials"] == again["materials"] == 3 and made["catalogues"] == 2
    catalogues = (finished / "blender_assets.cats.txt").read_text().splitlines()
    assert catalogues[2] == "0-my-own:Mine:Mine" and len(catalogues) == 5
    assert not list(finished.glob("*.blend1"))
    moved = tmp_path / "elsewhere"
    finished.rename(moved)
    done = subprocess.run(
        [python, "-c", LOOK, moved / "library.blend"], capture_output=True, text=True, check=True, timeout=120
    )
    found = json.loads(next(line for line in reversed(done.stdout.splitlines()) if line.startswith("{")))
    moss = found["moss-0"]
    assert moss["kept"] and moss["linked"] and moss["says"] == "builtin + mossy 0.8, seed 0"
    assert moss["tags"] == ["32x32", "builtin", "mossy", "seamless"]
    assert any(line.startswith(f"{moss['catalogue']}:Latent Loom/builtin/moss:") for line in catalogues)
    assert moss["images"]["Loom color"] == ["//moss-0_color.png", 32, "sRGB"]
    assert moss["images"]["Loom height"] == ["//moss-0_height.png", 32, "Non-Color"]
    assert moss["preview"][:2] == [256, 256] and 0.6 < moss["preview"][2] < 0.9  # a ball, not nothing
    assert set(found) == {"moss-0", "moss-1", "plain-0"} and len(found["plain-0"]["images"]) == 1
