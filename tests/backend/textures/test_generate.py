from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from latent_loom.backend.errors import BadRequest, Cancelled, NotFound
from latent_loom.backend.job import Job
from latent_loom.backend.textures.files import SETTINGS_KEY
from latent_loom.backend.textures.filters import resample
from latent_loom.backend.textures.generate import GenerateSettings, generate, plan_canvas, seed_to_ws, texture
from latent_loom.backend.textures.repeat import repeat_score
from latent_loom.backend.textures.seam import seam_scores
from latent_loom.backend.textures.windows import synthesize
from latent_loom.stylegan2.inputs import draw_inputs
from PIL import Image

from .conftest import make_generator


def make(generator, seed=0, *, size=(32, 32), tile="xy", psi=0.8) -> np.ndarray:
    return texture(generator, seed, size=size, tile=tile, psi=psi)


def settings(**changes) -> GenerateSettings:
    return GenerateSettings(**({"size": (32, 32), "seeds": (0, 1)} | changes))


@pytest.mark.parametrize("size", [(16, 16), (32, 32), (64, 24), (17, 45), (40, 129)])
@pytest.mark.parametrize("tile", ["none", "x", "y", "xy"])
def test_a_texture_has_exactly_the_size_asked_for(generator, size, tile):
    picture = make(generator, size=size, tile=tile)
    assert picture.shape == (size[1], size[0], 3) and picture.dtype == np.uint8
    assert picture.std() > 2


@pytest.mark.parametrize("tile, expected", [("x", (True, False)), ("y", (False, True)), ("xy", (True, True))])
@pytest.mark.parametrize("size", [(32, 32), (29, 35)])
@pytest.mark.parametrize("trained", ["xy", "none"])
def test_a_texture_is_seamless_on_the_axes_asked_for_and_only_there(trained, size, tile, expected):
    generator = make_generator(tile=trained)
    scores = seam_scores(make(generator, seed, size=size, tile=tile) for seed in range(48))
    for score, seamless in zip(scores, expected, strict=True):
        assert (score < 1.2) == seamless, scores


def test_a_circular_generator_that_must_not_tile_shows_no_border(generator):
    stack = np.stack([make(generator, seed, tile="none") for seed in range(48)]).astype(float)
    along_edge = stack[:, :, [0, -1]].std(axis=0).mean()
    assert along_edge == pytest.approx(stack[:, :, 12:20].std(axis=0).mean(), rel=0.15)
    assert min(seam_scores(stack)) > 1.4


def test_a_generator_trained_with_zeros_keeps_them_where_it_must_not_tile():
    canvas = plan_canvas(make_generator(tile="none").config, (32, 64), "x")
    assert (canvas.padding, canvas.grid, canvas.crop) == ("x", (8, 4), (64, 32))


def test_a_large_texture_does_not_repeat_the_trained_size(generator):
    assert repeat_score(make(generator, size=(128, 96)), 32) < 0.5


def test_a_picture_does_not_depend_on_its_place_among_others(store):
    together = generate(store, settings(seeds=(5, 3, 9))).images["color"]
    alone = generate(store, settings(seeds=(3,))).images["color"]
    assert np.array_equal(together[1], alone[0])


@pytest.mark.parametrize("size", [(32, 32), (75, 41)])
def test_a_picture_does_not_depend_on_the_thread_count(generator, size):
    before = torch.get_num_threads()
    try:
        made = []
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            made.append(make(generator, 4, size=size))
    finally:
        torch.set_num_threads(before)
    assert np.array_equal(made[0], made[1]) and np.array_equal(made[0], made[2])


def test_different_seeds_give_different_pictures_and_the_same_seed_the_same(generator):
    assert np.array_equal(make(generator, 1), make(generator, 1))
    assert np.abs(make(generator, 1).astype(int) - make(generator, 2)).mean() > 2


def test_truncation_to_zero_leaves_only_the_mean_latent(generator):
    ws = seed_to_ws(generator, 5, psi=0.0)
    assert torch.allclose(ws[0], generator.mapping.w_avg.expand_as(ws[0]))


def test_a_style_changes_the_picture_and_a_strength_of_zero_does_not(store):
    plain = generate(store, settings()).images["color"]
    styled = generate(store, settings(styles=(("mossy", 1.0),))).images["color"]
    off = generate(store, settings(styles=(("mossy", 0.0),))).images["color"]
    assert np.array_equal(plain, off)
    assert np.abs(plain.astype(int) - styled).mean() > 1


