import numpy as np
import pytest
from loom_extension.addon.pixels import left_square, to_blender


def test_the_bottom_row_comes_first_and_alpha_is_full():
    picture = np.array([[[255, 0, 0]], [[0, 0, 255]]], np.uint8)
    assert to_blender(picture).reshape(2, 1, 4).tolist() == [[[0, 0, 1, 1]], [[1, 0, 0, 1]]]


def test_the_buffer_is_flat_contiguous_float32_as_foreach_set_wants_it():
    pixels = to_blender(np.zeros((3, 5, 3), np.uint8))
    assert pixels.shape == (60,) and pixels.dtype == np.float32 and pixels.flags.c_contiguous


def test_grey_is_spread_over_three_channels_and_16_bits_keep_their_depth():
    grey = to_blender(np.array([[32768]], np.uint16))
    assert grey[:3] == pytest.approx([32768 / 65535] * 3) and grey[3] == 1.0


def test_every_channel_comes_from_its_own():
    picture = np.random.default_rng(0).integers(0, 256, (3, 2, 4), np.uint8)
    assert to_blender(picture).reshape(3, 2, 4) == pytest.approx(picture[::-1] / 255)
    assert to_blender(picture[..., :3]).reshape(3, 2, 4)[..., :3] == pytest.approx(picture[::-1, :, :3] / 255)


def test_an_alpha_channel_is_kept():
    assert to_blender(np.array([[[0, 0, 0, 51]]], np.uint8))[3] == pytest.approx(0.2)


def test_a_buffer_of_the_right_size_is_used_again():
    first = to_blender(np.zeros((2, 2, 3), np.uint8))
    assert to_blender(np.full((2, 2, 3), 255, np.uint8), first) is first
    assert first.min() == 1.0
    assert to_blender(np.zeros((4, 4, 3), np.uint8), first) is not first


@pytest.mark.parametrize(
    "wrong", [np.zeros((2, 2, 3), np.float32), np.zeros((2, 2, 2), np.uint8), np.zeros(4, np.uint8)]
)
def test_what_is_no_picture_is_refused(wrong):
    with pytest.raises(ValueError, match="not a picture"):
        to_blender(wrong)


def test_of_a_wide_sheet_the_left_square_is_taken():
    sheet = np.arange(2 * 4 * 3).reshape(2, 4, 3)
    assert (left_square(sheet) == sheet[:, :2]).all()
    assert left_square(sheet.transpose(1, 0, 2)).shape == (4, 2, 3)
