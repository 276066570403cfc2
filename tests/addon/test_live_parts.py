"""What the live texture stands on and needs no Blender: the cache, the sheet of variations, catalogues."""

import numpy as np
import pytest
from loom_extension.addon import catalogues, variations
from loom_extension.addon.picture_cache import PictureCache


def picture(side):
    return {"color": np.zeros((side, side, 3), np.uint8)}


def test_a_cache_forgets_what_was_not_looked_at_for_longest():
    cache = PictureCache(limit_bytes=3 * 300)
    for key in "abc":
        cache.put(key, picture(10))
    assert cache.get("a") is not None
    cache.put("d", picture(10))
    assert [key in cache for key in "abcd"] == [True, False, True, True] and cache.bytes == 900


def test_a_picture_that_is_put_twice_counts_once():
    cache = PictureCache(limit_bytes=1000)
    cache.put("a", picture(10))
    cache.put("a", picture(10))
    assert (len(cache), cache.bytes) == (1, 300)
    cache.clear()
    assert (len(cache), cache.bytes) == (0, 0)


def test_a_picture_over_the_limit_is_still_there_for_who_just_made_it():
    cache = PictureCache(limit_bytes=10)
    cache.put("big", picture(10))
    assert cache.get("big") is not None


@pytest.mark.parametrize("count", [1, 2, 5, 9, 16])
def test_every_cell_of_the_sheet_is_found_where_it_is_drawn(count):
    colours = [np.full((20, 30, 3), 40 + number, np.uint8) for number in range(count)]
    whole = variations.sheet(colours)
    height, width = whole.shape[:2]
    found = set()
    for y in range(5, height, 11):
        for x in range(5, width, 16):
            if whole[y, x, 0] >= 40:
                cell = variations.cell_at((x + 0.5) / width, 1 - (y + 0.5) / height, count)
                assert cell == whole[y, x, 0] - 40
                found.add(cell)
    assert found == set(range(count))


@pytest.mark.parametrize(("u", "v"), [(-0.1, 0.5), (0.5, 1.0), (1.0, 0.5), (0.9, 0.1)])
def test_beside_the_sheet_and_in_an_empty_cell_there_is_nothing(u, v):
    assert variations.cell_at(u, v, 3) is None


def test_the_seed_that_is_chosen_comes_first_and_none_twice():
    draws = iter([4, 7, 7, 9])
    assert variations.other_seeds(4, 3, lambda below: next(draws)) == [4, 7, 9]


def test_a_catalogue_is_added_once_and_the_artist_s_own_stay(tmp_path):
    path = catalogues.path_of(("my:model", "moss/rust"))
    assert path == "Latent Loom/my model/moss rust"
    (tmp_path / catalogues.FILE).write_text("VERSION 1\n\nabc:Mine:Mine\n")
    catalogues.write(tmp_path, path)
    catalogues.write(tmp_path, path)
    lines = (tmp_path / catalogues.FILE).read_text().splitlines()
    assert "abc:Mine:Mine" in lines and lines.count(f"{catalogues.identity(path)}:{path}:{path.replace('/', '-')}") == 1


def test_catalogues_are_those_of_a_batch_s_library():
    from latent_loom.backend.textures import asset_library

    assert asset_library.CATALOGUES == catalogues.FILE and asset_library.CATALOGUES_HEAD == catalogues.HEAD
    assert catalogues.identity("x") == str(asset_library.uuid.uuid5(asset_library._SPACE, "x"))
