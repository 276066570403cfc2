from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from latent_loom.stylegan2.errors import ShapeError, StyleGAN2Error
from latent_loom.stylegan2.inputs import _offsets, draw_inputs, draw_noise, draw_places, sample_inputs
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


def test_a_constant_on_a_larger_grid_does_not_repeat_itself(make_generator):
    generator = make_generator()
    drawn = draw_inputs(generator.config, [3], (16, 12))
    ws = generator.map(torch.ones(1, 8))

    def correlation(inputs):
        with torch.no_grad():
            light = generator.synthesize(ws, dataclasses.replace(inputs, noise=()), tile="xy").mean(1)
        light = (light - light.mean()) / light.std()
        return max((light * light.roll(16, axis)).mean() for axis in (1, 2))

    assert correlation(dataclasses.replace(drawn, places=None)) > 0.99, "repeated, it does"
    assert correlation(drawn) < 0.5


def test_beside_a_random_map_a_constant_goes_on_in_its_courses_where_they_fit(make_generator):
    config = make_generator(input_map=1.0).config
    assert draw_inputs(config, [3], (16, 12)).places is None
    assert draw_inputs(config, [3], (16, 13)).places is not None, "courses would break at the edge"


@pytest.mark.parametrize("grid", [(8, 8), (16, 4), (7, 30), (5, 2)])
def test_places_show_the_constant_itself_somewhere_and_keep_its_contrast_everywhere(grid):
    places = draw_places(4, 9, grid)
    assert places.shape == (16, *grid)
    assert torch.allclose(places.square().sum(0), torch.ones(grid), atol=1e-5)
    assert (places.amax(0) > 0.999).float().mean() > 0.1, "cells near the middle of a patch are the constant's own"


@pytest.mark.parametrize("grid", [(8, 8), (4, 13)])
def test_places_go_on_across_the_edges(grid):
    shown = draw_places(4, 2, grid).view(4, 4, *grid) > 0
    for axis in (0, 1):
        last, first = shown.select(2 + axis, grid[axis] - 1), shown.select(2 + axis, 0)
        assert (last.roll(1, axis) & first).flatten(0, 1).any(0).all(), "the cell after the last is the first"


def test_neighbouring_patches_show_different_places():
    offsets = _offsets(4, (4, 4), np.random.RandomState(0))
    assert all(len(set(line)) == 4 for line in (*offsets, *offsets.T))


def test_a_grid_no_larger_than_the_constant_has_no_places(make_generator):
    assert draw_inputs(make_generator().config, [0], (3, 4)).places is None
    assert draw_inputs(make_generator(const_size=1).config, [0], (8, 8)).places is None


def test_another_take_is_another_draw_of_the_same_seed(config):
    first, second = (draw_noise(config, [4], (4, 4), take=take) for take in (0, 1))
    assert all(torch.equal(a, b) for a, b in zip(first, draw_inputs(config, [4]).noise, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(first, second, strict=True))
