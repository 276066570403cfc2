"""Pictures from outside: every usual layout is read, and what cannot be is refused in one sentence."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from latent_loom.backend.errors import BadRequest, LoomError, NotFound
from latent_loom.backend.textures.pictures import as_picture, read_picture
from PIL import Image

RNG = np.random.RandomState(0)
COLOR = RNG.randint(0, 256, (20, 24, 3)).astype(np.uint8)
GREY = RNG.randint(0, 256, (20, 24)).astype(np.uint8)


def written(tmp_path, pixels, name="a.png", **options):
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(tmp_path / name, **options)
    return tmp_path / name


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tga", "a.tif", "a.ppm"])
def test_a_colour_picture_is_read_pixel_for_pixel(tmp_path, name):
    assert np.array_equal(read_picture(written(tmp_path, COLOR, name)), COLOR)


def test_a_grey_picture_has_three_equal_channels(tmp_path):
    assert np.array_equal(read_picture(written(tmp_path, GREY)), np.dstack([GREY] * 3))


def test_a_16_bit_picture_is_scaled_and_not_clipped(tmp_path):
    deep = GREY.astype(np.uint16) * 257
    assert np.array_equal(read_picture(written(tmp_path, deep)), np.dstack([GREY] * 3))
    assert np.array_equal(as_picture(COLOR.astype(np.uint16) * 257), COLOR)


def test_a_black_and_white_picture_and_a_palette_are_read(tmp_path):
    flat = np.repeat((GREY[:, :1] > 128) * np.uint8(255), 24, axis=1)
    assert np.array_equal(read_picture(written(tmp_path, Image.fromarray(flat).convert("1"))), np.dstack([flat] * 3))
    few = COLOR // 128 * 255
    palette = Image.fromarray(few).quantize(8)
    assert np.array_equal(read_picture(written(tmp_path, palette, "p.png")), np.asarray(palette.convert("RGB")))


def test_a_print_picture_in_cmyk_is_read(tmp_path):
    ink = Image.fromarray(COLOR).convert("CMYK")
    assert read_picture(written(tmp_path, ink, "ink.tif")).shape == COLOR.shape


def test_transparent_parts_take_the_mean_colour_of_what_is_seen(tmp_path):
    pixels = np.zeros((20, 24, 4), np.uint8)
    pixels[:, :12] = (200, 100, 50, 255)
    read = read_picture(written(tmp_path, pixels))
    assert (read == np.array([200, 100, 50], np.uint8)).all()


def test_an_opaque_alpha_changes_nothing():
    assert np.array_equal(as_picture(np.dstack([COLOR, np.full_like(GREY, 255)])), COLOR)


def test_a_picture_is_turned_as_its_camera_says(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned by a quarter
    assert np.array_equal(read_picture(written(tmp_path, COLOR, exif=exif)), np.rot90(COLOR, -1))


def test_of_an_animation_the_first_frame_is_taken(tmp_path):
    frames = [Image.fromarray(np.full((16, 16), level, np.uint8)) for level in (10, 200)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert (read_picture(tmp_path / "a.gif") == 10).all()


def test_one_picture_of_the_wires_shape_is_taken_as_it_is():
    assert np.array_equal(as_picture(COLOR[None]), COLOR)


def test_what_is_not_there_is_told(tmp_path):
    with pytest.raises(NotFound, match="no picture"):
        read_picture(tmp_path / "none.png")
    with pytest.raises(NotFound, match="no picture"):
        read_picture(tmp_path)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "cannot be read"),
        (b"not a picture at all" * 10, "cannot be read"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\nshowpage\n", "cannot be read"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "cannot be read"),
    ],
)
def test_a_file_that_is_no_picture_is_refused(tmp_path, content, told):
    (tmp_path / "bad.png").write_bytes(content)
    with pytest.raises(BadRequest, match=told):
        read_picture(tmp_path / "bad.png")


def test_a_file_cut_off_anywhere_is_refused_or_read_but_never_anything_else(tmp_path):
    for name, options in (("a.png", {}), ("a.jpg", {}), ("a.tif", {}), ("a.webp", {"lossless": True}), ("a.gif", {})):
        whole = written(tmp_path, COLOR, name, **options).read_bytes()
        for end in range(0, len(whole), 37):
            (tmp_path / name).write_bytes(whole[:end])
            try:
                assert read_picture(tmp_path / name).dtype == np.uint8
            except LoomError as error:
                assert str(error).endswith(".")


def png_of_size(width: int, height: int) -> bytes:
    """A PNG whose header promises a size that its few bytes do not have."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 2, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(8193, 16), (20_000, 20_000), (2**31 - 1, 2**31 - 1)])
def test_a_picture_of_giant_size_is_refused_before_memory_is_taken(tmp_path, size):
    (tmp_path / "bomb.png").write_bytes(png_of_size(*size))
    with pytest.raises(BadRequest, match="larger than 8192 px"):
        read_picture(tmp_path / "bomb.png")


def test_a_picture_of_one_pixel_is_refused(tmp_path):
    with pytest.raises(BadRequest, match="only 1x1 px"):
        read_picture(written(tmp_path, COLOR[:1, :1]))


def test_a_picture_that_is_all_transparent_is_refused(tmp_path):
    with pytest.raises(BadRequest, match="transparent all over"):
        read_picture(written(tmp_path, np.zeros((16, 16, 4), np.uint8)))


def test_a_high_range_picture_is_refused(tmp_path):
    with pytest.raises(BadRequest, match="32 bits"):
        read_picture(written(tmp_path, Image.fromarray(GREY.astype(np.float32)), "hdr.tif"))


@pytest.mark.parametrize(
    "pixels", [COLOR.astype(np.float32), COLOR.reshape(-1), np.stack([COLOR, COLOR]), np.dstack([COLOR, COLOR])]
)
def test_an_array_of_another_kind_is_refused(pixels):
    with pytest.raises(BadRequest, match="uint8 or uint16 pixels"):
        as_picture(pixels)