def test_files_have_the_designed_names_and_hold_what_made_them(store, tmp_path):
    wanted = settings(styles=(("mossy", 0.5),), maps=("color", "height", "normal"), seeds=(7,))
    result = generate(store, wanted, tmp_path / "out")
    assert [(f["seed"], f["map"]) for f in result.files] == [(7, "color"), (7, "height"), (7, "normal")]
    names = sorted(p.name for p in (tmp_path / "out").iterdir())
    assert names == ["mossy-7_color.png", "mossy-7_height.png", "mossy-7_normal.png"]
    with Image.open(tmp_path / "out" / "mossy-7_normal.png") as picture:
        about = json.loads(picture.info[SETTINGS_KEY])
    assert about["seed"] == 7 and about["map"] == "normal" and about["normal"] == "opengl"
    assert about["styles"] == [["mossy", 0.5, store.style_hash("mossy")]]
    assert about["generator_hash"] == store.generator_hash("builtin")


def test_the_same_settings_give_the_same_bytes_in_another_folder(store, tmp_path):
    for folder in ("a", "b"):
        generate(store, settings(maps=("color", "orm")), tmp_path / folder)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
        assert str(tmp_path).encode() not in path.read_bytes()


def test_without_a_folder_the_maps_come_back_as_arrays(store):
    images = generate(store, settings(maps=("height", "color"))).images
    assert {k: (v.shape, v.dtype.name) for k, v in images.items()} == {
        "height": ((2, 32, 32), "uint16"),
        "color": ((2, 32, 32, 3), "uint8"),
    }


def test_cancelling_keeps_the_finished_files(store, tmp_path):
    reports = []
    job = Job(report=reports.append, cancelled=lambda: len(reports) == 3)  # the first tells the memory
    with pytest.raises(Cancelled):
        generate(store, settings(seeds=(0, 1, 2, 3)), tmp_path, job)
    assert sorted(p.name for p in tmp_path.glob("*.png")) == ["builtin-0_color.png", "builtin-1_color.png"]
    assert [(r.done, r.total) for r in reports] == [(0, 4), (1, 4), (2, 4)] and reports[1].preview.shape == (32, 32, 3)


def test_an_unknown_style_offers_near_names(store):
    with pytest.raises(NotFound, match=r"'mosy'.*did you mean 'mossy'"):
        generate(store, settings(styles=(("mosy", 1.0),)))


def test_a_conditional_generator_makes_pictures_too():
    assert make(make_generator(c_dim=3, tile="none", input_map=0.0, const_size=4)).std() > 2


@pytest.mark.parametrize(
    "bad, sentence",
    [
        ({"size": (15, 64)}, "15x64 is out of range.*16 to 8192"),
        ({"size": (64, 8193)}, "8193"),
        ({"tile": "yx"}, "no tile mode 'yx'"),
        ({"maps": ("colour",)}, "did you mean 'color'"),
        ({"maps": ()}, "No map"),
        ({"maps": ("ao", "ao")}, "named twice"),
        ({"format": "pgn"}, "did you mean 'png'"),
        ({"psi": float("nan")}, "psi is nan"),
        ({"seeds": ()}, "No seed"),
        ({"seeds": (1, 1)}, "seed 1 is given twice"),
        ({"seeds": (-1,)}, "seed -1 is out of range"),
        ({"seeds": (2**32,)}, "out of range"),
        ({"styles": (("mossy", float("inf")),)}, "strength of the style 'mossy' is inf"),
        ({"styles": (("a", 1.0),) * 17}, "17 styles"),
        ({"name": "../up"}, "cannot start a file name"),
        ({"relief": 9.0}, "relief is 9"),
    ],
)
def test_bad_settings_are_refused_in_a_sentence(bad, sentence):
    with pytest.raises(BadRequest, match=sentence):
        settings(**bad)


@pytest.mark.parametrize("tile, wrap", [("xy", (True, True)), ("y", (True, False))])
def test_an_odd_size_is_resampled_around_the_edges_that_wrap(tile, wrap):
    generator = make_generator(tile="none")
    inputs = draw_inputs(generator.config, [0], (4, 5))
    whole = synthesize(generator, seed_to_ws(generator, 0, psi=0.8), inputs, tile) * 127.5 + 127.5
    expected = np.rint(np.clip(resample(whole, 27, 35, wrap), 0, 255))
    assert np.array_equal(make(generator, 0, size=(35, 27), tile=tile), expected)
