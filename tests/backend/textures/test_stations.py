"""Walks whose styles change from key to key."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from latent_loom.backend.cli import values
from latent_loom.backend.errors import BadRequest, NotFound
from latent_loom.backend.textures.generate import GenerateSettings, generate
from latent_loom.backend.textures.keys import Key
from latent_loom.backend.textures.stations import generator_along, strengths_at
from latent_loom.backend.textures.walk import WalkSettings, walk
from PIL import Image

MOSSY, SNOWY = (("mossy", 1.0),), (("snowy", 0.5), ("mossy", 0.5))


@pytest.mark.parametrize(
    ("t", "loop", "expected"),
    [
        (0.0, False, {"mossy": 1.0}),
        (0.5, False, {"mossy": 0.75, "snowy": 0.25}),
        (1.0, False, {"mossy": 0.5, "snowy": 0.5}),
        (0.75, True, {"mossy": 0.75, "snowy": 0.25}),
        (1.0, True, {"mossy": 1.0}),
    ],
)
def test_strengths_go_straight_from_key_to_key(t, loop, expected):
    found = {name: strength for name, strength in strengths_at((MOSSY, SNOWY), t, loop=loop).items() if strength}
    assert found == pytest.approx(expected)


def test_the_generator_at_a_moment_is_the_blend_of_that_moment_whatever_was_asked_before(store):
    base = store.generator()
    at = generator_along(store, base, (MOSSY, SNOWY), loop=False)
    expected = store.styled("builtin", [("mossy", 0.75), ("snowy", 0.25)])
    for t in (1.0, 0.0, 0.5):
        moving = at(t)
    for name, parameter in expected.named_parameters():
        assert torch.allclose(dict(moving.named_parameters())[name], parameter, atol=1e-6), name
    assert generator_along(store, base, ((), ()), loop=False)(0.3) is base


def test_a_walk_begins_and_ends_with_the_textures_of_its_keys(store, tmp_path):
    settings = WalkSettings(seeds=(3, 3), key_styles=((), MOSSY), frames=3, size=(32, 32))
    walk(store, settings, tmp_path)
    ends = [np.asarray(Image.open(tmp_path / f"frame-000{n}.png")) for n in (1, 3)]
    for styles, frame in zip(((), MOSSY), ends, strict=True):
        alone = generate(store, GenerateSettings(seeds=(3,), styles=styles, size=(32, 32))).images["color"][0]
        assert np.array_equal(frame, alone)
    assert not np.array_equal(*ends)


def test_styles_of_a_key_come_beside_those_of_the_whole_walk(store):
    base = store.styled("builtin", [("snowy", 1.0)])
    moving = generator_along(store, base, (MOSSY, ()), loop=False)(0.0)
    expected = store.styled("builtin", [("snowy", 1.0), ("mossy", 1.0)])
    for name, parameter in expected.named_parameters():
        assert torch.allclose(dict(moving.named_parameters())[name], parameter, atol=1e-6), name


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"seeds": (1, 2), "key_styles": (MOSSY,)}, "give one for each"),
        ({"seeds": (1, 1), "key_styles": (MOSSY, MOSSY)}, "two different seeds"),
        ({"seeds": (1, 2), "key_styles": (MOSSY, ()), "mine": 1.0}, "cannot be mined"),
        ({"seeds": (1, 2), "key_styles": ((("mossy", 99.0),), ())}, "strength of the style 'mossy'"),
    ],
)
def test_keys_that_contradict_each_other_are_refused(bad, said):
    with pytest.raises(BadRequest, match=said):
        WalkSettings(**bad)


def test_a_style_that_is_not_there_is_told_before_a_frame_is_made(store, tmp_path):
    with pytest.raises(NotFound, match="no style called 'nobody'"):
        walk(store, WalkSettings(seeds=(1, 2), key_styles=((), (("nobody", 1.0),)), size=(32, 32)), tmp_path)
    assert not list(tmp_path.glob("frame-*"))


def test_a_key_is_written_as_a_seed_with_its_styles():
    assert values.key("7,mossy:0.8,snowy@50") == Key(seed=7, styles=(("mossy", 0.8), ("snowy@50", 1.0)))
    assert values.key("7") == Key(seed=7)
