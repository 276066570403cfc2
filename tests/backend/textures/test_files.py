from __future__ import annotations

import io
import json
import os
import stat
from pathlib import Path

import numpy as np
import pytest
from latent_loom.backend.errors import BadRequest, CannotWrite
from latent_loom.backend.textures import files
from PIL import Image

COLOR = np.arange(24 * 16 * 3, dtype=np.uint32).reshape(24, 16, 3).astype(np.uint8)


def decoded(data: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(data))
    picture.load()
    return picture


def test_a_colour_png_holds_every_pixel_and_its_settings():
    picture = decoded(files.encode(COLOR, about={"seed": 3, "styles": [["mössy", 1.0]]}))
    assert np.array_equal(np.asarray(picture), COLOR)
    assert json.loads(picture.info[files.SETTINGS_KEY]) == {"seed": 3, "styles": [["mössy", 1.0]]}


def test_a_height_png_keeps_all_sixteen_bits():
    height = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    picture = decoded(files.encode(height))
    assert picture.mode in ("I;16", "I")
    assert np.array_equal(np.asarray(picture), height)


def test_the_same_settings_give_the_same_bytes_whatever_the_order_of_keys():
    assert files.encode(COLOR, about={"a": 1, "b": 2}) == files.encode(COLOR, about={"b": 2, "a": 1})


@pytest.mark.parametrize("fmt", ["jpeg", "webp"])
def test_other_formats_are_close_to_the_picture(fmt):
    smooth = np.repeat(np.repeat(COLOR[::4, ::4] // 2, 8, axis=0), 8, axis=1)
    picture = np.asarray(decoded(files.encode(smooth, fmt)).convert("RGB"))
    assert np.abs(picture.astype(int) - smooth).mean() < 4


def test_names_follow_the_design():
    assert files.picture_name("moss", 7, "color", "png") == "moss-7_color.png"
    assert files.picture_name("moss", 7, "color", "jpeg") == "moss-7_color.jpg"
    assert files.picture_name("moss", 7, "height", "jpeg") == "moss-7_height.png"
    assert files.frame_name(1) == "frame-0001.png"
    assert files.frame_name(12345, "normal") == "frame-12345_normal.png"


@pytest.mark.parametrize(
    "name", ["", "../up", "a/b", "a\\b", ".hidden", "a..b", "C:x", "con", "LPT1.x", "x" * 101, "a\n"]
)
def test_a_name_that_leaves_the_folder_or_breaks_a_platform_is_refused(name):
    with pytest.raises(BadRequest, match="cannot start a file name"):
        files.check_stem(name)


def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    path.write_bytes(b"old")

    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        files.write_atomic(path, b"new")
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]
    assert path.read_bytes() == b"old"


def test_what_a_killed_process_left_is_swept_and_nothing_else(tmp_path):
    (tmp_path / ".a.png.0011.part").write_bytes(b"half")
    (tmp_path / "mine.part").write_bytes(b"?")
    files.sweep_parts(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.part"]


def test_a_full_disk_is_told_in_a_sentence(tmp_path, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CannotWrite, match=r"a\.png.*No space left on device.*free some space"):
        files.write_atomic(tmp_path / "a.png", b"new")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_keeps_nothing_of_the_try_to_write(tmp_path, monkeypatch):
    def full(path, data):
        path.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(CannotWrite, match="No space left"):
        files.open_folder(tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_an_output_folder_is_made_with_its_parents_and_left_clean(tmp_path):
    folder = files.open_folder(tmp_path / "a" / "b")
    assert folder.is_dir()
    assert list(folder.iterdir()) == []


def test_a_file_in_place_of_the_output_folder_is_told(tmp_path):
    (tmp_path / "f").write_bytes(b"")
    with pytest.raises(CannotWrite, match="is a file, not a folder"):
        files.open_folder(tmp_path / "f")
    with pytest.raises(CannotWrite, match="choose another output folder"):
        files.open_folder(tmp_path / "f" / "below")


def test_a_read_only_folder_is_told_before_work_starts(tmp_path):
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        if os.access(tmp_path, os.W_OK):
            pytest.skip("this user may write everywhere (root)")
        with pytest.raises(CannotWrite, match="Cannot write to the folder"):
            files.open_folder(tmp_path)
    finally:
        tmp_path.chmod(stat.S_IRWXU)


def test_a_mount_that_refuses_writes_is_told_before_work_starts(tmp_path, monkeypatch):
    def refuse(self, data):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(files.Path, "write_bytes", refuse)
    with pytest.raises(CannotWrite, match="Read-only file system"):
        files.open_folder(tmp_path)


def test_only_a_whole_picture_of_the_right_size_counts_as_one(tmp_path):
    path = tmp_path / "a.png"
    assert not files.is_picture(path, (16, 24))
    data = files.write_picture(path, COLOR)
    assert files.is_picture(path, (16, 24))
    assert not files.is_picture(path, (24, 16))
    path.write_bytes(data[: len(data) // 2])
    assert not files.is_picture(path, (16, 24))
    path.write_bytes(b"<html>")
    assert not files.is_picture(path, (16, 24))


def test_a_half_written_file_is_hidden_and_is_no_picture(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(os, "fsync", lambda _: seen.extend(p.name for p in tmp_path.iterdir()))
    files.write_atomic(tmp_path / "a.png", b"new")
    assert len(seen) == 1 and seen[0].startswith(".a.png.") and seen[0].endswith(".part")
