from __future__ import annotations

import pytest
import torch
from latent_loom.stylegan2.config import GeneratorConfig
from latent_loom.stylegan2.errors import ConfigError, ShapeError
from latent_loom.stylegan2.inputs import SynthesisInputs, draw_inputs
from latent_loom.stylegan2.networks import Generator
from torch.func import functional_call

ROUNDING = 1e-5  # of values around 1: a convolution's order of summation depends on where a pixel lies


def picture(generator, seeds=(0,), grid=(4, 4), tile=None, inputs=None):
    z = torch.stack([torch.randn(8, generator=torch.Generator().manual_seed(s)) for s in seeds])
    with torch.no_grad():
        if inputs is None:
            inputs = draw_inputs(generator.config, seeds, grid)
        return generator.synthesize(generator.map(z), inputs, tile=tile)


def rolled(inputs, cells, grid):
    """The inputs moved by whole grid cells (down, right), every noise map by as many pixels as it has to a cell."""
    noise = tuple(
        n.roll((cells[0] * n.shape[2] // grid[0], cells[1] * n.shape[3] // grid[1]), (2, 3)) for n in inputs.noise
    )
    return SynthesisInputs(inputs.grid, inputs.input_map.roll(cells, (2, 3)), noise)


@pytest.mark.parametrize("grid", [(4, 4), (3, 5), (1, 2), (8, 6)])
def test_rolled_inputs_give_the_rolled_picture_along_tiled_axes(make_generator, tile, grid):
    generator = make_generator(const_size=1, input_map=1.0, lattice=True)
    inputs = draw_inputs(generator.config, [1], grid)
    cells = (1 if "y" in tile else 0, 1 if "x" in tile else 0)
    before = picture(generator, tile=tile, inputs=inputs)
    after = picture(generator, tile=tile, inputs=rolled(inputs, cells, grid))
    assert (before.roll((4 * cells[0], 4 * cells[1]), (2, 3)) - after).abs().max() < ROUNDING


@pytest.mark.parametrize("axis", [2, 3])
def test_zero_padding_is_not_periodic(make_generator, axis):
    generator = make_generator(const_size=1, input_map=1.0)
    inputs = draw_inputs(generator.config, [1])
    cells = (1, 0) if axis == 2 else (0, 1)
    before = picture(generator, tile="none", inputs=inputs)
    after = picture(generator, tile="none", inputs=rolled(inputs, cells, (4, 4)))
    assert (before.roll(4, axis) - after).abs().max() > 0.1


def test_a_picture_of_twice_the_period_is_the_tile_twice(make_generator):
    generator = make_generator(input_map=1.0)
    inputs = draw_inputs(generator.config, [1])
    twice = SynthesisInputs(
        (4, 8), inputs.input_map.repeat(1, 1, 1, 2), tuple(n.repeat(1, 1, 1, 2) for n in inputs.noise)
    )
    tile, double = (picture(generator, tile="x", inputs=i) for i in (inputs, twice))
    assert (torch.cat([tile, tile], 3) - double).abs().max() < ROUNDING


@pytest.mark.parametrize("grid", [(4, 4), (2, 7), (5, 1), (8, 12)])
@pytest.mark.parametrize("const_size", [1, 4])
def test_a_grid_of_any_size_gives_its_multiple_in_pixels(make_generator, grid, const_size):
    image = picture(make_generator(const_size=const_size), grid=grid)
    assert image.shape == (1, 3, grid[0] * 4, grid[1] * 4)
    assert image.isfinite().all()


def test_a_constant_of_one_cell_has_nothing_positional(make_generator):
    generator = make_generator(const_size=1)
    with torch.no_grad():
        image = generator.synthesize(generator.map(torch.ones(1, 8)), SynthesisInputs((4, 4)), tile="xy")
    assert image.std((2, 3)).max() < ROUNDING


def test_no_inputs_means_no_noise(make_generator):
    generator = make_generator()
    ws = generator.map(torch.ones(1, 8))
    silent = [p for n, p in generator.named_parameters() if n.endswith("noise_strength")]
    with torch.no_grad():
        without = generator.synthesize(ws)
        with_noise = generator.synthesize(ws, draw_inputs(generator.config, [0]))
        for strength in silent:
            strength.zero_()
        zero_strength = generator.synthesize(ws, draw_inputs(generator.config, [0]))
    assert not torch.equal(without, with_noise)
    assert torch.equal(without, zero_strength)


def test_identical_seeds_give_bit_identical_pictures(make_generator):
    generator = make_generator(input_map=0.5, tile="xy")
    assert torch.equal(picture(generator, [5]), picture(generator, [5]))
    assert not torch.equal(picture(generator, [5]), picture(generator, [6]))


def test_w_of_an_item_does_not_depend_on_its_batch(make_generator):
    generator = make_generator()
    z = torch.randn(7, 8)
    with torch.no_grad():
        together = generator.map(z)
        assert all(torch.equal(together[i : i + 1], generator.map(z[i : i + 1])) for i in range(7))


def test_psi_0_is_the_mean_and_cutoff_spares_the_fine_layers(make_generator):
    generator = make_generator()
    z = torch.randn(2, 8)
    full, mean, part = (generator.map(z, **k) for k in ({}, {"psi": 0.0}, {"psi": 0.0, "cutoff": 2}))
    assert torch.allclose(mean, generator.mapping.w_avg.expand_as(mean))
    assert torch.allclose(part[:, :2], mean[:, :2])
    assert torch.equal(part[:, 2:], full[:, 2:])


@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.parametrize("batch", [1, 4])
def test_pictures_with_and_without_gradients_are_bit_identical(make_generator, tile, trained, batch):
    generator = make_generator(conv_clamp=0.7)
    ws, inputs = generator.map(torch.randn(batch, 8)), draw_inputs(generator.config, range(batch))
    with torch.no_grad():
        expected = generator.synthesize(ws, inputs, tile=tile)
    generator.requires_grad_(trained)
    assert torch.equal(generator.synthesize(ws, inputs, tile=tile), expected)


def test_every_parameter_can_carry_a_trained_delta(make_generator):
    generator = make_generator(conv_clamp=50.0)
    params = dict(generator.named_parameters())
    deltas = {n: torch.zeros_like(p, requires_grad=True) for n, p in params.items() if n.startswith("synthesis.")}
    ws, inputs = generator.map(torch.ones(2, 8)), draw_inputs(generator.config, [0, 1])
    with torch.no_grad():
        unchanged = generator(ws, inputs)
    styled = functional_call(generator, {n: params[n] + d for n, d in deltas.items()}, (ws, inputs))
    assert torch.allclose(styled, unchanged, atol=ROUNDING)
    styled.square().sum().backward()
    assert all(d.grad is not None and d.grad.abs().sum() > 0 for d in deltas.values())
    with torch.no_grad():
        moved = functional_call(generator, {n: params[n] + 0.1 * d.grad for n, d in deltas.items()}, (ws, inputs))
    assert not torch.allclose(moved, unchanged, atol=0.01)
    assert torch.equal(generator.synthesize(ws, inputs), unchanged), "the generator itself is as before"


def test_gradients_agree_with_finite_differences(make_generator):
    generator = make_generator(conv_clamp=0.6).double()
    name = "synthesis.b8.conv0.weight"
    weight, ws = generator.get_parameter(name).clone().requires_grad_(), generator.map(torch.ones(1, 8).double())
    inputs = draw_inputs(generator.config, [0])
    inputs = SynthesisInputs(noise=tuple(n.double() for n in inputs.noise))

    def loss(w):
        return functional_call(generator, {name: w}, (ws, inputs), {"tile": "xy"}).square().mean()

    (gradient,) = torch.autograd.grad(loss(weight), weight)
    direction, step = torch.randn_like(weight), 1e-6
    with torch.no_grad():
        slope = (loss(weight + step * direction) - loss(weight - step * direction)) / (2 * step)
    assert torch.allclose((gradient * direction).sum(), slope, rtol=1e-4)


def test_the_layer_list_names_what_runs_and_which_w_drives_it(make_generator):
    generator = make_generator()
    layers = generator.layers()
    names = ["b4.conv1", "b4.torgb", "b8.conv0", "b8.conv1", "b8.torgb", "b16.conv0", "b16.conv1", "b16.torgb"]
    assert [layer.name for layer in layers] == names
    ws = generator.map(torch.ones(1, 8)).clone()
    with torch.no_grad():
        before = generator.synthesize(ws)
    for layer in layers:
        weight = generator.get_parameter(f"synthesis.{layer.name}.weight")
        assert weight.shape == (layer.c_out, layer.c_in, layer.kernel, layer.kernel)
        silenced = {f"synthesis.{other.name}.affine.weight": 0 for other in layers if other.name != layer.name}
        params = {n: torch.zeros_like(generator.get_parameter(n)) for n in silenced}
        moved = ws.clone()
        moved[:, layer.w_index] += 1
        with torch.no_grad():
            a, b = (functional_call(generator, params, (w,)) for w in (ws, moved))
        assert not torch.equal(a, b), f"w {layer.w_index} drives {layer.name}"
    assert before.shape == (1, 3, 16, 16)
    assert generator.num_ws == 1 + max(layer.w_index for layer in layers)


def test_classes_change_the_picture_and_are_demanded(make_generator):
    generator = make_generator(c_dim=3)
    z = torch.ones(1, 8)
    a, b = (generator.map(z, labels=torch.eye(3)[i : i + 1]) for i in (0, 1))
    assert not torch.allclose(a, b)
    with pytest.raises(ShapeError, match="3 classes"):
        generator.map(z)


def test_wrong_shapes_are_named(make_generator):
    generator = make_generator(input_map=1.0)
    ws = generator.map(torch.ones(1, 8))
    with pytest.raises(ShapeError, match=r"\[N, 6, 8\]"):
        generator.synthesize(ws[:, :3])
    with pytest.raises(ShapeError, match=r"z of shape \[N, 8\]"):
        generator.map(torch.ones(1, 9))
    with pytest.raises(ShapeError, match="5 noise maps, not 1"):
        generator.synthesize(ws, SynthesisInputs(noise=(torch.zeros(1, 1, 4, 4),)))
    with pytest.raises(ShapeError, match="input map must have"):
        generator.synthesize(ws, SynthesisInputs(input_map=torch.zeros(1, 8, 4, 5)))
    with pytest.raises(ConfigError, match="not 'z'"):
        generator.synthesize(ws, tile="z")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"resolution": 48}, "power of two"),
        ({"channels": (8, 8)}, "channel counts for 3"),
        ({"channels": (8, 0, 8)}, r"channels\[1\]"),
        ({"z_dim": 2.0}, "z_dim"),
        ({"c_dim": -1}, "c_dim"),
        ({"mapping_layers": 10**9}, "mapping layers"),
        ({"const_size": 2}, "4x4 or 1x1"),
        ({"fir": (1.0, 1.0)}, "four taps"),
        ({"conv_clamp": 0.0}, "conv_clamp"),
        ({"input_map": float("nan")}, "input_map"),
        ({"tile": "both"}, "Tiling"),
    ],
)
def test_impossible_settings_are_refused_in_a_sentence(change, sentence):
    with pytest.raises(ConfigError, match=sentence):
        settings = {"z_dim": 8, "w_dim": 8, "resolution": 16, "channels": (8, 6, 4)}
        Generator(GeneratorConfig(**{**settings, **change}))
