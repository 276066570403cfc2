from __future__ import annotations

import numpy as np
import pytest
import torch
from latent_loom.backend.errors import BadRequest, NotFound
from latent_loom.backend.textures.keys import Key, key_params, read_key, read_keys
from latent_loom.backend.textures.pace import place_frames
from latent_loom.backend.textures.varied import seed_to_ws
from latent_loom.backend.textures.walk import walk

from .test_walk import curve_of, frames, settings

FULL = Key(seed=3, styles=(("mossy", 0.8),), directions=(("d0", 2.0),), psi=0.7, hold=10, ease="smooth")


def test_a_key_is_read_from_a_line_and_from_files(tmp_path):
    assert read_key("3,mossy:0.8,d0:2,psi=0.7,hold=10,ease=smooth") == FULL
    assert read_key("wall") == Key(seed="wall")
    table = 'seed = 3\nstyles = ["mossy:0.8"]\ndirections = ["d0:2"]\npsi = 0.7\nhold = 10\nease = "smooth"\n'
    (tmp_path / "a.toml").write_text(f'[[keys]]\n{table}[[keys]]\ntexture = "wall"\n')
    assert read_keys(tmp_path / "a.toml") == [FULL, Key(seed="wall")]
    (tmp_path / "a.json").write_text('{"keys": [{"seed": 4, "psi": 0.5}]}')
    assert read_keys(tmp_path / "a.json") == [Key(seed=4, psi=0.5)]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("3,hold=x", "is not a whole number"),
        ("3,psi=q", "is not a number"),
        ("3,ease=bouncy", "no easing 'bouncy'"),
        ("3,speed=2", "a key has psi=, hold= and ease="),
        ("-3", "is not a whole number"),
        ("3,psi=9", "number from -2 to 2"),
    ],
)
def test_a_bad_key_is_refused_in_one_sentence(text, sentence):
    with pytest.raises(BadRequest, match=sentence):
        read_key(text)


def test_a_bad_file_of_keys_says_which_key_is_wrong(tmp_path):
    (tmp_path / "a.toml").write_text("[[keys]]\nseed = 1\n[[keys]]\nseeds = 2\n")
    with pytest.raises(BadRequest, match=r"a\.toml, line 3: key 2: A key has an unknown key 'seeds'"):
        read_keys(tmp_path / "a.toml")
    (tmp_path / "a.toml").write_text("[[keys]]\nseed = 1\n[[keys]]\nseed = 2\nhold = -1\n")
    with pytest.raises(BadRequest, match=r"a\.toml, line 5: key 2: A key is held for -1 frames"):
        read_keys(tmp_path / "a.toml")
    (tmp_path / "a.json").write_text('[{"seed": 1}, {"seed": 2, "hold": -1}]')
    with pytest.raises(BadRequest, match=r"a\.json: key 2: A key is held for -1 frames"):
        read_keys(tmp_path / "a.json")
    (tmp_path / "b.toml").write_text("[[keys]\n")
    with pytest.raises(BadRequest, match="not readable"):
        read_keys(tmp_path / "b.toml")
    with pytest.raises(NotFound):
        read_keys(tmp_path / "c.toml")


def test_held_frames_stand_on_their_key_and_every_key_falls_on_a_frame():
    times = place_frames(12, 2, loop=False, holds=(2, 0, 3))
    assert len(times) == 12 and times[:3] == [0, 0, 0] and times[-4:] == [1, 1, 1, 1] and 0.5 in times
    looped = place_frames(9, 3, loop=True, holds=(1, 0, 2))
    assert len(looped) == 9 and looped[:2] == [0, 0] and looped.count(2 / 3) == 3 and max(looped) < 1
    with pytest.raises(BadRequest, match="give at least 8"):
        place_frames(7, 2, loop=False, holds=(2, 0, 3))


def test_easing_starts_and_ends_gently():
    smooth = np.diff(place_frames(21, 1, loop=False, eases=("smooth", "linear")))
    assert smooth[0] < 0.2 * smooth[10] > smooth[-1]
    slow_start = np.diff(place_frames(21, 1, loop=False, eases=("in", "linear")))
    assert slow_start[0] < 0.1 * slow_start[-1]


@pytest.mark.parametrize("interpolation", ["w", "linear", "z"])
def test_keys_have_their_own_truncation(generator, interpolation):
    curve = curve_of(generator, settings(seeds=(3, 3), key_psi=(None, 0.2), interpolation=interpolation))
    assert torch.allclose(curve(0.0), seed_to_ws(generator, 3, psi=0.8), atol=1e-5)
    assert torch.allclose(curve(1.0), seed_to_ws(generator, 3, psi=0.2), atol=1e-5)


@pytest.mark.parametrize("interpolation", ["w", "linear", "z"])
def test_a_key_with_a_direction_is_that_direction_of_its_seed(store, tmp_path, interpolation):
    from latent_loom.backend.textures.generate import GenerateSettings, generate

    one = settings(seeds=(3, 3), frames=2, key_directions=((), (("d0", 3.0),)), interpolation=interpolation)
    walk(store, one, tmp_path)
    moved = GenerateSettings(seeds=(3,), size=(32, 32), directions=(("d0", 3.0),))
    assert np.array_equal(frames(tmp_path)[1], generate(store, moved).images["color"][0])


@pytest.mark.parametrize("speed", ["linear", "visual"])
def test_the_frame_after_the_last_of_a_loop_is_the_first_bit_for_bit(store, generator, speed):
    from latent_loom.backend.textures.canvas import plan_canvas
    from latent_loom.backend.textures.generate import render
    from latent_loom.backend.textures.varied import Varied
    from latent_loom.backend.textures.walk import noise_at

    wanted = settings(loop=True, noise="animated", speed=speed, key_ease=("smooth", "in", "out"))
    varied = Varied(None, "", generator, wanted)
    curve, canvas = curve_of(generator, wanted), plan_canvas(generator.config, (32, 32), "xy")
    inputs = noise_at(varied, wanted, canvas.grid)
    first, after = (render(generator, curve(t), inputs(t), canvas) for t in (0.0, 1.0))
    assert np.array_equal(first, after)


def test_the_parameters_of_keys_leave_out_what_none_of_them_has():
    assert key_params([Key(seed=1), Key(seed=2)]) == {"seeds": [1, 2]}
    assert key_params([Key(seed=1), FULL])["key_hold"] == [0, 10]


def test_lists_of_other_lengths_than_the_seeds_are_refused():
    with pytest.raises(BadRequest, match="3 keys and 2 of key_hold"):
        settings(key_hold=(1, 2))
