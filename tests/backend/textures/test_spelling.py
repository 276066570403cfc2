from __future__ import annotations

import pytest
from latent_loom.backend.errors import BadRequest
from latent_loom.backend.textures import spelling
from latent_loom.backend.textures.files import MAPS


@pytest.mark.parametrize(
    "read, written, value",
    [
        (spelling.styles, "mossy", (("mossy", 1.0),)),
        (spelling.styles, "mossy:0.8", (("mossy", 0.8),)),
        (spelling.styles, ["mossy:0.8", "snowy"], (("mossy", 0.8), ("snowy", 1.0))),
        (spelling.styles, [["mossy", 2]], (("mossy", 2.0),)),
        (spelling.styles, "", ()),
        (spelling.styles, [], ()),
        (spelling.seeds, 7, (7,)),
        (spelling.seeds, "0-2, 9", (0, 1, 2, 9)),
        (spelling.seeds, [5, 1], (5, 1)),
        (spelling.size, 512, (512, 512)),
        (spelling.size, "64", (64, 64)),
        (spelling.size, "512X256", (512, 256)),
        (spelling.size, [512, 256], (512, 256)),
        (spelling.maps, "all", MAPS),
        (spelling.maps, "color, ao", ("color", "ao")),
        (spelling.maps, ["orm"], ("orm",)),
        (spelling.number, 1, 1.0),
    ],
)
def test_a_value_may_be_written_in_several_ways(read, written, value):
    assert read(written) == value


@pytest.mark.parametrize(
    "read, written, sentence",
    [
        (spelling.styles, "mossy:much", "not a style; write NAME or NAME:STRENGTH"),
        (spelling.styles, [["mossy", "0.8"]], "not a style"),
        (spelling.styles, 3, "not a style"),
        (spelling.seeds, "1..5", "not a list of seeds"),
        (spelling.seeds, "٣", "not a list of seeds"),
        (spelling.seeds, True, "not a list of seeds"),
        (spelling.seeds, 1.5, "not a list of seeds"),
        (spelling.seeds, "0-1000000000", "too many seeds"),
        (spelling.size, "512*512", "not a size"),
        (spelling.size, "٣x٣", "not a size"),
        (spelling.size, [1, 2, 3], "not a size"),
        (spelling.maps, 3, "not a list of maps"),
        (spelling.number, "0.8", "not a number"),
        (spelling.text, 3, "quotation marks"),
    ],
)
def test_other_spellings_are_refused_with_the_right_one(read, written, sentence):
    with pytest.raises(BadRequest, match=sentence):
        read(written)
