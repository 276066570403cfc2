from __future__ import annotations

import pytest
import torch
from latent_loom.stylegan2.directions import sefa
from latent_loom.stylegan2.errors import ShapeError


def style_change(generator, step):
    """How far the styles of all layers move for a step in w, by the affine layers themselves."""
    w = torch.zeros(1, 8)
    affines = [generator.synthesis.get_submodule(layer.name).affine for layer in generator.layers()]
    with torch.no_grad():
        return torch.cat([affine(w + step) - affine(w) for affine in affines], 1).norm()


def test_the_first_direction_changes_the_styles_most_and_each_next_one_less(make_generator):
    generator = make_generator()
    found = sefa(generator)
    changes = [style_change(generator, vector) for vector in found.vectors]
    assert torch.allclose(torch.stack(changes), found.strengths, rtol=1e-3)
    assert changes == sorted(changes, reverse=True)
    others = torch.nn.functional.normalize(torch.randn(64, 8), dim=1)
    assert all(style_change(generator, other) <= changes[0] * 1.001 for other in others)
    assert torch.allclose(found.vectors @ found.vectors.t(), torch.eye(8), atol=1e-5)


def test_the_sign_is_the_largest_entry_s(make_generator):
    vectors = sefa(make_generator()).vectors
    assert (vectors.gather(1, vectors.abs().argmax(1, keepdim=True)) > 0).all()


def test_directions_of_some_layers_use_and_move_those_alone(make_generator):
    generator = make_generator()
    coarse, everything = sefa(generator, layers=(0, 1)), sefa(generator)
    assert not torch.allclose(coarse.vectors[0], everything.vectors[0], atol=1e-3)
    with torch.no_grad():
        generator.get_parameter("synthesis.b16.conv1.affine.weight").mul_(10)
    assert torch.equal(sefa(generator, layers=(0, 1)).vectors, coarse.vectors)
    step = coarse.step(1, 2.0, generator.num_ws)
    assert not step[2:].any() and torch.equal(step[0], step[1])
    assert torch.allclose(step[0], 2 * coarse.spread[1] * coarse.vectors[1])


def test_an_amount_of_one_is_the_spread_of_seeds(make_generator):
    generator = make_generator()
    with torch.no_grad():
        w = generator.mapping(torch.randn(4096, 8, generator=torch.Generator().manual_seed(0)))
    found = sefa(generator, count=3)
    assert torch.allclose((w @ found.vectors.t()).std(0), found.spread, rtol=0.15)


def test_a_direction_that_is_not_there_is_named(make_generator):
    with pytest.raises(ShapeError, match="d0 to d2, not d3"):
        sefa(make_generator(), count=3).step(3, 1.0, 6)
    with pytest.raises(ShapeError, match=r"layers 0 to 5, not \[6\]"):
        sefa(make_generator(), layers=(6,))
