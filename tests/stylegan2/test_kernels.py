"""The native kernels beside their pure-PyTorch twins: the same values and gradients, in every layout."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from latent_loom.stylegan2 import native
from latent_loom.stylegan2.inputs import draw_inputs
from latent_loom.stylegan2.native import build
from latent_loom.stylegan2.ops.activation import finish
from latent_loom.stylegan2.ops.resample import fir, normalise_taps, upfirdn2d, upsample

FORMATS = (torch.contiguous_format, torch.channels_last)
CLOSE = {"rtol": 1e-5, "atol": 1e-5}  # the order of summation differs
TAPS = normalise_taps((1.0, 4.0, 2.0, 0.5))
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here"))]


@pytest.fixture(scope="module")
def built():
    """The kernels, built for this machine; decided for this module only."""
    before = dict(native._choices)
    for device in ["cpu", "cuda"][: 1 + torch.cuda.is_available()]:
        choice = native.choose("native", device)
        if choice.impl != "native":
            pytest.skip(choice.why)
    yield
    native._choices.clear()
    native._choices.update(before)


def in_layout(x, layout):
    if layout == "channels-last":
        return x.contiguous(memory_format=torch.channels_last)
    if layout == "strided":
        return torch.stack([x, x], -1)[..., 0]
    return x.contiguous()


@pytest.fixture(params=["contiguous", "channels-last", "strided"])
def layout(request):
    return request.param


SHAPES = [(2, 5, 7, 3), (1, 1, 1, 1), (0, 4, 3, 3), (3, 33, 1, 6), (1, 1, 5, 4)]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize("noise_batch", [None, 1, "n"])
@pytest.mark.parametrize("clamp", [None, 0.6])
def test_finish_and_its_gradients_are_those_of_the_twin(built, device, layout, shape, scaled, noise_batch, clamp):
    torch.manual_seed(0)
    n, c, h, w = shape
    x = in_layout(torch.randn(shape), layout)
    d, bias, strength = torch.rand(n, c) + 0.5 if scaled else None, torch.randn(c), torch.tensor(0.7)
    noise = None if noise_batch is None else torch.randn(n if noise_batch == "n" else 1, 1, h, w)
    leaves = [t.to(device).requires_grad_() for t in (x, d, bias, noise, strength) if t is not None]
    weights = torch.randn(shape, device=device)
    found = {}
    for impl in ("native", "torch"):
        values = iter(leaves)
        a, b, e, m, k = (None if t is None else next(values) for t in (x, d, bias, noise, strength))
        y = finish(a, b, e, m, k, clamp, impl=impl)
        grads = torch.autograd.grad((y * weights).sum(), leaves, allow_unused=True)
        with torch.no_grad():
            for place in (torch.empty(shape, device=device, memory_format=f) for f in FORMATS):
                result = finish(a.detach().clone(), b, e, m, k, clamp, place, impl=impl)
                assert torch.equal(result, y) and torch.equal(place, y), "the same bits without gradients, in place"
        found[impl] = [y, *(torch.zeros_like(t) if g is None else g for t, g in zip(leaves, grads, strict=True))]
    for ours, twins in zip(found["native"], found["torch"], strict=True):
        torch.testing.assert_close(ours, twins, **CLOSE)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_finish_takes_a_convolution_in_16_bits_beside_numbers_in_32(built, dtype):
    """As mixed precision brings them."""
    torch.manual_seed(0)
    x, noise = torch.randn(2, 3, 8, 8, device="cuda"), torch.randn(2, 1, 8, 8, device="cuda")
    small = [t.cuda().requires_grad_() for t in (torch.rand(2, 3) + 0.5, torch.randn(3), torch.tensor(0.7))]
    d, bias, strength = small
    whole = finish(x.clone(), d, bias, noise, strength, None, impl="torch")
    mixed = finish(x.to(dtype), d, bias, noise, strength, None, impl="native")
    assert mixed.dtype == dtype
    torch.testing.assert_close(mixed.float(), whole, rtol=0.02, atol=0.05)
    for ours, twins in zip(
        *(torch.autograd.grad(y.float().square().sum(), small) for y in (mixed, whole)), strict=True
    ):
        assert ours.dtype == torch.float32
        torch.testing.assert_close(ours, twins, rtol=0.05, atol=1.0)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("shape", [(2, 5, 7, 3), (1, 1, 4, 5), (0, 4, 4, 4), (2, 16, 5, 9)])
@pytest.mark.parametrize(("up", "down"), [(1, 1), (2, 1), (1, 2), (3, 2)])
@pytest.mark.parametrize("padding", [(2, 1, 2, 1), (0, 2, 3, 0), (3, -1, -1, 4)])
def test_upfirdn2d_and_its_gradients_are_those_of_the_twin(built, device, layout, shape, up, down, padding):
    torch.manual_seed(0)
    x = in_layout(torch.randn(shape), layout).to(device).requires_grad_()
    ours, twins = (upfirdn2d(x, TAPS, up=up, down=down, padding=padding, impl=i) for i in ("native", "torch"))
    torch.testing.assert_close(ours, twins, **CLOSE)
    weights = torch.randn(twins.shape, device=device)
    torch.testing.assert_close(*(torch.autograd.grad((y * weights).sum(), x)[0] for y in (ours, twins)), **CLOSE)


def test_upsampling_and_filtering_are_those_of_the_twins(built, layout, tile):
    x = in_layout(torch.randn(2, 3, 6, 5), layout)
    torch.testing.assert_close(*(upsample(x, TAPS, tile, impl) for impl in ("native", "torch")), **CLOSE)
    torch.testing.assert_close(*(fir(x, TAPS, 4.0, impl) for impl in ("native", "torch")), **CLOSE)


def test_gradients_of_gradients_go_through_the_twin(built):
    x, d, bias = torch.randn(2, 3, 4, 4, requires_grad=True), torch.rand(2, 3, requires_grad=True), torch.randn(3)
    k, found = torch.tensor(0.5, requires_grad=True), []
    noise = torch.randn(2, 1, 4, 4)
    for impl in ("native", "torch"):
        y = fir(finish(x, d, bias, noise, k, None, impl=impl), TAPS, 4.0, impl)
        g = torch.autograd.grad(y.square().sum(), (x, d, k), create_graph=True)
        found.append(torch.autograd.grad(sum(t.square().sum() for t in g), (x, d, k)))
    for ours, twins in zip(*found, strict=True):
        torch.testing.assert_close(ours, twins, rtol=1e-4, atol=1e-3)


def test_double_precision_is_left_to_the_twin(built):
    assert not native.use(torch.zeros(1, dtype=torch.float64), "auto")
    with pytest.raises(RuntimeError, match=r"No native kernels for torch\.float64"):
        native.use(torch.zeros(1, dtype=torch.float64), "native")


@pytest.mark.parametrize("trained", [False, True])
def test_a_picture_with_native_kernels_has_the_same_bits_with_gradients(built, make_generator, tile, trained):
    generator = make_generator(conv_clamp=0.7)
    ws, inputs = generator.map(torch.randn(2, 8)), draw_inputs(generator.config, range(2))
    with torch.no_grad():
        picture = generator.synthesize(ws, inputs, tile=tile)
    assert torch.equal(generator.requires_grad_(trained).synthesize(ws, inputs, tile=tile), picture)


def test_the_kernels_bits_do_not_depend_on_the_number_of_threads(built):
    x, noise = torch.randn(2, 64, 40, 40).contiguous(memory_format=torch.channels_last), torch.randn(1, 1, 40, 40)
    x.requires_grad_()
    bias, k = torch.randn(64, requires_grad=True), torch.tensor(0.5, requires_grad=True)

    def everything():
        y = fir(finish(x, None, bias, noise, k, None, impl="native"), TAPS, 4.0, "native")
        return y, *torch.autograd.grad(y.square().sum(), (x, bias))

    before, threads = everything(), torch.get_num_threads()
    torch.set_num_threads(threads % 2 + 1)
    try:
        assert all(torch.equal(a, b) for a, b in zip(before, everything(), strict=True))
    finally:
        torch.set_num_threads(threads)


def decided(monkeypatch, wish, **changes):
    for name, value in changes.items():
        monkeypatch.setattr(build, name, value)
    monkeypatch.setattr(native, "_build_in_background", lambda: None)
    return native._decide("cpu", wish)


def test_without_a_compiler_the_twins_are_used_and_why_is_said(monkeypatch):
    monkeypatch.setenv("CXX", "")
    monkeypatch.setattr(build.shutil, "which", lambda name: None)
    choice = native._decide("cpu", "auto")
    assert choice.impl == "torch" and "install a C++ compiler" in choice.why


def test_a_build_that_fails_leaves_a_log_and_is_not_tried_at_each_start(monkeypatch, tmp_path):
    broken = tmp_path / "sources"
    broken.mkdir()
    for name in ("kernels.cpp", "kernels.h"):
        (broken / name).write_text("this is no C++")
    cache = {"SOURCES": broken, "cache_folder": lambda: tmp_path / "cache"}
    first = decided(monkeypatch, "native", **cache)
    assert first.impl == "torch" and "did not compile" in first.why
    (log,) = (tmp_path / "cache").rglob("*.log")
    assert "error" in log.read_text()
    assert str(log) in decided(monkeypatch, "auto", **cache).why
    assert not list((tmp_path / "cache").rglob("*.so"))


def test_nothing_waits_for_a_first_build(monkeypatch, tmp_path):
    started = []
    monkeypatch.setattr(build, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(native, "_build_in_background", lambda: started.append(True))
    choice = native._decide("cpu", "auto")
    if "compiler" in choice.why:
        pytest.skip(choice.why)
    assert started and choice.impl == "torch" and "for the next" in choice.why


def test_a_build_that_takes_too_long_is_stopped(monkeypatch, tmp_path):
    sleeper = tmp_path / "ninja"
    sleeper.write_text("#!/bin/sh\nsleep 600\n")
    sleeper.chmod(0o755)
    cache = {"cache_folder": lambda: tmp_path, "_ninja": lambda: str(sleeper), "BUILD_LIMIT_S": 0.2}
    assert "took longer" in decided(monkeypatch, "native", **cache).why


def test_a_lock_held_by_another_process_is_waited_for_within_the_limit(monkeypatch, tmp_path):
    monkeypatch.setattr(build, "BUILD_LIMIT_S", 0.2)
    held = str(tmp_path / "lock")
    program = f"import fcntl; f = open({held!r}, 'w'); fcntl.flock(f, fcntl.LOCK_EX); print(1, flush=True); input()"
    line = [sys.executable, "-c", program]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        with pytest.raises(build.BuildError, match="still building"), build._lock(tmp_path / "lock"):
            pass
        other.kill()
    with build._lock(tmp_path / "lock"):
        pass


def test_an_unknown_wish_is_named(monkeypatch):
    monkeypatch.setenv("LATENT_LOOM_KERNELS", "fast")
    assert "auto, native, torch" in native._decide("cpu", "fast").why
    with pytest.raises(ValueError, match="auto, native, torch"):
        native.use(torch.zeros(1), "fast")
