"""Pickles of the TensorFlow era. Their pictures against NVlabs' own converter: `test_parity.py`."""

from __future__ import annotations

import contextlib
import random

import numpy as np
import pytest
import torch
from latent_loom.stylegan2.checkpoints import import_checkpoint
from latent_loom.stylegan2.errors import CheckpointError, CorruptTensors, ForeignCheckpoint, UnsupportedArchitecture

from .test_importers import pictures, same_settings


@pytest.fixture
def generator(make_generator):
    return make_generator(constant_noise=True)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_tensorflow_file_gives_the_pictures_of_its_weights(generator, write_tensorflow, protocol):
    imported = import_checkpoint(write_tensorflow(generator, protocol=protocol))
    assert same_settings(imported.config, generator.config, but=["eps_per_tap"])
    for name, tensor in generator.state_dict().items():  # a style bias went through -1 and +1
        assert torch.allclose(imported.state_dict()[name], tensor, atol=1e-6), name
    assert torch.allclose(pictures(imported), pictures(generator), atol=1e-5)


@pytest.mark.parametrize(
    "settings",
    [
        {"c_dim": 3, "embed_dim": 5, "mapping_width": 7, "z_dim": 6},
        {"mapping_layers": 1},
        {"mapping_layers": 2, "mapping_lr_multiplier": 1.0},
        {"w_dim": 12, "z_dim": 4},
        {"conv_clamp": 0.5},
        {"image_channels": 1},
        {"resolution": 4, "channels": (8,)},
        {"resolution": 32, "channels": (8, 8, 6, 4)},
    ],
    ids=str,
)
def test_every_hyper_parameter_is_found(make_generator, write_tensorflow, settings):
    generator = make_generator(constant_noise=True, **settings)
    imported = import_checkpoint(write_tensorflow(generator, version=5))
    assert same_settings(imported.config, generator.config, but=["eps_per_tap"])
    assert torch.allclose(pictures(imported), pictures(generator), atol=1e-5)


def test_a_generator_trained_without_noise_is_one_of_strength_0(make_generator, write_tensorflow):
    generator = make_generator()
    for name, tensor in generator.state_dict().items():
        if name.endswith("noise_strength"):
            tensor.zero_()
    imported = import_checkpoint(write_tensorflow(generator))
    assert not imported.config.constant_noise
    assert torch.allclose(pictures(imported), pictures(generator), atol=1e-5)


@pytest.mark.parametrize("only", [list, lambda networks: networks[2], lambda networks: networks[2:]])
def test_a_list_and_a_single_network_are_read_like_the_three(generator, write_tensorflow, only):
    imported = import_checkpoint(write_tensorflow(generator, only=only))
    assert torch.allclose(pictures(imported), pictures(generator), atol=1e-5)


def test_a_missing_average_is_recomputed(generator, write_tensorflow):
    imported = import_checkpoint(write_tensorflow(generator, change=lambda main, m, s: main.pop("dlatent_avg")))
    assert imported.mapping.w_avg.abs().sum() > 0
    assert torch.allclose(pictures(imported, psi=1.0), pictures(generator, psi=1.0), atol=1e-5)


def rename(old, new):
    def change(main, mapping, synthesis):
        for part in (mapping, synthesis):
            for name in list(part):
                if old in name:
                    part[name.replace(old, new)] = part.pop(name)

    return change


def first_of_two(main, mapping, synthesis):
    mapping["LabelConcat/weight"] = np.ones([3, 8], np.float32)


def no_torgb_below_the_top(main, mapping, synthesis):
    for size in (4, 8):
        for part in ("weight", "bias", "mod_weight", "mod_bias"):
            del synthesis[f"{size}x{size}/ToRGB/{part}"]


def with_skips(main, mapping, synthesis):
    no_torgb_below_the_top(main, mapping, synthesis)
    synthesis["16x16/Skip/weight"] = np.ones([1, 1, 6, 4], np.float32)


