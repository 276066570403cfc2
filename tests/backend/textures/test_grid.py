from __future__ import annotations

import numpy as np
import pytest
from latent_loom.backend.errors import BadRequest, NotFound
from latent_loom.backend.textures.generate import GenerateSettings, generate
from latent_loom.backend.textures.grid import GridSettings, _Line, grid
from PIL import Image


def settings(**changes) -> GridSettings:
    return GridSettings(**({"styles": (("mossy", 1.0), ("snowy", 0.5)), "seeds": (3, 7, 9), "size_px": 32} | changes))


def test_every_cell_is_the_texture_that_generate_makes(store):
    wanted = settings(directions=(("d0", 2.0),))
    row = _Line(store, wanted, (("snowy", 0.5),)).row(0.0)
    look = {"size": (32, 32), "directions": (("d0", 2.0),), "styles": (("snowy", 0.5),)}
    made = generate(store, GenerateSettings(seeds=(3, 7, 9), **look)).images["color"]
    assert row.label == "snowy 0.5" and np.array_equal(np.stack(row.pictures), made)


def test_the_round_ends_where_it_began_bit_for_bit(store):
    line = _Line(store, settings(), (("mossy", 1.0),))
    for a, b in zip(line.row(0.0).pictures, line.row(1.0).pictures, strict=True):
        assert np.array_equal(a, b)


def test_a_grid_is_a_sheet_and_with_frames_an_animation(store, tmp_path):
    made = grid(store, settings(frames=3), tmp_path)
    assert [p.name for p in made.frames] == ["frame-0001.png", "frame-0002.png", "frame-0003.png"]
    sheet, first, second = (np.asarray(Image.open(p)) for p in (made.file, *made.frames[:2]))
    assert np.array_equal(sheet, first) and not np.array_equal(first, second)
    with Image.open(made.animation) as animation:
        assert animation.n_frames == 3
    assert grid(store, settings(), tmp_path / "still").animation is None


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        ({"styles": ()}, "name at least one"),
        ({"seeds": (3,), "frames": 4}, "two different seeds"),
        ({"seeds": tuple(range(300))}, "1 to 400 pictures"),
        ({"frames": -1}, "0 to 2000 frames"),
    ],
)
def test_grids_that_cannot_be_made_are_refused(bad, sentence):
    with pytest.raises(BadRequest, match=sentence):
        settings(**bad)


def test_a_style_that_is_not_there_is_told_before_anything_is_written(store, tmp_path):
    with pytest.raises(NotFound, match="nobody"):
        grid(store, settings(styles=(("nobody", 1.0),)), tmp_path)
    assert not list(tmp_path.glob("*.png"))
