"""NVlabs' StyleGAN2-ADA checkpoints for PyTorch (`.pkl`), also the StyleGAN2 ones of their StyleGAN3 code.

The file is a pickle of a dictionary {G, D, G_ema, ...} of modules. Each is written as a call of
`torch_utils.persistence._reconstruct_persistent_obj` with the module's state and the *source code* of its class, which
their reader executes. Ours keeps the state and ignores the source: what the code would compute is fixed by the
architecture, and what it leaves open is read from the tensors' shapes and the modules' attributes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch

from ..errors import ForeignCheckpoint, UnsupportedArchitecture
from ..networks import Generator
from .assemble import PendingTensor, assemble_foreign, make_config, number, shown
from .pickle_machine import Builder

MODULE_LIMIT = 10_000  # a generator has about 80 modules, in 4 levels; those that hold each other have no end
MODULE_DEPTH = 8


@dataclass(eq=False)
class PersistentModule:
    """A pickled module: the name of its class, and its `__dict__`."""

    kind: str
    state: dict

    def child(self, name: str) -> PersistentModule | None:
        found = _dict(self.state.get("_modules")).get(name)
        return found if isinstance(found, PersistentModule) else None

    def tensors(self) -> dict[str, PendingTensor]:
        """All parameters and buffers below this module, by their dotted names. Raises ForeignCheckpoint."""
        found = {}
        waiting, seen = [("", self)], 0
        while waiting:
            prefix, module = waiting.pop()
            seen += 1
            if seen > MODULE_LIMIT or prefix.count(".") > MODULE_DEPTH:
                raise ForeignCheckpoint("The file's modules are nested without end; it is no StyleGAN2 checkpoint.")
            for kind in ("_parameters", "_buffers"):
                for name, tensor in _dict(module.state.get(kind)).items():
                    if isinstance(tensor, PendingTensor):
                        found[f"{prefix}{name}"] = tensor
            for name in _dict(module.state.get("_modules")):
                child = module.child(name)
                if child is not None:
                    waiting.append((f"{prefix}{name}.", child))
        return found


def _dict(value: Any) -> dict:
    return value if isinstance(value, dict) else {}


def _rebuild_module(meta: Any) -> PersistentModule:
    meta = _dict(meta)
    if meta.get("type") != "class" or not isinstance(meta.get("class_name"), str):
        raise ForeignCheckpoint("The file holds an object of an unknown kind; import a .pkl of StyleGAN2-ADA.")
    return PersistentModule(meta["class_name"], _dict(meta.get("state")))


MODULES: dict[str, Builder | None] = {
    "torch_utils.persistence._reconstruct_persistent_obj": _rebuild_module,
    "torch.nn.modules.sparse.Embedding": None,  # of StyleGAN-XL, which is then refused by its name
}


def build_nvlabs(value: Any, source: str) -> Generator:
    """The generator `G_ema` (or `G`) of such a pickle.

    Raises  UnsupportedArchitecture, CorruptTensors, ForeignCheckpoint
    """
    root = value if isinstance(value, PersistentModule) else _dict(value).get("G_ema", _dict(value).get("G"))
    if not isinstance(root, PersistentModule):
        raise ForeignCheckpoint(f"{source} holds no generator (G_ema); import a .pkl of StyleGAN2-ADA-PyTorch.")
    mapping, synthesis = root.child("mapping"), root.child("synthesis")
    if mapping is None or synthesis is None:
        raise UnsupportedArchitecture(f"{source} holds a {root.kind[:40]!r} without mapping and synthesis networks.")
    blocks = _blocks(root, synthesis, source)
    tensors = root.tensors()
    settings = {
        **_mapping_settings(mapping, tensors, source),
        **_synthesis_settings(blocks, tensors, source),
    }
    config = make_config(source, **settings)
    for block in blocks:
        for name in ("conv0", "conv1"):
            _silence_missing_noise(block, name, tensors, config.resolution)
    wanted = {n: t for n, t in tensors.items() if not n.endswith("resample_filter")}
    return assemble_foreign(config, wanted, source=source)


def _name_of_alias_free(root: PersistentModule) -> str:
    """StyleGAN-XL is a StyleGAN3 whose mapping projects class embeddings, grown by heads of layers."""
    mapping = root.child("mapping")
    marks = {*mapping.state, *_dict(mapping.state.get("_modules"))} if mapping is not None else set()
    return "StyleGAN-XL" if "embed_proj" in marks or "head_layer_names" in root.state else "StyleGAN3"


def _blocks(root: PersistentModule, synthesis: PersistentModule, source: str) -> list[PersistentModule]:
    """b4, b8, ... in order, each a skip block."""
    names = list(_dict(synthesis.state.get("_modules")))
    if any(isinstance(name, str) and name.startswith("L0_") for name in names):
        raise UnsupportedArchitecture(
            f"{source} is a {_name_of_alias_free(root)} model, which has other layers; give a StyleGAN2 model."
        )
    blocks: list[PersistentModule] = []
    while (block := synthesis.child(f"b{4 << len(blocks)}")) is not None:
        blocks.append(block)
    if not blocks or len(blocks) != len(names):
        raise UnsupportedArchitecture(f"{source} has a synthesis network of unknown blocks; give a StyleGAN2 model.")
    for i, block in enumerate(blocks):
        if block.state.get("architecture", "skip") != "skip" or block.child("torgb") is None:
            raise UnsupportedArchitecture(
                f"{source} is a StyleGAN2 of the {shown(block.state.get('architecture'))} kind; "
                "only skip generators are supported."
            )
        for name in ("conv1",) if i == 0 else ("conv0", "conv1"):
            conv = block.child(name)
            if conv is None or conv.state.get("activation", "lrelu") != "lrelu":
                raise UnsupportedArchitecture(f"{source} uses another activation than leaky ReLU in {name}.")
    return blocks


def _mapping_settings(mapping: PersistentModule, tensors: dict[str, PendingTensor], source: str) -> dict[str, Any]:
    depth = 0
    while f"mapping.fc{depth}.weight" in tensors:
        depth += 1
    if depth == 0:
        raise UnsupportedArchitecture(f"{source} has no mapping network; give a StyleGAN2 model.")
    first, last = (_matrix(tensors, f"mapping.fc{i}.weight", source) for i in (0, depth - 1))
    multipliers = {
        _lr_multiplier(mapping.child(f"fc{i}"), _matrix(tensors, f"mapping.fc{i}.weight", source)[1], source)
        for i in range(depth)
    }
    if len(multipliers) != 1:
        raise UnsupportedArchitecture(f"{source} has different learning rates within its mapping network.")
    embed = tensors.get("mapping.embed.weight")
    c_dim, embed_dim = (0, None)
    if embed is not None:
        embed_dim, c_dim = _matrix(tensors, "mapping.embed.weight", source)
    return {
        "z_dim": first[1] - (embed_dim or 0),
        "w_dim": last[0],
        "c_dim": c_dim,
        "embed_dim": embed_dim,
        "mapping_layers": depth,
        "mapping_width": first[0] if depth > 1 else None,
        "mapping_lr_multiplier": multipliers.pop(),
    }


def _lr_multiplier(layer: PersistentModule | None, fan_in: int, source: str) -> float:
    """The learning-rate multiplier of a mapping layer, which its two gains must agree on."""
    state = layer.state if layer else {}
    if state.get("activation", "lrelu") != "lrelu":
        raise UnsupportedArchitecture(f"{source} uses another activation than leaky ReLU in its mapping network.")
    bias_gain, weight_gain = (number(source, name, state.get(name)) for name in ("bias_gain", "weight_gain"))
    if fan_in > 0 and math.isclose(weight_gain, bias_gain / math.sqrt(fan_in), rel_tol=1e-5):
        return bias_gain
    raise UnsupportedArchitecture(f"{source} scales its mapping network in an unknown way; it is no StyleGAN2.")


def _matrix(tensors: dict[str, PendingTensor], name: str, source: str) -> tuple[int, int]:
    shape = tensors[name].shape
    if len(shape) != 2:
        raise ForeignCheckpoint(f"{source} has a {name} that is no matrix; it is damaged: get it again.")
    return shape[0], shape[1]


def _synthesis_settings(
    blocks: list[PersistentModule], tensors: dict[str, PendingTensor], source: str
) -> dict[str, Any]:
    sizes = [4 << i for i in range(len(blocks))]
    names = [f"synthesis.b{r}.conv1.weight" for r in sizes] + [f"synthesis.b{sizes[-1]}.torgb.weight"]
    if any(name not in tensors or len(tensors[name].shape) != 4 for name in names):
        raise ForeignCheckpoint(f"{source} lacks convolutions of its synthesis network; it is damaged: get it again.")
    clamps = {
        _clamp(child, source)
        for block in blocks
        for name in ("conv0", "conv1", "torgb")
        if (child := block.child(name)) is not None
    }
    if len(clamps) != 1:
        raise UnsupportedArchitecture(f"{source} clamps its layers differently, which is not supported.")
    return {
        "resolution": sizes[-1],
        "channels": tuple(tensors[name].shape[0] for name in names[:-1]),
        "image_channels": tensors[names[-1]].shape[0],
        "conv_clamp": clamps.pop(),
        "fir": filter_taps([t for n, t in tensors.items() if n.endswith("resample_filter")], source),
        "constant_noise": f"synthesis.b{sizes[-1]}.conv1.noise_const" in tensors,
    }


def _clamp(layer: PersistentModule, source: str) -> float | None:
    clamp = layer.state.get("conv_clamp")
    return None if clamp is None else number(source, "conv_clamp", clamp)


def filter_taps(filters: list[PendingTensor], source: str) -> tuple[float, ...]:
    """The four taps whose outer product all `filters` are, up to their gain; the usual ones if there are none.

    Raises  UnsupportedArchitecture
    """
    taps: tuple[float, ...] | None = None
    for pending in filters:
        if pending.shape != (4, 4):
            raise UnsupportedArchitecture(f"{source} has a resampling filter of another size than 4x4.")
        kernel = pending.load().double()
        kernel = kernel / kernel.sum()
        line = kernel.sum(0)
        if not bool((kernel - line[:, None] * line).abs().max() < 1e-5):
            raise UnsupportedArchitecture(f"{source} has a resampling filter that is not separable.")
        found = tuple(round(v, 6) for v in (line * 8).tolist())
        if taps not in (None, found):
            raise UnsupportedArchitecture(f"{source} uses different resampling filters in its layers.")
        taps = found
    return taps or (1.0, 3.0, 3.0, 1.0)


def _silence_missing_noise(
    block: PersistentModule, name: str, tensors: dict[str, PendingTensor], resolution: int
) -> None:
    """A layer built with use_noise=False has neither strength nor noise: the same as strength 0."""
    conv = block.child(name)
    if conv is None or conv.state.get("use_noise", True):
        return
    prefix = f"synthesis.b{block.state.get('resolution')}.{name}."
    tensors.setdefault(prefix + "noise_strength", PendingTensor.of(torch.zeros([])))
