from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from latent_loom.backend.errors import BadRequest
from latent_loom.backend.textures.generate import GenerateSettings, generate
from latent_loom.backend.textures.variation import Variation
from latent_loom.backend.textures.varied import Varied, group_layers
from latent_loom.backend.textures.walk import WalkSettings, noise_at

from .conftest import make_generator


def settings(**changes) -> GenerateSettings:
    return GenerateSettings(**({"seeds": (3,), "size": (32, 32)} | changes))


def made(store, **changes) -> np.ndarray:
    return generate(store, settings(**changes)).images["color"]


def varied(store, **changes) -> Varied:
    return Varied(store, "builtin", store.generator(), settings(**changes))


def test_a_second_seed_takes_over_from_its_layer_on(store):
    plain, other, mixed = (varied(store, **v).seed(s) for v, s in (({}, 3), ({}, 9), ({"mix": ((9, 2),)}, 3)))
    assert torch.equal(mixed[:, :2], plain[:, :2]) and torch.equal(mixed[:, 2:], other[:, 2:])


def test_several_seeds_are_mixed_in_one_after_the_other(store):
    mixed = varied(store, mix=((9, 2), (4, 5))).seed(3)
    for seed, layers in ((3, slice(0, 2)), (9, slice(2, 5)), (4, slice(5, None))):
        assert torch.equal(mixed[:, layers], varied(store).seed(seed)[:, layers])


def test_the_cutoff_truncates_the_coarse_layers_alone(store):
    cut, full = varied(store, psi=0.5, cutoff=3).seed(3), varied(store, psi=1.0).seed(3)
    assert torch.equal(cut[:, 3:], full[:, 3:])
    assert torch.equal(cut[:, :3], varied(store, psi=0.5).seed(3)[:, :3])


def test_a_direction_moves_the_picture_and_its_amount_of_zero_does_not(store):
    assert np.array_equal(made(store, directions=(("d0", 0.0),)), made(store))
    there, back = (varied(store, directions=(("d1", a),)).seed(3) - varied(store).seed(3) for a in (2.0, -2.0))
    assert there.abs().max() > 0 and torch.allclose(there, -back, atol=1e-5)
    assert not np.array_equal(made(store, directions=(("d1", 3.0),)), made(store))


def test_a_direction_of_some_layers_leaves_the_others(store):
    moved = varied(store, directions=(("d0-coarse", 2.0),)).seed(3) - varied(store).seed(3)
    assert moved[:, :4].abs().min(1).values.max() > 0 and not moved[:, 4:].any()


def test_directions_are_those_of_the_generator_without_its_styles(store):
    styled = store.styled("builtin", (("mossy", 1.0),))
    wanted = settings(directions=(("d2", 1.0),))
    plain, with_style = (Varied(store, "builtin", g, wanted).step for g in (store.generator(), styled))
    assert torch.equal(plain, with_style)
    assert store.directions() is store.directions(), "found once"


def test_the_noise_seed_sets_detail_and_layout_apart_from_the_latents(store):
    one, two = (varied(store, noise_seed=5).inputs(seed, (4, 4)) for seed in (1, 2))
    own = varied(store).inputs(5, (4, 4))
    assert all(torch.equal(a, b) and torch.equal(a, c) for a, b, c in zip(one.noise, two.noise, own.noise, strict=True))
    assert torch.equal(one.input_map, own.input_map)
    assert not np.array_equal(made(store, noise_seed=5), made(store))


def test_noise_has_a_strength_for_each_layer_and_the_last_holds_for_the_rest(store):
    whole, part = varied(store).inputs(1, (4, 4)).noise, varied(store, noise_strength=(1, 0.5)).inputs(1, (4, 4)).noise
    assert torch.equal(part[0], whole[0])
    assert all(torch.equal(a, b * 0.5) for a, b in zip(part[1:], whole[1:], strict=True))


@pytest.mark.parametrize("silent", [{"noise": "none"}, {"noise_strength": (0.0,)}])
def test_without_noise_the_layout_stays(store, silent):
    inputs = varied(store, **silent).inputs(1, (4, 4))
    assert inputs.noise == () and inputs.input_map is not None


def test_animated_noise_begins_as_it_was_comes_back_and_keeps_its_size(store):
    wanted = WalkSettings(seeds=(1, 2), noise="animated")
    there = Varied(store, "builtin", store.generator(), wanted)
    at = noise_at(there, wanted, (8, 8))
    still = there.inputs(1, (8, 8))
    assert all(torch.equal(a, b) for a, b in zip(at(0.0).noise, still.noise, strict=True))
    steps = [at(n / 24).noise[-1] for n in range(25)]
    assert torch.allclose(steps[0], steps[-1], atol=1e-5)
    assert all(abs(float(n.std()) - 1) < 0.1 for n in steps)
    changes = torch.stack([(b - a).norm() for a, b in itertools.pairwise(steps)])
    assert changes.max() < 1.1 * changes.min(), "evenly round"
    assert torch.equal(at(0.3).input_map, still.input_map)


def test_a_seed_at_several_strengths_is_a_strip_with_names_of_its_own(store, tmp_path):
    strip = settings(seeds=(3, 3, 3), styles=(("mossy", 0.5),), strengths=(0.0, 0.5, 2.0))
    files = generate(store, strip, tmp_path).files
    assert [f["path"].rpartition("/")[2] for f in files] == [f"mossy-3-at{s}_color.png" for s in ("0", "0.5", "2")]
    assert [f["strength"] for f in files] == [0.0, 0.5, 2.0]
    expected = np.concatenate([made(store), *(made(store, styles=(("mossy", s),)) for s in (0.25, 1.0))])
    assert np.array_equal(generate(store, strip).images["color"], expected)


def test_what_is_varied_is_in_the_record_and_what_is_not_is_left_out():
    assert Variation(psi=0.3).varied() == {}
    mixed = Variation(mix=((1, 2),), noise_seed=0, noise_strength=(1.0, 0.5))
    assert mixed.varied() == {"mix": ((1, 2),), "noise_seed": 0, "noise_strength": (1.0, 0.5)}


@pytest.mark.parametrize(
    "bad, sentence",
    [
        ({"mix": ((2**32, 1),)}, "seed 4294967296 is out of range"),
        ({"mix": ((1, -1),)}, "from layer -1"),
        ({"cutoff": -1}, "cutoff is -1"),
        ({"noise": "loud"}, "no noise 'loud'"),
        ({"noise": "animated"}, "Only a walk"),
        ({"noise_strength": ()}, "noise strength"),
        ({"directions": (("left", 1.0),)}, "no direction 'left'.*d0-coarse"),
        ({"directions": (("d0", float("nan")),)}, "amount of the direction 'd0' is nan"),
        ({"strengths": (1.0, 2.0), "styles": (("mossy", 1.0),)}, "2 strengths for 1 seeds"),
        ({"strengths": (1.0,)}, "at least one style"),
        ({"strengths": (1.0, 1.0), "seeds": (3, 3), "styles": (("mossy", 1.0),)}, "seed 3 is given twice"),
        ({"strengths": (99.0,), "styles": (("mossy", 1.0),)}, "strength of the style 'mossy' is 99"),
    ],
)
def test_bad_settings_are_refused_in_a_sentence(bad, sentence):
    with pytest.raises(BadRequest, match=sentence):
        settings(**bad)


def test_what_this_generator_does_not_have_is_named(store):
    with pytest.raises(BadRequest, match="last layer is 7"):
        varied(store, mix=((1, 8),))
    with pytest.raises(BadRequest, match="32 px has no fine layers"):
        group_layers(make_generator().config, "fine")
