from __future__ import annotations

import pytest
import torch
from latent_loom.stylegan2.errors import ShapeError, StyleGAN2Error
from latent_loom.stylegan2.inputs import draw_inputs, sample_inputs
from latent_loom.stylegan2.latents import z_from_seed


@pytest.fixture
def config(make_generator):
    return make_generator(input_map=1.0).config


def tensors(inputs):
    return [inputs.input_map, *inputs.noise]


def test_an_item_depends_on_its_own_seed_alone(config):
    together, alone = draw_inputs(config, [4, 9, 1], (3, 5)), draw_inputs(config, [9], (3, 5))
    assert all(torch.equal(a[1:2], b) for a, b in zip(tensors(together), tensors(alone), strict=True))


def test_seeds_layers_and_sizes_are_independent_draws(config):
    inputs = draw_inputs(config, [1, 2])
    assert not torch.equal(inputs.noise[1][0], inputs.noise[1][1]), "seeds"
    assert not torch.equal(inputs.noise[1], inputs.noise[2]), "layers of one size"
    wide = draw_inputs(config, [1], (4, 8))
    assert not torch.equal(wide.noise[0][..., :4], inputs.noise[0][:1]), "sizes"


def test_values_of_a_seed_stay_what_they_are_for_ever(config):
    noise = draw_inputs(config, [7]).noise[0].flatten()[:3]
    assert torch.allclose(noise, torch.tensor([-0.00132209, -0.63191724, -1.0194012]), atol=1e-6)
    expected = torch.tensor([1.69052570, -0.46593737, 0.03282016])  # RandomState(7).randn, as NVlabs' generate.py
    assert torch.allclose(z_from_seed(7, 8)[:3], expected, atol=1e-6)


def test_inputs_have_a_map_for_each_convolution_and_unit_variance(config):
    inputs = draw_inputs(config, range(64), (4, 6))
    assert [tuple(n.shape[1:]) for n in inputs.noise] == [(1, 4, 6)] + 2 * [(1, 8, 12)] + 2 * [(1, 16, 24)]
    assert all(abs(t.std() - 1) < 0.1 and abs(t.mean()) < 0.1 for t in tensors(inputs))


def test_training_inputs_follow_their_generator(config):
    a, b = (sample_inputs(config, 2, generator=torch.Generator().manual_seed(5)) for _ in range(2))
    assert all(torch.equal(x, y) for x, y in zip(tensors(a), tensors(b), strict=True))
    assert all(len(t) == 2 for t in tensors(a))


def test_items_takes_a_part_of_the_batch(config):
    part = draw_inputs(config, [1, 2, 3]).items(slice(1, 3))
    expected = draw_inputs(config, [2, 3])
    assert all(torch.equal(x, y) for x, y in zip(tensors(part), tensors(expected), strict=True))


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_seeds_out_of_range_are_refused(config, seed):
    with pytest.raises(StyleGAN2Error, match="A seed is a whole number from 0 to 4294967295"):
        draw_inputs(config, [seed])
    with pytest.raises(StyleGAN2Error, match="A seed"):
        z_from_seed(seed, 8)


def test_an_empty_grid_is_refused(config):
    with pytest.raises(ShapeError, match="at least 1"):
        draw_inputs(config, [1], (0, 4))
