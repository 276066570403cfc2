"""StyleGAN2 pickles of the TensorFlow era: NVlabs/stylegan2 and stylegan2-ada (`.pkl`), read without TensorFlow.

The file is a tuple (G, D, Gs) of `dnnlib.tflib.network.Network`s. Each pickles as {version, name, static_kwargs,
components, variables, build_module_src, ...}: `variables` are (name, numpy array) pairs, `components` the networks
inside ("mapping", "synthesis"), and `build_module_src` is the source of its graph, which their reader executes and ours
ignores.

Their layouts, and what becomes of them:
    dense   [in, out]             -> [out, in]
    kernel  [k, k, in, out]       -> [out, in, k, k]; those of up-convolutions are stored turned by 180 degrees
    style   bias around 0, "+ 1" in the graph -> bias around 1
    demodulation compares its epsilon with kernels already scaled by 1/sqrt(fan-in)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

import torch
from torch import Tensor

from ..errors import ForeignCheckpoint, UnsupportedArchitecture
from ..networks import Generator
from .assemble import PendingTensor, assemble_foreign, make_config, number, shown
from .numpy_arrays import array_tensor
from .pickle_machine import Record

NETWORK = "dnnlib.tflib.network.Network"
NOT_WEIGHTS = ("lod",)  # how far progressive growing has come: kept from StyleGAN1, used by nothing


@dataclass(frozen=True)
class Network:
    """One network of the file with those inside it: its settings, and its variables by their path."""

    settings: dict[str, Any]
    tensors: dict[str, PendingTensor]


def is_tensorflow(value: Any) -> bool:
    return any(_is_network(network) for network in (value if isinstance(value, tuple | list) else [value]))


def build_tensorflow(value: Any, source: str) -> Generator:
    """The generator Gs (the average of training) of a file's (G, D, Gs), or the only network of it.

    Raises  UnsupportedArchitecture, CorruptTensors, ForeignCheckpoint
    """
    networks = [n for n in (value if isinstance(value, tuple | list) else [value]) if _is_network(n)]
    network = _flatten(networks[-1], source)
    _refuse_others(network, source)
    settings = _settings(network, source)
    config = make_config(source, **settings)
    tensors = _rename(network.tensors, config.mapping_layers, config.blocks)
    if not config.constant_noise:  # trained without noise: the same as strength 0
        for conv in (
            "b4.conv1",
            *(f"b{4 << i}.{name}" for i in range(1, config.blocks) for name in ("conv0", "conv1")),
        ):
            tensors.setdefault(f"synthesis.{conv}.noise_strength", PendingTensor.of(torch.zeros([])))
    return assemble_foreign(config, tensors, source=source)


def _is_network(value: Any) -> TypeGuard[Record]:
    return isinstance(value, Record) and value.kind == NETWORK


def _flatten(root: Record, source: str) -> Network:
    """Settings of the whole under those of its parts; variables as "mapping/Dense0/weight"."""
    settings: dict[str, Any] = {}
    tensors: dict[str, PendingTensor] = {}
    state = _dict(root.state)
    components = _dict(state.get("components"))
    parts = [("", root), *((f"{name}/", components.get(name)) for name in ("mapping", "synthesis"))]
    for prefix, part in parts:
        if not _is_network(part):
            continue
        found = _dict(part.state)
        settings.update(_dict(found.get("static_kwargs")))
        variables = found.get("variables")
        for pair in variables if isinstance(variables, tuple | list) else []:
            name, value = pair if isinstance(pair, tuple | list) and len(pair) == 2 else (None, None)
            tensor = array_tensor(value)
            if not isinstance(name, str) or (tensor is None and name not in NOT_WEIGHTS):
                raise ForeignCheckpoint(f"{source} holds variables that are no arrays; it is no StyleGAN2 checkpoint.")
            if tensor is not None and name not in NOT_WEIGHTS:
                tensors[prefix + name] = tensor
    return Network(settings, tensors)


def _dict(value: Any) -> dict:
    return value if isinstance(value, dict) else {}


def _refuse_others(network: Network, source: str) -> None:
    """The relatives of StyleGAN2 that were pickled in the same way, each by its name."""
    names = network.tensors.keys()
    if any("/StyleMod/" in name for name in names):
        raise UnsupportedArchitecture(f"{source} is a StyleGAN1 (of 2019), which has other layers; give a StyleGAN2.")
    if any("ToRGB_lod" in name for name in names):
        if "mapping/Dense0/weight" not in names:
            raise UnsupportedArchitecture(f"{source} is a Progressive GAN (of 2018); give a StyleGAN2 model.")
        raise UnsupportedArchitecture(
            f"{source} is a StyleGAN2 of the configurations A to D, which grew without skip connections; "
            "only skip generators (E and F) are supported."
        )
    if "mapping/LabelConcat/weight" in names:
        raise UnsupportedArchitecture(
            f"{source} takes classes in the way of the first StyleGAN2 code, which joins them to z before its "
            "normalisation; only the classes of StyleGAN2-ADA are supported."
        )
    if "synthesis/4x4/Const/const" not in names or "mapping/Dense0/weight" not in names:
        raise UnsupportedArchitecture(f"{source} is a TensorFlow network, but no StyleGAN2 generator.")
    kind = "resnet" if any("/Skip/" in name for name in names) else network.settings.get("architecture", "skip")
    if kind != "skip" or "synthesis/4x4/ToRGB/weight" not in names:
        kind = shown("orig" if kind == "skip" else kind)
        raise UnsupportedArchitecture(
            f"{source} is a StyleGAN2 of the {kind} kind; only skip generators are supported."
        )


def _settings(network: Network, source: str) -> dict[str, Any]:
    told, shapes = network.settings, {name: tensor.shape for name, tensor in network.tensors.items()}
    for name, wanted in (("nonlinearity", "lrelu"), ("mapping_nonlinearity", "lrelu"), ("normalize_latents", True)):
        if told.get(name, wanted) != wanted:
            raise UnsupportedArchitecture(f"{source} has {name} {shown(told[name])}, which is not supported.")
    depth = _count(lambda i: f"mapping/Dense{i}/weight" in shapes)
    blocks = 1 + _count(lambda i: f"synthesis/{_size(i + 1)}/Conv1/weight" in shapes)
    convs = ["4x4/Conv", *(f"{_size(i)}/Conv1" for i in range(1, blocks))]

    def shape(name: str, dimensions: int) -> tuple[int, ...]:
        found = shapes.get(name, ())
        if len(found) != dimensions:
            raise ForeignCheckpoint(f"{source} has no sound {name}; it is damaged: get it again.")
        return found

    first, last = (shape(f"mapping/Dense{i}/weight", 2) for i in (0, depth - 1))
    c_dim, embed_dim = (0, None)
    if "mapping/LabelEmbed/weight" in shapes:
        c_dim, embed_dim = shape("mapping/LabelEmbed/weight", 2)
    channels = tuple(shape(f"synthesis/{conv}/weight", 4)[3] for conv in convs)
    if shape("synthesis/4x4/Const/const", 4)[1] != channels[0]:
        raise UnsupportedArchitecture(f"{source} has a constant of another width (fmap_const), which is not supported.")
    return {
        "z_dim": first[0] - (embed_dim or 0),
        "w_dim": last[1],
        "c_dim": c_dim,
        "embed_dim": embed_dim,
        "mapping_layers": depth,
        "mapping_width": first[1] if depth > 1 else None,
        "mapping_lr_multiplier": number(source, "mapping_lrmul", told.get("mapping_lrmul", 0.01)),
        "resolution": 4 << (blocks - 1),
        "channels": channels,
        "image_channels": shape(f"synthesis/{_size(blocks - 1)}/ToRGB/weight", 4)[3],
        "conv_clamp": None if told.get("conv_clamp") is None else number(source, "conv_clamp", told["conv_clamp"]),
        "fir": _taps(told.get("resample_kernel", [1, 3, 3, 1]), source),
        "constant_noise": "synthesis/noise0" in shapes,
        "eps_per_tap": True,
    }


def _count(has: Callable[[int], bool]) -> int:
    n = 0
    while has(n):
        n += 1
    return n


def _size(block: int) -> str:
    return f"{4 << block}x{4 << block}"


def _taps(kernel: Any, source: str) -> tuple[float, ...]:
    """Four taps that read the same in both directions, so that turning the filter changes nothing."""
    taps = [number(source, "resample_kernel", v) for v in kernel] if isinstance(kernel, tuple | list) else []
    if len(taps) != 4 or taps != taps[::-1]:
        raise UnsupportedArchitecture(f"{source} has a resampling filter of another kind than [1, 3, 3, 1].")
    return tuple(taps)


def _rename(theirs: Mapping[str, PendingTensor], depth: int, blocks: int) -> dict[str, PendingTensor]:
    """Our names and layouts; what is left over keeps its name, to be refused with it."""
    rest, named = dict(theirs), {}

    def take(name: str, ours: str, change: Callable[[Tensor], Tensor] | None = None) -> None:
        """Missing tensors are left out: `assemble` names them."""
        if name in rest:
            tensor = rest.pop(name)
            named[ours] = tensor if change is None else tensor.changed(change)

    take("dlatent_avg", "mapping.w_avg")
    for ours, name in [("embed", "LabelEmbed"), *((f"fc{i}", f"Dense{i}") for i in range(depth))]:
        take(f"mapping/{name}/weight", f"mapping.{ours}.weight", _transposed)
        take(f"mapping/{name}/bias", f"mapping.{ours}.bias")
    take("synthesis/4x4/Const/const", "synthesis.b4.const", lambda const: const.reshape(const.shape[1:]))
    for i in range(blocks):
        layers = {"conv0": "Conv0_up", "conv1": "Conv1" if i else "Conv", "torgb": "ToRGB"}
        for ours, name in layers.items():
            _take_layer(take, f"synthesis/{_size(i)}/{name}", f"synthesis.b{4 << i}.{ours}", turned=ours == "conv0")
        for ours, index in (("conv0", 2 * i - 1), ("conv1", 2 * i)):
            take(
                f"synthesis/noise{index}",
                f"synthesis.b{4 << i}.{ours}.noise_const",
                lambda noise: noise.reshape(noise.shape[2:]),
            )
    return named | rest


def _take_layer(take: Callable, theirs: str, ours: str, *, turned: bool) -> None:
    """The tensors of one modulated layer. turned: an up-convolution, whose kernels are stored rotated."""
    take(f"{theirs}/weight", f"{ours}.weight", _turned_kernel if turned else _kernel)
    take(f"{theirs}/bias", f"{ours}.bias")
    take(f"{theirs}/noise_strength", f"{ours}.noise_strength")
    take(f"{theirs}/mod_weight", f"{ours}.affine.weight", _transposed)
    take(f"{theirs}/mod_bias", f"{ours}.affine.bias", lambda bias: bias + 1)


def _transposed(matrix: Tensor) -> Tensor:
    return matrix.T


def _kernel(kernel: Tensor) -> Tensor:
    return kernel.permute(3, 2, 0, 1)


def _turned_kernel(kernel: Tensor) -> Tensor:
    return kernel.flip(0, 1).permute(3, 2, 0, 1)
