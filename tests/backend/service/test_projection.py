"""The requests `project`, `keep`, `textures` and `delete_texture`, on a small random generator."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from latent_loom.backend.adaptation.clip import BUILTIN_CLIPS
from latent_loom.backend.errors import AlreadyExists, BadRequest, Cancelled, LoomError, NotFound
from latent_loom.backend.job import Job
from latent_loom.backend.service.handlers import HANDLERS, Context
from latent_loom.backend.textures.project import ProjectSettings, fit_picture, psnr_db
from PIL import Image

PICTURE = np.random.RandomState(0).randint(0, 256, (40, 48, 3)).astype(np.uint8)
QUICK = {"generator": "small", "steps": 6, "name": "wall"}


@pytest.fixture
def ask(store):
    def ask(request, params=None, arrays=None, job=None):
        return HANDLERS[request](Context(store=store), params or {}, arrays or {}, job or Job())

    return ask


def test_a_picture_on_the_wire_is_projected_kept_and_shown(ask, store):
    reports = []
    params = QUICK | {"preview_every": 2}
    answer = ask("project", params, {"picture": PICTURE}, Job(report=reports.append))
    texture = answer.value["texture"]
    assert set(texture["measures"]) == {"psnr_db", "cosine", "anew"}
    assert texture["origin"] == "projection"
    assert texture["grid"] == [4, 4]
    assert answer.arrays["sheet"].dtype == np.uint8
    assert [r.done for r in reports] == list(range(1, reports[-1].total + 1))
    assert list(dict.fromkeys(r.stage for r in reports)) == ["search", "material", "arrangement"]
    assert reports[-1].preview.shape == (16, 32, 3)
    assert store.kept_texture("wall", "small").arrangement is not None


def test_a_file_is_projected_and_the_pictures_are_written(ask, tmp_path):
    Image.fromarray(PICTURE).save(tmp_path / "photo.png")
    answer = ask("project", QUICK | {"file": str(tmp_path / "photo.png"), "out": str(tmp_path / "out")})
    assert not answer.arrays
    assert [file["map"] for file in answer.value["files"]] == ["color", "sheet"]
    for file in answer.value["files"]:
        Image.open(file["path"]).load()


def test_a_clip_of_ones_own_tells_the_materials_apart(ask, store):
    shutil.copytree(BUILTIN_CLIPS["builtin"], store.root / "clips" / "mine")
    texture = ask("project", QUICK | {"clip": "mine"}, {"picture": PICTURE}).value["texture"]
    assert texture["origin"] == "projection"
    with pytest.raises(LoomError, match="mein"):
        ask("project", QUICK | {"clip": "mein", "overwrite": True}, {"picture": PICTURE})


def test_the_same_request_gives_the_same_file(ask, store):
    files = []
    for _ in range(2):
        ask("project", QUICK | {"overwrite": True}, {"picture": PICTURE})
        files.append(store.textures.path("wall").read_bytes())
    assert files[0] == files[1]


@pytest.mark.parametrize("tile", ["none", "x", "xy"])
def test_every_tile_mode_and_size_is_projected(ask, store, tile):
    ask("project", QUICK | {"tile": tile, "size": [32, 16]}, {"picture": PICTURE})
    assert store.kept_texture("wall", "small").info.settings["tile"] == tile


def test_a_cancel_keeps_what_there_is(ask, store):
    done = []
    with pytest.raises(Cancelled, match="wall-partial"):
        ask("project", QUICK, {"picture": PICTURE}, Job(report=done.append, cancelled=lambda: len(done) >= 35))
    assert [entry.name for entry in store.kept()] == ["wall-partial"]
    assert store.kept_texture("wall-partial", "small").info.measures["psnr_db"] > 0


def test_a_cancel_during_the_search_keeps_nothing_and_says_so(ask, store):
    with pytest.raises(Cancelled, match="no texture was made"):
        ask("project", QUICK, {"picture": PICTURE}, Job(cancelled=lambda: True))
    assert store.kept() == []


@pytest.mark.parametrize(
    ("params", "arrays", "told"),
    [
        ({}, {}, "either `file`"),
        ({"file": "/a.png"}, {"picture": PICTURE}, "either `file`"),
        ({"file": "a.png"}, {}, "whole path"),
        ({}, {"picture": PICTURE[:1, :1]}, "only 1x1 px"),
        ({}, {"picture": PICTURE.astype(np.float32)}, "uint8 or uint16"),
        ({"size": [17, 16]}, {"picture": PICTURE}, "multiples of 4 px"),
        ({"size": [16, 100_000]}, {"picture": PICTURE}, "multiples of 4 px"),
        ({"space": "z"}, {"picture": PICTURE}, "no space"),
        ({"steps": 0}, {"picture": PICTURE}, "0 steps"),
        ({"seed": -1}, {"picture": PICTURE}, "out of range"),
        ({"name": "../up"}, {"picture": PICTURE}, "not a name"),
        ({"preview_every": -1}, {"picture": PICTURE}, "preview_every"),
    ],
)
def test_what_cannot_be_projected_is_refused_before_the_work(ask, store, params, arrays, told):
    with pytest.raises(BadRequest, match=told):
        ask("project", QUICK | params, arrays)
    assert store.kept() == []


def test_names_that_nothing_has_are_told_before_the_work(ask):
    with pytest.raises(NotFound, match="no picture"):
        ask("project", QUICK | {"file": "/nowhere/a.png"})
    with pytest.raises(NotFound, match="no style"):
        ask("project", QUICK | {"styles": [["nowhere", 1.0]]}, {"picture": PICTURE})
    with pytest.raises(NotFound, match="no generator"):
        ask("project", QUICK | {"generator": "none"}, {"picture": PICTURE})
    ask("keep", {"seed": 1, "name": "wall", "generator": "small"})
    with pytest.raises(AlreadyExists):
        ask("project", QUICK, {"picture": PICTURE})


def test_a_seed_is_kept_listed_and_deleted(ask):
    kept = ask("keep", {"seed": 3, "name": "three", "generator": "small", "psi": 0.5}).value["texture"]
    assert (kept["origin"], kept["seed"], kept["generator"]) == ("seed", 3, "small")
    assert ask("textures").value["textures"] == [kept]
    ask("delete_texture", {"name": "three"})
    assert ask("textures").value["textures"] == []
    with pytest.raises(NotFound):
        ask("delete_texture", {"name": "three"})


def test_a_picture_is_cut_to_its_middle_and_kept_where_it_fits():
    wide = np.concatenate([np.zeros((20, 10, 3)), np.full((20, 20, 3), 200), np.zeros((20, 10, 3))], 1).astype(np.uint8)
    assert (fit_picture(wide, (16, 16), "none") == 200).all()
    assert np.array_equal(fit_picture(PICTURE, (48, 40), "xy"), PICTURE)


def test_psnr_is_that_of_its_definition():
    assert psnr_db(PICTURE, PICTURE) == 99
    assert psnr_db(np.zeros((2, 2), np.uint8), np.full((2, 2), 255, np.uint8)) == 0


def test_steps_are_shared_out_between_the_stages():
    p = ProjectSettings(steps=600).projection
    assert (p.material, p.arrangement) == (200, 400)
    assert ProjectSettings(steps=1).projection.arrangement == 1
