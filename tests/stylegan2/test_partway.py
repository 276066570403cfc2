"""Synthesis that is run in parts, and low-rank changes whose dense gradient is never made."""

from __future__ import annotations

import pytest
import torch
from latent_loom.stylegan2.inputs import sample_inputs
from latent_loom.stylegan2.ops import low_rank
from latent_loom.stylegan2.ops.low_rank import LowRank
from torch.func import functional_call


@pytest.fixture
def drawn(make_generator):
    generator = make_generator(resolution=16, input_map=1.0, tile="xy")
    rng = torch.Generator().manual_seed(0)
    ws = generator.map(torch.randn(2, generator.config.z_dim, generator=rng)).detach()
    return generator, ws, sample_inputs(generator.config, 2, generator=rng)


@pytest.mark.parametrize("cut", [0, 1, 2, 3])
def test_synthesis_in_two_parts_gives_the_same_bits_as_in_one(drawn, cut):
    generator, ws, inputs = drawn
    with torch.no_grad():
        whole = generator.synthesize(ws, inputs)
        below = generator.synthesis(ws, inputs, stop=cut)
        above = generator.synthesis(ws, inputs, start=below)
    assert below.block == cut and torch.equal(above.image, whole)


def test_the_partial_sum_of_colours_is_a_smaller_picture_that_the_whole_is_built_on(drawn):
    generator, ws, inputs = drawn
    with torch.no_grad():
        part = generator.synthesis(ws, inputs, stop=2).image
        cut = {n: torch.zeros_like(p) for n, p in generator.named_parameters() if n.startswith("synthesis.b16.torgb")}
        whole = functional_call(generator, cut, (ws, inputs))
    assert part.shape == (2, 3, 8, 8) and whole.shape == (2, 3, 16, 16)
    assert torch.allclose(torch.nn.functional.avg_pool2d(whole, 2).mean((2, 3)), part.mean((2, 3)), atol=1e-4)


@pytest.mark.parametrize("tile", ["none", "x", "xy"])
@pytest.mark.parametrize("layer", ["b8.conv0", "b16.conv1"])
@pytest.mark.parametrize("large", [0, low_rank.LARGE])
def test_a_low_rank_update_has_the_values_and_the_gradients_of_the_dense_change(drawn, tile, layer, large, monkeypatch):
    monkeypatch.setattr(low_rank, "LARGE", large)
    generator, ws, inputs = drawn
    weight = generator.get_parameter(f"synthesis.{layer}.weight").detach()
    torch.manual_seed(3)
    up, down = torch.randn(weight.shape[0], 2) * 0.1, torch.randn(2, *weight.shape[1:])

    def gradients(dense: bool):
        u, d = up.clone().requires_grad_(True), down.clone().requires_grad_(True)
        if dense:
            changed = {f"synthesis.{layer}.weight": weight + low_rank.dense(u, d)}
            picture = functional_call(generator, changed, (ws, inputs), {"tile": tile})
        else:
            picture = generator.synthesis(ws, inputs, tile=tile, updates={layer: LowRank(u, d)}).image
        return picture.detach(), torch.autograd.grad(picture.square().sum(), (u, d))

    (expected, dense), (picture, found) = gradients(True), gradients(False)
    assert torch.equal(picture, expected)
    for a, b in zip(found, dense, strict=True):
        assert torch.allclose(a, b, rtol=1e-3, atol=1e-4 * b.abs().max())


def test_a_low_rank_update_leaves_the_weight_itself_without_a_gradient(drawn):
    generator, ws, inputs = drawn
    weight = generator.get_parameter("synthesis.b8.conv0.weight")
    up = torch.zeros(weight.shape[0], 2, requires_grad=True)
    down = torch.randn(2, *weight.shape[1:], requires_grad=True)
    generator.requires_grad_(False)
    generator.synthesis(ws, inputs, updates={"b8.conv0": LowRank(up, down)}).image.sum().backward()
    assert weight.grad is None and up.grad is not None


@pytest.mark.parametrize("low_rank", [False, True])
@pytest.mark.parametrize(("tile", "clamp"), [("none", None), ("x", 0.8), ("xy", None)])
def test_sparing_synthesis_has_the_bits_and_the_gradients_of_the_ordinary_one(make_generator, tile, clamp, low_rank):
    generator = make_generator(resolution=16, tile=tile, conv_clamp=clamp).requires_grad_(False)
    rng = torch.Generator().manual_seed(0)
    ws = generator.map(torch.randn(2, generator.config.z_dim, generator=rng)).detach().requires_grad_(True)
    inputs = sample_inputs(generator.config, 2, generator=rng)
    names = [f"synthesis.b8.conv1.{n}" for n in ("bias", "noise_strength", "affine.bias", "weight")]
    names += ["synthesis.b16.conv0.weight", "synthesis.b4.const"]
    trained, updates = [ws], {}
    if low_rank:
        for layer in ("b8.conv0", "b16.conv1"):
            c_out, *rest = generator.get_parameter(f"synthesis.{layer}.weight").shape
            updates[layer] = LowRank(torch.randn(c_out, 2, generator=rng), torch.randn(2, *rest, generator=rng))
            trained += [updates[layer].up, updates[layer].down]
    else:
        trained += [generator.get_parameter(name) for name in names]
    for tensor in trained:
        tensor.requires_grad_(True)

    def gradients(sparing: bool):
        picture = generator.synthesis(ws, inputs, sparing=sparing, updates=updates).image
        return picture.detach(), torch.autograd.grad((picture * picture.detach().sin()).sum(), trained)

    (expected, ordinary), (picture, found) = gradients(False), gradients(True)
    assert torch.equal(picture, expected)
    for a, b in zip(found, ordinary, strict=True):
        assert torch.allclose(a, b, rtol=1e-3, atol=1e-4 * b.abs().max())


def test_sparing_synthesis_keeps_one_map_for_each_layer_and_no_changed_weight(make_generator):
    generator = make_generator(resolution=16).requires_grad_(False)
    rng = torch.Generator().manual_seed(0)
    inputs = sample_inputs(generator.config, 2, generator=rng)
    ws = generator.map(torch.randn(2, generator.config.z_dim, generator=rng)).detach()
    convs = [layer for layer in generator.layers() if layer.kind == "conv"]
    updates = {}
    for layer in convs:
        up, down = torch.zeros(layer.c_out, 2, requires_grad=True), torch.zeros(2, layer.c_in, 3, 3, requires_grad=True)
        updates[layer.name] = LowRank(up, down)
    frozen = {p.data_ptr() for p in generator.parameters()}
    kept: dict[int, tuple[int, ...]] = {}

    def pack(t: torch.Tensor) -> torch.Tensor:
        if t.untyped_storage().data_ptr() not in frozen:
            kept[t.untyped_storage().data_ptr()] = tuple(t.shape)
        return t

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        picture = generator.synthesis(ws, inputs, sparing=True, updates=updates).image
    maps = [shape for shape in kept.values() if len(shape) > 2 and max(shape) >= 4 and shape[0] == 2 and shape[-1] > 3]
    features = [shape for shape in maps if shape[1] not in (1, 3)]  # noise has 1, the small kernels of colours 3
    assert picture.requires_grad and len(features) <= len(convs) + 1  # the constant is the first one's input
    assert not [shape for shape in kept.values() if len(shape) == 4 and shape[-1] == 3 and shape[0] > 2]
