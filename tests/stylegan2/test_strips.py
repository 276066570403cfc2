"""Large pictures are made by strips of rows: the same picture, the same bits with and without gradients."""

from __future__ import annotations

import pytest
import torch
from latent_loom.stylegan2.inputs import draw_inputs
from latent_loom.stylegan2.ops import strips
from latent_loom.stylegan2.ops.low_rank import LowRank
from latent_loom.stylegan2.ops.padding import pad, rows_around
from torch.func import functional_call

ROUNDING = 2e-5


@pytest.fixture
def small_strips(monkeypatch):
    """Strips of eight rows for every picture that is higher."""
    monkeypatch.setattr(strips, "STRIP_BYTES", 1)


@pytest.mark.parametrize("grid", [(5, 4), (9, 3)])
@pytest.mark.parametrize("batch", [1, 2])
def test_strips_give_the_whole_picture(make_generator, tile, grid, batch, monkeypatch):
    generator = make_generator(resolution=32, channels=(8, 8, 6, 4), conv_clamp=2.0)
    ws, inputs = generator.map(torch.randn(batch, 8)), draw_inputs(generator.config, range(batch), grid)
    with torch.no_grad():
        whole = generator.synthesize(ws, inputs, tile=tile)
        monkeypatch.setattr(strips, "STRIP_BYTES", 1)
        by_strips = generator.synthesize(ws, inputs, tile=tile)
    assert not torch.equal(whole, by_strips), "else no strips were made"
    assert (whole - by_strips).abs().max() < ROUNDING
    assert torch.equal(generator.synthesize(ws, inputs, tile=tile), by_strips), "with gradients"


def test_strips_lay_the_lattice_where_the_whole_picture_has_it(make_generator, tile, monkeypatch):
    generator = make_generator(resolution=32, channels=(8, 8, 6, 4), lattice=True)
    ws, inputs = generator.map(torch.randn(1, 8)), draw_inputs(generator.config, [0], (5, 4))
    with torch.no_grad():
        whole = generator.synthesize(ws, inputs, tile=tile)
        monkeypatch.setattr(strips, "STRIP_BYTES", 1)
        by_strips = generator.synthesize(ws, inputs, tile=tile)
        generator.synthesis.b32.lattice.zero_()
        without = generator.synthesize(ws, inputs, tile=tile)
    assert (whole - by_strips).abs().max() < ROUNDING
    assert (whole - without).abs().max() > 0.01


def test_gradients_through_strips_are_those_of_the_whole(make_generator, tile, monkeypatch):
    generator = make_generator(resolution=32, channels=(8, 8, 6, 4)).double()
    params = dict(generator.named_parameters())
    names = [n for n in params if n.startswith("synthesis.")]
    ws = generator.map(torch.randn(2, 8).double())

    def gradients():
        own = {n: params[n].clone().requires_grad_() for n in names}
        loss = functional_call(generator, own, (ws,), {"tile": tile}).square().mean()
        return torch.autograd.grad(loss, list(own.values()), allow_unused=True)

    whole = gradients()
    monkeypatch.setattr(strips, "STRIP_BYTES", 1)
    for name, a, b in zip(names, whole, gradients(), strict=True):
        assert (a is None) == (b is None), name
        assert a is None or torch.allclose(a, b), name


def test_a_low_rank_change_through_strips_has_the_bits_and_gradients_of_the_dense_sum(make_generator, small_strips):
    generator = make_generator(resolution=32, channels=(8, 8, 6, 4))
    ws = generator.map(torch.randn(1, 8))
    up, down = torch.randn(4, 2).requires_grad_(), torch.randn(2, 6, 3, 3).requires_grad_()
    change = LowRank(up, down)
    picture = generator.synthesis(ws, updates={"b32.conv0": change}).image
    name = "synthesis.b32.conv0.weight"
    dense = functional_call(generator, {name: change.added_to(generator.get_parameter(name))}, (ws,))
    assert torch.equal(picture, dense)
    for a, b in zip(*(torch.autograd.grad(p.sum(), (up, down)) for p in (picture, dense)), strict=True):
        assert torch.allclose(a, b)


def test_rows_around_a_strip_are_those_of_the_padded_picture(tile):
    x = torch.randn(1, 2, 9, 4)
    cut = x.split([4, 3, 2], 2)
    padded = pad(x, 2, tile)[..., 2:-2]
    starts = (0, 4, 7)
    for i, start in enumerate(starts):
        assert torch.equal(rows_around(cut, i, 2, tile), padded[:, :, start : start + cut[i].shape[2] + 4])


def test_only_large_pictures_on_a_processor_are_cut():
    assert strips.strip_heights(torch.empty(8, 512, 32, 32), 512) is None
    heights = strips.strip_heights(torch.empty(1, 64, 512, 512), 32)
    assert heights == [32] * 16
    assert strips.strip_heights(torch.empty(4, 64, 512, 512), 32) == heights, "the batch plays no part"
    assert strips.strip_heights(torch.empty(1, 64, 512, 512, device="meta"), 32) is None
