"""`project`, `textures`, `generate --keep` and `--texture`, as a user types them."""

from __future__ import annotations

import numpy as np
import pytest
from latent_loom.stylegan2.projection import SPACES
from PIL import Image

from .test_choices import choices


@pytest.fixture
def photo(tmp_path):
    pixels = np.random.RandomState(0).randint(0, 256, (24, 24, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def test_a_picture_becomes_a_texture_that_generate_and_walk_take(loom, photo, tmp_path):
    made = loom("project", photo, "--name", "wall", "--generator", "tiny", "--steps", 4, "--out", tmp_path / "out")
    assert made.code == 0, made.complaint
    assert set(made.value["texture"]["measures"]) == {"psnr_db", "cosine", "anew"}
    assert (tmp_path / "out" / "previews" / "wall.png").is_file()
    with Image.open(tmp_path / "out" / "wall_color.png") as picture:
        assert list(picture.size) == made.value["size"]
    look = ("--generator", "tiny", "--texture", "wall", "--size", 16)
    made = loom("generate", *look, "--seeds", "3", "--keep", "3=three", "--out", tmp_path / "set")
    assert [file["seed"] for file in made.value["files"]] == ["wall", 3]
    made = loom("walk", *look, "--seeds", "3", "--frames", 2, "--out", tmp_path / "walk")
    assert made.value["frames"] == 2
    listed = loom("textures").value["textures"]
    assert [(texture["name"], texture["origin"]) for texture in listed] == [("three", "seed"), ("wall", "projection")]
    assert loom("textures", "show", "wall").value["texture"]["seed"] == 0
    assert loom("textures", "rename", "wall", "fence").value == {"name": "fence"}
    for name in ("fence", "three"):
        assert loom("textures", "delete", name).value == {"deleted": name}
    assert loom("textures").value == {"textures": []}


def test_a_picture_that_is_none_is_refused_in_one_sentence(loom, tmp_path):
    (tmp_path / "notes.png").write_text("no picture")
    made = loom("project", tmp_path / "notes.png", "--name", "wall", "--generator", "tiny")
    assert made.code == 1
    assert "cannot be read as a picture" in made.complaint


@pytest.mark.parametrize("keep", ["3", "=name", "x=name", "3="])
def test_a_keep_that_names_no_seed_or_no_texture_is_wrong_usage(loom, tmp_path, keep):
    assert loom("generate", "--generator", "tiny", "--keep", keep, "--out", tmp_path).code == 2


def test_the_spaces_offered_are_those_there_are():
    assert choices("project", "--space") == set(SPACES)


def test_a_taken_name_is_told_before_a_texture_is_made(loom, tmp_path):
    look = ("--generator", "tiny", "--size", "16x16", "--direction", "d0:2", "--seeds", "3", "--keep", "3=mine")
    assert loom("generate", *look, "--out", tmp_path / "once").code == 0
    done = loom("generate", *look, "--out", tmp_path / "again")
    assert done.code == 1 and "or delete or overwrite it" in done.complaint
    assert not (tmp_path / "again").exists()