def wide_constant(main, mapping, synthesis):
    synthesis["4x4/Const/const"] = np.ones([1, 9, 4, 4], np.float32)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"change": rename("/mod_", "/StyleMod/")}, "is a StyleGAN1"),
        ({"change": rename("16x16/ToRGB", "ToRGB_lod0")}, "StyleGAN2 of the configurations A to D"),
        ({"change": lambda *v: (rename("16x16/ToRGB", "ToRGB_lod0")(*v), v[1].clear())}, "is a Progressive GAN"),
        ({"change": first_of_two}, "takes classes in the way of the first StyleGAN2 code"),
        ({"change": no_torgb_below_the_top}, "of the 'orig' kind; only skip"),
        ({"change": with_skips}, "of the 'resnet' kind; only skip"),
        ({"settings": {"architecture": "resnet"}}, "of the 'resnet' kind; only skip"),
        ({"settings": {"nonlinearity": "relu"}}, "has nonlinearity 'relu'"),
        ({"settings": {"mapping_nonlinearity": "relu"}}, "has mapping_nonlinearity 'relu'"),
        ({"settings": {"normalize_latents": False}}, "has normalize_latents False"),
        ({"settings": {"resample_kernel": None}}, "resampling filter of another kind"),
        ({"settings": {"resample_kernel": [1, 2, 3, 4]}}, "resampling filter of another kind"),
        ({"change": wide_constant}, "a constant of another width"),
        ({"only": lambda networks: networks[1]}, "TensorFlow network, but no StyleGAN2 generator"),
    ],
)
def test_relatives_that_cannot_be_rebuilt_are_named(generator, write_tensorflow, changes, sentence):
    with pytest.raises(UnsupportedArchitecture, match=sentence):
        import_checkpoint(write_tensorflow(generator, **changes))


def spoil(name, value):
    def change(main, mapping, synthesis):
        synthesis[name] = value(synthesis[name]) if callable(value) else value

    return change


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (spoil("8x8/Conv1/bias", lambda bias: bias * np.nan), "synthesis.b8.conv1.bias holds NaN"),
        (lambda m, mapping, s: mapping.pop("Dense1/bias"), "lacks 1 tensor .mapping.fc1.bias"),
        (spoil("8x8/Surprise", np.ones(2, np.float32)), "has unknown 1 tensor .synthesis/8x8/Surprise"),
        (spoil("8x8/Conv1/weight_sn", np.ones([1, 6], np.float32)), "has unknown 1 tensor"),
        (spoil("8x8/Conv1/mod_weight", np.ones([8, 7], np.float32)), r"the shape \[7, 8\] and not \[6, 8\]"),
        (spoil("8x8/Conv1/weight", np.ones([3, 3, 6], np.float32)), "no sound synthesis/8x8/Conv1/weight"),
        (spoil("8x8/ToRGB/weight", np.ones([2, 6], np.float32)), "another number of dimensions"),
        (spoil("noise1", np.ones(8, np.float32)), "another number of dimensions"),
        (spoil("8x8/Conv1/bias", np.ones(6, np.int64)), "variables that are no arrays"),
        (spoil("8x8/Conv1/bias", "a string"), "variables that are no arrays"),
        (spoil("8x8/Conv1/bias", np.ones(6, ">f4")), "variables that are no arrays"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_tensors_that_make_no_generator_are_named(generator, write_tensorflow, change, sentence):
    with pytest.raises(CheckpointError, match=sentence) as caught:
        import_checkpoint(write_tensorflow(generator, change=change))
    assert isinstance(caught.value, CorruptTensors | ForeignCheckpoint)


def test_half_and_double_precision_are_read(generator, write_tensorflow):
    wider = spoil("8x8/Conv1/weight", lambda kernel: kernel.astype(np.float64))
    imported = import_checkpoint(write_tensorflow(generator, change=wider))
    assert torch.allclose(pictures(imported), pictures(generator), atol=1e-5)


def endless():
    """Lists of lists that nobody may write out: their elements are ten to the power of fifty."""
    found = []
    for _ in range(50):
        found = [found] * 10
    return found


@pytest.mark.parametrize(
    "value",
    [endless(), [], {}, (), float("nan"), float("inf"), -1, "x", b"x", True, 10**5000],
    ids=lambda v: type(v).__name__,
)
@pytest.mark.parametrize(
    "name",
    [*("conv_clamp", "mapping_lrmul", "resample_kernel", "architecture"), *("nonlinearity", "normalize_latents")],
)
def test_settings_of_any_kind_raise_nothing_but_a_checkpoint_error(generator, write_tensorflow, name, value):
    path = write_tensorflow(generator, settings={name: value})
    if (name, value) != ("normalize_latents", True):
        with pytest.raises(CheckpointError):
            import_checkpoint(path)


@pytest.mark.parametrize("write", ["write_tensorflow", "write_nvlabs"])
def test_damaged_bytes_of_a_whole_file_raise_nothing_but_a_checkpoint_error(generator, request, write):
    path, draw = request.getfixturevalue(write)(generator), random.Random(7)
    whole = path.read_bytes()
    for _ in range(60):
        damaged = bytearray(whole)
        for _ in range(draw.choice([1, 2, 8])):
            damaged[draw.randrange(len(damaged))] = draw.choice([0, 1, 255, 0x2E, 0x52, 0x62, draw.randrange(256)])
        path.write_bytes(damaged)
        with contextlib.suppress(CheckpointError):
            import_checkpoint(path)
