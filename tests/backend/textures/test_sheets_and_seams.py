from __future__ import annotations

import numpy as np
import pytest
from latent_loom.backend.textures.seam import seam_scores
from latent_loom.backend.textures.sheets import Row, contact_sheet, grid_sheet, tiled

from . import pictures

RED = np.full((32, 32, 3), (200, 30, 30), np.uint8)
BLUE = np.full((32, 32, 3), (30, 30, 200), np.uint8)


def places(sheet: np.ndarray, color: np.ndarray) -> np.ndarray:
    return (sheet == color[0, 0]).all(axis=-1)


def test_the_rows_of_a_sheet_lie_below_one_another_with_their_columns_aligned():
    rows = [Row(label="stone", pictures=[RED] * 3), Row(label="mossy stone", note="after", pictures=[BLUE] * 3)]
    sheet = grid_sheet(rows, title="t", cell_px=64)
    red, blue = places(sheet, RED), places(sheet, BLUE)
    assert red.sum() == blue.sum() == 3 * 64 * 64
    assert np.nonzero(red)[0].max() < np.nonzero(blue)[0].min()
    assert np.array_equal(np.nonzero(red.any(axis=0)), np.nonzero(blue.any(axis=0)))


def test_nothing_on_a_sheet_covers_a_picture_however_long_the_words():
    words = "a very long prompt of many words " * 6
    sheet = grid_sheet(
        [Row(label=words, pictures=[RED] * 2)], captions=[words] * 2, title=words, note=words, cell_px=96
    )
    assert places(sheet, RED).sum() == 2 * 96 * 96


def test_captions_are_drawn():
    bare, titled = contact_sheet([RED] * 5, cell_px=64), contact_sheet([RED] * 5, ["seed 1"] * 5, cell_px=64)
    assert places(bare, RED).sum() == places(titled, RED).sum() == 5 * 64 * 64
    dark = (titled.max(axis=-1) < 160).sum()
    assert dark > 100 > (bare.max(axis=-1) < 160).sum()


def test_letters_that_the_font_lacks_are_spelled_and_not_drawn_as_boxes():
    spelled = contact_sheet([RED], ["mossy stone to cafe 2 x 2 ?"], cell_px=256)
    written = contact_sheet([RED], ["mossy stone → café 2 × 2 石"], cell_px=256)
    assert np.array_equal(spelled, written)


def test_a_picture_that_is_not_square_or_not_colour_fits_whole():
    wide = np.repeat(RED, 2, axis=1)
    assert places(contact_sheet([wide], cell_px=64), RED).sum() == 64 * 32
    height = np.full((16, 16), 40000, np.uint16)
    assert (contact_sheet([height], cell_px=64) == 40000 >> 8).all(axis=-1).sum() == 64 * 64


def test_tiling_repeats_maps_of_any_depth():
    assert tiled(RED).shape == (64, 64, 3) and tiled(RED[..., 0], 1, 3).shape == (32, 96)


def test_seamless_pictures_score_one_and_cut_ones_far_more():
    whole = [pictures.cobbles(64, seed)[0] for seed in range(40)]
    assert seam_scores(whole) == pytest.approx((1, 1), abs=0.15)
    x, y = seam_scores(picture[:, :40] for picture in whole)
    assert x > 1.8 and y == pytest.approx(1, abs=0.15)


def test_an_edge_on_a_joint_is_compared_with_the_other_joints():
    tiles = []
    for seed in range(40):
        picture = pictures.cobbles(64, seed)[0].astype(np.float32)
        picture[::16] *= 0.3
        picture[:, ::16] *= 0.3
        tiles.append(picture)
    assert min(seam_scores(tiles)) > 1.5
    assert seam_scores(tiles, cells=4) == pytest.approx((1, 1), abs=0.15)
    x, _ = seam_scores((picture[:, :40] for picture in tiles), cells=4)
    assert not 0.85 < x < 1.15


def test_an_empty_measurement_is_refused():
    with pytest.raises(ValueError, match="no pictures"):
        seam_scores([])
