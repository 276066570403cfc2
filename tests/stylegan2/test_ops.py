from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from latent_loom.stylegan2.ops.activation import finish
from latent_loom.stylegan2.ops.few_columns import few_columns
from latent_loom.stylegan2.ops.modulation import demodulation, modulated_convolve
from latent_loom.stylegan2.ops.padding import pad
from latent_loom.stylegan2.ops.resample import normalise_taps, upsample

TAPS = normalise_taps((1.0, 3.0, 3.0, 1.0))
LOPSIDED = normalise_taps((1.0, 4.0, 2.0, 0.5))


def stuffed(x):
    """Zeros between the samples."""
    n, c, h, w = x.shape
    y = x.new_zeros(n, c, 2 * h, 2 * w)
    y[:, :, ::2, ::2] = x
    return y


def upsample_by_definition(x, taps):
    """Zero-stuff, then convolve (flipped kernel) with the filter, 2 before and 1 after, per channel."""
    f = torch.tensor(taps, dtype=x.dtype)
    kernel = (4 * torch.outer(f, f)).flip(0, 1).expand(x.shape[1], 1, 4, 4)
    return F.conv2d(F.pad(stuffed(x), (2, 1, 2, 1)), kernel, groups=x.shape[1])


def up_convolve_by_definition(x, weight, taps):
    """Transposed convolution by scatter, then the filter."""
    n, _, h, w = x.shape
    y = x.new_zeros(n, len(weight), 2 * h + 3, 2 * w + 3)  # y[-1] .. y[2h + 1]
    for a in range(3):
        for b in range(3):
            part = torch.einsum("oi,nihw->nohw", weight[:, :, a, b], x)
            y[:, :, 1 + a : 1 + a + 2 * h : 2, 1 + b : 1 + b + 2 * w : 2] += part
    f = torch.tensor(taps, dtype=x.dtype)
    kernel = (4 * torch.outer(f, f)).flip(0, 1).expand(len(weight), 1, 4, 4)
    return F.conv2d(y, kernel, groups=len(weight))


def up_convolve(x, weight, taps, tile):
    return modulated_convolve(x, weight, x.new_ones(x.shape[:2]), tile=tile, up_taps=taps)


def inner(x, size):
    """The middle copy of three by three."""
    return x[:, :, size[0] : 2 * size[0], size[1] : 2 * size[1]]


@pytest.mark.parametrize("taps", [TAPS, LOPSIDED])
def test_upsampling_follows_its_definition(taps):
    x = torch.randn(2, 3, 5, 4, dtype=torch.float64)
    assert torch.allclose(upsample(x, taps, "none"), upsample_by_definition(x, taps))


@pytest.mark.parametrize("taps", [TAPS, LOPSIDED])
def test_up_convolution_follows_its_definition(taps):
    x, weight = torch.randn(2, 3, 5, 4, dtype=torch.float64), torch.randn(6, 3, 3, 3, dtype=torch.float64)
    assert torch.allclose(up_convolve(x, weight, taps, "none"), up_convolve_by_definition(x, weight, taps))


@pytest.mark.parametrize("shape", [(5, 4), (1, 3), (1, 1)])
def test_circular_borders_are_an_infinite_repetition(shape):
    x, weight = torch.randn(1, 3, *shape, dtype=torch.float64), torch.randn(2, 3, 3, 3, dtype=torch.float64)
    many, out = x.repeat(1, 1, 3, 3), (2 * shape[0], 2 * shape[1])
    assert torch.allclose(upsample(x, TAPS, "xy"), inner(upsample(many, TAPS, "none"), out))
    assert torch.allclose(up_convolve(x, weight, TAPS, "xy"), inner(up_convolve(many, weight, TAPS, "none"), out))


def test_padding_wraps_the_tiled_axes_only(tile):
    x = torch.randn(1, 1, 4, 5)
    padded = pad(x, 2, tile)
    assert torch.equal(padded[:, :, 2:-2, 2:-2], x)
    left, top = padded[:, :, 2:-2, :2], padded[:, :, :2, 2:-2]
    assert torch.equal(left, x[..., -2:] if "x" in tile else torch.zeros_like(left))
    assert torch.equal(top, x[:, :, -2:] if "y" in tile else torch.zeros_like(top))


def test_padding_wider_than_the_picture_goes_round_again():
    x = torch.tensor([1.0, 2.0]).reshape(1, 1, 1, 2)
    assert pad(x, 3, "x")[0, 0, 3].tolist() == [2, 1, 2, 1, 2, 1, 2, 1]


@pytest.mark.parametrize("up_taps", [None, TAPS])
def test_a_shared_kernel_gives_what_a_kernel_for_each_item_gives(tile, up_taps):
    x, weight = torch.randn(3, 4, 6, 5, dtype=torch.float64), torch.randn(2, 4, 3, 3, dtype=torch.float64)
    s = torch.randn(3, 4, dtype=torch.float64)
    d = demodulation(weight, s, 1e-8)
    shared = modulated_convolve(x, weight, s, tile=tile, up_taps=up_taps) * d[:, :, None, None]
    for i in range(3):
        own = weight * s[i][None, :, None, None]
        own = own / own.square().sum((1, 2, 3), keepdim=True).sqrt()
        one = torch.ones(1, 4, dtype=torch.float64)
        expected = modulated_convolve(x[i : i + 1], own, one, tile=tile, up_taps=up_taps)
        assert torch.allclose(shared[i : i + 1], expected)


@pytest.mark.parametrize("clamp", [None, 0.5])
@pytest.mark.parametrize("grad", [False, True])
def test_the_last_pass_is_noise_bias_leaky_relu_gain_and_clamp(clamp, grad):
    x, d, bias = torch.randn(2, 3, 4, 4), torch.rand(2, 3), torch.randn(3)
    noise, strength = torch.randn(2, 1, 4, 4), torch.tensor(0.7)
    expected = F.leaky_relu(x * d[:, :, None, None] + noise * strength + bias[:, None, None], 0.2) * 2**0.5
    if clamp is not None:
        expected = expected.clamp(-clamp, clamp)
    with torch.set_grad_enabled(grad):
        assert torch.allclose(finish(x.clone(), d, bias, noise, strength, clamp), expected, atol=1e-6)


def test_gradients_of_up_convolution_of_first_and_second_order_are_those_of_the_arithmetic(tile):
    x, weight = torch.randn(2, 3, 3, 2, dtype=torch.float64), torch.randn(2, 3, 3, 3, dtype=torch.float64)
    inputs = (x.requires_grad_(), weight.requires_grad_())
    assert torch.autograd.gradcheck(lambda x, w: up_convolve(x, w, LOPSIDED, tile), inputs)
    assert torch.autograd.gradgradcheck(lambda x, w: up_convolve(x, w, LOPSIDED, tile), inputs)


# ---- products


def test_a_product_with_few_columns_has_the_gradients_of_one_once_and_twice():
    rng = torch.Generator().manual_seed(0)
    rows, columns = (torch.randn(2, n, 4, generator=rng, dtype=torch.float64).requires_grad_() for n in (5, 3))
    assert torch.equal(few_columns(rows, columns), rows @ columns.transpose(1, 2))
    assert torch.autograd.gradcheck(few_columns, (rows, columns))
    assert torch.autograd.gradgradcheck(few_columns, (rows, columns))
    assert torch.autograd.gradcheck(lambda own: few_columns(rows.detach(), own), columns)
