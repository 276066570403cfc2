from __future__ import annotations

import importlib
import json

import numpy as np
import pytest
from latent_loom.backend.errors import BadRequest
from latent_loom.backend.textures import deep
from latent_loom.backend.textures.files import encode, is_picture, write_picture
from latent_loom.backend.textures.generate import GenerateSettings, generate
from latent_loom.backend.textures.movies import encoder, read_frame
from latent_loom.backend.textures.walk import walk
from PIL import Image

from .test_walk import frames, settings

RAMP = np.linspace(-0.1, 1.1, 16 * 24 * 3, dtype=np.float32).reshape(16, 24, 3)


def needs(module: str):
    missing = importlib.util.find_spec(module) is None
    return pytest.mark.skipif(missing, reason=f"{module} of the extra `formats` is not installed")


@needs("cv2")
def test_a_16_bit_png_holds_16_bits_and_its_settings(tmp_path):
    import cv2

    data = write_picture(tmp_path / "a.png", RAMP, about={"seed": 3, "name": "ü"})
    read = cv2.imread(str(tmp_path / "a.png"), cv2.IMREAD_UNCHANGED)[..., ::-1]
    assert read.dtype == np.uint16 and np.array_equal(read, np.rint(np.clip(RAMP, 0, 1) * 65535))
    with Image.open(tmp_path / "a.png") as picture:
        assert json.loads(picture.text["latent-loom"]) == {"seed": 3, "name": "ü"}
    assert is_picture(tmp_path / "a.png", (24, 16)) and not is_picture(tmp_path / "a.png", (16, 24))
    assert data == encode(RAMP, "png16", about={"seed": 3, "name": "ü"})


@needs("OpenEXR")
def test_an_exr_is_linear_light_beyond_0_and_1_and_the_same_bytes_again(tmp_path):
    data = write_picture(tmp_path / "a.exr", RAMP, about={"seed": 3})
    assert np.abs(deep.read_exr(tmp_path / "a.exr") - RAMP).max() < 2e-3
    assert data == encode(RAMP, "exr", about={"seed": 3})
    assert is_picture(tmp_path / "a.exr", (24, 16))
    (tmp_path / "a.exr").write_bytes(data[: len(data) // 2])
    assert not is_picture(tmp_path / "a.exr", (24, 16))


@pytest.mark.parametrize("fmt", ["png16", "exr"])
def test_a_missing_library_is_told_with_the_extra_before_any_work(store, tmp_path, monkeypatch, fmt):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(deep.importlib, "import_module", missing)
    with pytest.raises(BadRequest, match=r"pip install 'latent-loom\[formats\]'"):
        generate(store, GenerateSettings(size=(32, 32), format=fmt), tmp_path)
    assert list(tmp_path.glob("*_*")) == []


@needs("cv2")
@needs("OpenEXR")
def test_every_format_shows_the_same_picture(store, tmp_path):
    plain = generate(store, GenerateSettings(size=(32, 32))).images["color"][0]
    for fmt in ("png16", "exr", "webp", "jpeg"):
        made = generate(store, GenerateSettings(size=(32, 32), format=fmt, maps=("color", "ao")), tmp_path / fmt)
        shown = read_frame(tmp_path / fmt / made.files[0]["path"])
        assert np.abs(shown.astype(int) - plain).max() <= (40 if fmt == "jpeg" else 1), fmt


@needs("OpenEXR")
def test_a_deep_walk_goes_on_at_its_missing_frames(store, tmp_path):
    walk(store, settings(format="exr"), tmp_path)
    whole = (tmp_path / "frame-0004.exr").read_bytes()
    (tmp_path / "frame-0004.exr").write_bytes(whole[:100])
    assert walk(store, settings(format="exr"), tmp_path).kept == 5
    assert (tmp_path / "frame-0004.exr").read_bytes() == whole


@pytest.mark.parametrize("kind", ["webp", "gif"])
def test_a_preview_plays_the_walk(store, tmp_path, kind):
    made = walk(store, settings(preview=kind, loop=True), tmp_path)
    with Image.open(made.animations["preview"]) as picture:
        assert picture.n_frames == 6 and picture.size == (32, 32)
        assert np.abs(np.asarray(picture.convert("RGB")).astype(int) - frames(tmp_path)[0]).mean() < 12


def test_a_movie_has_every_frame_where_there_is_an_encoder(store, tmp_path):
    try:
        encoder()
    except BadRequest:
        pytest.skip("no ffmpeg here")
    made = walk(store, settings(movie="mp4", size=(33, 32)), tmp_path)
    data = (tmp_path / "walk.mp4").read_bytes()
    assert made.animations["movie"] == str(tmp_path / "walk.mp4") and data[4:8] == b"ftyp"
    assert not list(tmp_path.glob(".*.part"))


def test_without_an_encoder_a_movie_is_refused_before_the_work(store, tmp_path, monkeypatch):
    from latent_loom.backend.textures import movies

    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(movies.shutil, "which", lambda name: None)
    monkeypatch.setattr(movies.importlib, "import_module", missing)
    with pytest.raises(BadRequest, match="No movie encoder"):
        walk(store, settings(movie="mp4"), tmp_path)
    assert not frames(tmp_path)
