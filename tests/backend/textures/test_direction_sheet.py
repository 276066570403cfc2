from __future__ import annotations

import numpy as np
import pytest
from latent_loom.backend.errors import BadRequest
from latent_loom.backend.textures.direction_sheet import DirectionSettings, show_directions
from PIL import Image


def test_the_sheet_names_directions_that_can_be_used_and_is_written_in_previews(store, tmp_path):
    wanted = DirectionSettings(count=2, layers="coarse", amounts=(-2.0, 0.0), size_px=32)
    made = show_directions(store, wanted, tmp_path)
    assert [d["name"] for d in made.directions] == ["d0-coarse", "d1-coarse"]
    assert made.directions[0]["strength"] > made.directions[1]["strength"] > 0
    assert made.file == tmp_path / "previews" / "directions-builtin-coarse.png"
    assert np.array_equal(np.asarray(Image.open(made.file)), made.sheet)


def test_more_directions_than_there_are_shows_all(store):
    assert len(show_directions(store, DirectionSettings(count=64, amounts=(1.0,), size_px=16)).directions) == 8


@pytest.mark.parametrize(
    "bad, sentence",
    [
        ({"layers": "top"}, "no 'top' layers"),
        ({"count": 0}, "0 directions"),
        ({"amounts": ()}, "1 to 16 amounts"),
        ({"psi": 9.0}, "psi is 9"),
        ({"seed": -1}, "seed -1 is out of range"),
    ],
)
def test_bad_settings_are_refused_in_a_sentence(bad, sentence):
    with pytest.raises(BadRequest, match=sentence):
        DirectionSettings(**bad)
