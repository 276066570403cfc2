"""Files of the layout of NVlabs' TensorFlow StyleGAN2, written from one of our generators, by no code of theirs.

The layout, read from NVlabs/stylegan2 (version 4) and NVlabs/stylegan2-ada (version 5): a pickled tuple (G, D, Gs) of
`dnnlib.tflib.network.Network`, each with the state that `network` below makes.
"""

from __future__ import annotations

import pickle
import sys
import types
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

HOSTILE = "raise SystemExit('the source in a checkpoint was executed')"


class Network:
    """Pickles as theirs does: a new object of the class, then its state."""

    def __init__(self, **state: Any) -> None:
        self.state = state

    def __getstate__(self) -> dict:
        return self.state


Network.__module__ = "dnnlib.tflib.network"


def network(name: str, settings: dict, variables: dict, components: dict | None = None, version: int = 4) -> Network:
    about = {"version": version, "name": name, "static_kwargs": settings, "components": components or {}}
    return Network(**about, build_module_src=HOSTILE, build_func_name=f"{name}_main", variables=list(variables.items()))


def variables(generator) -> tuple[dict, dict, dict]:
    """The variables of (main, mapping, synthesis) that make the pictures of `generator`: float32 arrays by name."""
    own, c = {n: t.detach().numpy() for n, t in generator.state_dict().items()}, generator.config
    mapping, synthesis = {}, {}
    names = {"embed": "LabelEmbed"} if c.c_dim else {}
    for ours, theirs in {**names, **{f"fc{i}": f"Dense{i}" for i in range(c.mapping_layers)}}.items():
        mapping[f"{theirs}/weight"] = np.ascontiguousarray(own[f"mapping.{ours}.weight"].T)
        mapping[f"{theirs}/bias"] = own[f"mapping.{ours}.bias"]
    noises = 0
    synthesis["4x4/Const/const"] = own["synthesis.b4.const"][None]
    for layer in generator.layers():
        prefix, size = f"synthesis.{layer.name}", layer.resolution
        kind = {"conv0": "Conv0_up", "conv1": "Conv" if size == 4 else "Conv1", "torgb": "ToRGB"}
        scope = f"{size}x{size}/{kind[layer.name.split('.')[1]]}"
        kernel = own[f"{prefix}.weight"].transpose(2, 3, 1, 0)
        if scope.endswith("Conv0_up"):
            kernel = kernel[::-1, ::-1]  # a transposed convolution there turns its kernel once more
        synthesis[f"{scope}/weight"] = np.ascontiguousarray(kernel)
        synthesis[f"{scope}/mod_weight"] = np.asfortranarray(own[f"{prefix}.affine.weight"].T)
        synthesis[f"{scope}/mod_bias"] = own[f"{prefix}.affine.bias"] - 1
        synthesis[f"{scope}/bias"] = own[f"{prefix}.bias"]
        if layer.kind == "conv" and f"{prefix}.noise_const" in own:
            synthesis[f"noise{noises}"] = own[f"{prefix}.noise_const"][None, None]
            synthesis[f"{scope}/noise_strength"] = np.float32(own[f"{prefix}.noise_strength"])  # no array, as theirs
            noises += 1
    return {"lod": np.float32(0), "dlatent_avg": own["mapping.w_avg"]}, mapping, synthesis


def settings_of(config) -> dict:
    """What their training program told the networks. Most that the tensors' shapes say too."""
    told = {
        "num_channels": config.image_channels,
        "resolution": config.resolution,
        "label_size": config.c_dim,
        "latent_size": config.z_dim,
        "dlatent_size": config.w_dim,
        "mapping_layers": config.mapping_layers,
        "mapping_lrmul": config.mapping_lr_multiplier,
        "fmap_base": config.channels[-1] * config.resolution // 2,
        "fmap_max": max(config.channels),
        "resample_kernel": [1, 3, 3, 1],
        "truncation_psi": None,
    }
    told |= {"mapping_fmaps": config.mapping_width} if config.mapping_width else {}
    told |= {"label_fmaps": config.embed_dim} if config.embed_dim else {}
    told |= {"conv_clamp": config.conv_clamp} if config.conv_clamp is not None else {}
    return told | ({} if config.constant_noise else {"use_noise": False})


def networks(generator, *, settings: dict | None = None, change=None, version: int = 4) -> tuple:
    """(G, D, Gs). change(main, mapping, synthesis): edits Gs's variables; settings: over those of the generator."""
    told = {**settings_of(generator.config), **(settings or {})}
    main, mapping, synthesis = variables(generator)
    if change is not None:
        change(main, mapping, synthesis)
    parts = {
        "mapping": network("G_mapping", {**told, "dlatent_broadcast": generator.num_ws}, mapping, version=version),
        "synthesis": network("G_synthesis", told, synthesis, version=version),
    }
    average = network("Gs", told, main, parts, version=version)
    return network("G", told, {}, version=version), network("D", told, {}, version=version), average


def write(path: Path, content: Any, *, protocol: int = 4) -> Path:
    """Pickle `content`; the modules that its classes seem to come from exist only meanwhile."""
    names = ["dnnlib", "dnnlib.tflib", "dnnlib.tflib.network"]
    modules = {name: types.ModuleType(name) for name in names}
    modules["dnnlib.tflib.network"].Network = Network
    with mock.patch.dict(sys.modules, modules):
        path.write_bytes(pickle.dumps(content, protocol=protocol))
    return path
