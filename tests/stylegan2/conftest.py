"""A small generator with nothing left at its initial value, and files of it in the layouts of others.

The files are written by our own code from the published layouts; no code of the originals takes part.
"""

from __future__ import annotations

import argparse
import pickle
import sys
import types
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from latent_loom.stylegan2.config import GeneratorConfig
from latent_loom.stylegan2.networks import Generator

from . import tensorflow_files

SMALL = {"z_dim": 8, "w_dim": 8, "resolution": 16, "channels": (8, 6, 4), "mapping_layers": 3}


def small_generator(**settings) -> Generator:
    torch.manual_seed(3)
    generator = Generator(GeneratorConfig(**{**SMALL, **settings})).requires_grad_(False).eval()
    for name, tensor in generator.state_dict().items():
        if name.endswith(("bias", "noise_strength", "w_avg")):
            tensor.add_(0.3 * torch.randn_like(tensor))
    return generator


@pytest.fixture
def make_generator():
    """`small_generator(**settings)`: 16 px, seeded random weights."""
    return small_generator


@pytest.fixture(params=["none", "x", "y", "xy"])
def tile(request) -> str:
    return request.param


# ---- rosinality -----------------------------------------------------------------------------------------------------


def rosinality_state(generator: Generator) -> OrderedDict:
    """`state_dict()` of rosinality's Generator, from the table of names in its code."""
    own = generator.state_dict()
    out: OrderedDict = OrderedDict()
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
    kernel = 4 * torch.outer(taps, taps)
    for i in range(generator.config.mapping_layers):
        out[f"style.{i + 1}.weight"] = own[f"mapping.fc{i}.weight"]
        out[f"style.{i + 1}.bias"] = own[f"mapping.fc{i}.bias"]
    out["input.input"] = own["synthesis.b4.const"][None]
    names = {"b4.conv1": "conv1", "b4.torgb": "to_rgb1", "b8.conv0": "convs.0", "b8.conv1": "convs.1"}
    names |= {"b8.torgb": "to_rgbs.0", "b16.conv0": "convs.2", "b16.conv1": "convs.3", "b16.torgb": "to_rgbs.1"}
    for ours, theirs in names.items():
        out[f"{theirs}.conv.weight"] = own[f"synthesis.{ours}.weight"][None]
        out[f"{theirs}.conv.modulation.weight"] = own[f"synthesis.{ours}.affine.weight"]
        out[f"{theirs}.conv.modulation.bias"] = own[f"synthesis.{ours}.affine.bias"]
        bias = own[f"synthesis.{ours}.bias"]
        if "rgb" in theirs:
            out[f"{theirs}.bias"] = bias[None, :, None, None]
            if theirs != "to_rgb1":
                out[f"{theirs}.upsample.kernel"] = kernel
        else:
            out[f"{theirs}.noise.weight"] = own[f"synthesis.{ours}.noise_strength"][None]
            out[f"{theirs}.activate.bias"] = bias
        if theirs in ("convs.0", "convs.2"):
            out[f"{theirs}.conv.blur.kernel"] = kernel
    for i, ours in enumerate(["b4.conv1", "b8.conv0", "b8.conv1", "b16.conv0", "b16.conv1"]):
        out[f"noises.noise_{i}"] = own[f"synthesis.{ours}.noise_const"][None, None]
    return out


@pytest.fixture
def write_rosinality(tmp_path):
    """write(generator, kind, zipped=True) -> Path; kind: converted | training | nada. row: the average as [1, w]."""

    def write(generator: Generator, kind: str = "converted", *, zipped=True, change=None, row=False) -> Path:
        average = generator.mapping.w_avg.clone()
        state = rosinality_state(generator)
        if change is not None:
            change(state)
        optimiser = {"state": {0: {"step": torch.tensor(3.0), "exp_avg": torch.zeros(4)}}, "param_groups": [{"lr": 1}]}
        content = {
            "converted": {"g_ema": state, "latent_avg": average[None] if row else average},
            "training": {"g": state, "d": {}, "g_ema": state, "g_optim": optimiser, "d_optim": optimiser,
                         "args": argparse.Namespace(size=16, path="data", lr=0.002), "ada_aug_p": 0.25},
            "nada": {"g_ema": state, "g_optim": optimiser},
        }[kind]  # fmt: skip
        path = tmp_path / f"{kind}.pt"
        torch.save(content, path, _use_new_zipfile_serialization=zipped)
        return path

    return write


# ---- NVlabs ---------------------------------------------------------------------------------------------------------


class Persistent:
    """Pickles as a persistent class does: a call of a function of torch_utils, with the source of its class."""

    source = "raise SystemExit('the source in a checkpoint was executed')"

    def __init__(self, class_name: str, **state) -> None:
        self.class_name, self.state = class_name, state

    def __reduce__(self):
        meta = easy_dict(type="class", version=6, module_src=self.source, class_name=self.class_name, state=self.state)
        return sys.modules["torch_utils.persistence"]._reconstruct_persistent_obj, (meta,)


def easy_dict(**items):
    return sys.modules["dnnlib.util"].EasyDict(items)


def _module(class_name: str, parameters: dict, buffers: dict, modules: dict, **attributes) -> Persistent:
    return Persistent(
        class_name,
        training=False,
        _parameters=OrderedDict((k, torch.nn.Parameter(v, requires_grad=False)) for k, v in parameters.items()),
        _buffers=OrderedDict(buffers),
        _non_persistent_buffers_set=set(),
        _backward_hooks=OrderedDict(),
        _modules=OrderedDict(modules),
        _init_args=(),
        _init_kwargs=easy_dict(),
        **attributes,
    )


def nvlabs_module(generator: Generator, **changes) -> Persistent:
    """The module tree of G_ema. `changes`: attributes for every layer or block that has them."""
    own, config = generator.state_dict(), generator.config
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
    fir = torch.outer(taps, taps)

    def tensors(prefix: str, *names: str) -> dict:
        return {n: own[f"{prefix}.{n}"] for n in names if f"{prefix}.{n}" in own}

    def linear(prefix: str, lr: float, activation: str) -> Persistent:
        found = tensors(prefix, "weight", "bias")
        gain = lr / np.sqrt(found["weight"].shape[1])  # a numpy number, as theirs is
        activation = changes.get("mapping_activation", activation)
        return _module("FullyConnectedLayer", found, {}, {}, weight_gain=gain, bias_gain=lr, activation=activation)

    def conv(prefix: str) -> Persistent:
        buffers = {"resample_filter": fir, **tensors(prefix, "noise_const")}
        return _module(
            "SynthesisLayer", tensors(prefix, "weight", "bias", "noise_strength"), buffers,
            {"affine": linear(f"{prefix}.affine", 1, "linear")},
            activation=changes.get("activation", "lrelu"), act_gain=np.sqrt(2),
            conv_clamp=changes.get("conv_clamp", config.conv_clamp), use_noise=f"{prefix}.noise_strength" in own,
        )  # fmt: skip

    def block(r: int) -> Persistent:
        prefix = f"synthesis.b{r}"
        layers = {name: conv(f"{prefix}.{name}") for name in ("conv0", "conv1") if f"{prefix}.{name}.weight" in own}
        layers["torgb"] = _module(
            "ToRGBLayer", tensors(f"{prefix}.torgb", "weight", "bias"), {},
            {"affine": linear(f"{prefix}.torgb.affine", 1, "linear")}, conv_clamp=config.conv_clamp,
        )  # fmt: skip
        return _module(
            "SynthesisBlock", tensors(prefix, "const"), {"resample_filter": fir}, layers,
            architecture=changes.get("architecture", "skip"), resolution=r,
        )  # fmt: skip

    lr = config.mapping_lr_multiplier
    fcs = {f"fc{i}": linear(f"mapping.fc{i}", lr, "lrelu") for i in range(config.mapping_layers)}
    if config.c_dim:
        fcs["embed"] = linear("mapping.embed", 1, "linear")
    w_avg = {} if changes.get("without_average") else tensors("mapping", "w_avg")
    blocks = {f"b{4 << i}": block(4 << i) for i in range(config.blocks)}
    if changes.get("stylegan3"):
        blocks = {"input": block(4), "L0_36_512": block(4)}
        if changes["stylegan3"] == "XL":
            fcs["embed_proj"] = linear("mapping.fc0", 1, "lrelu")
    mapping = _module("MappingNetwork", {}, w_avg, fcs, z_dim=config.z_dim)
    synthesis = _module("SynthesisNetwork", {}, {}, blocks, w_dim=config.w_dim)
    return _module("Generator", {}, {}, {"synthesis": synthesis, "mapping": mapping}, z_dim=config.z_dim)


@pytest.fixture
def write_nvlabs(tmp_path, monkeypatch):
    """write(generator, protocol=4, **changes) -> Path of a .pkl; its modules exist only while it is written."""
    persistence, util = types.ModuleType("torch_utils.persistence"), types.ModuleType("dnnlib.util")

    def reconstruct(meta):
        raise AssertionError("only its name is pickled")

    reconstruct.__module__, reconstruct.__qualname__ = "torch_utils.persistence", "_reconstruct_persistent_obj"
    persistence._reconstruct_persistent_obj = reconstruct
    util.EasyDict = type("EasyDict", (dict,), {"__module__": "dnnlib.util"})

    def write(generator: Generator, *, protocol: int = 4, **changes) -> Path:
        path = tmp_path / f"network-{protocol}.pkl"
        with monkeypatch.context() as patch, path.open("wb") as file:
            modules = {"torch_utils": types.ModuleType("torch_utils"), "torch_utils.persistence": persistence}
            modules |= {"dnnlib": types.ModuleType("dnnlib"), "dnnlib.util": util}
            for name, module in modules.items():
                patch.setitem(sys.modules, name, module)
            G = nvlabs_module(generator, **changes)
            options = easy_dict(class_name="training.dataset.ImageFolderDataset", path="x.zip")
            content = {"G": None, "D": None, "G_ema": G, "augment_pipe": None, "training_set_kwargs": options}
            pickle.dump(content, file, protocol=protocol)
        return path

    return write


# ---- NVlabs' of the TensorFlow era ----------------------------------------------------------------------------------


@pytest.fixture
def write_tensorflow(tmp_path):
    """write(generator, protocol=4, only=None, **changes) -> Path; only: pick networks out of (G, D, Gs)."""

    def write(generator: Generator, *, protocol: int = 4, only=None, **changes) -> Path:
        found = tensorflow_files.networks(generator, **changes)
        return tensorflow_files.write(tmp_path / "tf.pkl", only(found) if only else found, protocol=protocol)

    return write
