"""Makes model files with an original implementation, and the pictures that it makes of them.

    python reference_models.py nvlabs|tensorflow|stylegan3|rosinality CHECKOUT OUT [NAME ...]

CHECKOUT is a copy of NVlabs/stylegan2-ada-pytorch (for `tensorflow` too, whose files its legacy.py converts),
NVlabs/stylegan3 or rosinality/stylegan2-pytorch; it is no part of this project, and is run as it is, on the CPU, with
random weights. A program of its own, since those repositories name modules `model`, `op` and `training`. For every case
(or only the named ones) OUT gets NAME.pkl or NAME.pt, and NAME.npz with z, labels, psi and images.
"""

from __future__ import annotations

import argparse
import copy
import pickle
import sys
import types
from pathlib import Path

import numpy as np
import torch

NAMES: list[str] = []  # of the command line
PSI = 0.7
CONFIGURATIONS = [  # name, resolution, fmaps, depth of the mapping network, classes
    ("cifar-32", 32, 1, 2, 10),
    ("auto-64", 64, 0.5, 2, 0),
    ("auto-128", 128, 0.5, 2, 0),
    ("paper256", 256, 0.5, 8, 0),
    ("stylegan2-256", 256, 1, 8, 0),
    ("auto-512", 512, 1, 2, 0),
    ("paper512", 512, 1, 8, 0),
    ("stylegan2-512-classes", 512, 1, 8, 3),
    ("paper1024", 1024, 1, 8, 0),
]


def wanted(name: str) -> bool:
    return not NAMES or name in NAMES


def randomise(module: torch.nn.Module) -> None:
    """Every bias, noise strength and average away from its initial value, so that a mistake in any shows."""
    with torch.no_grad():
        for name, p in module.named_parameters():
            if name.endswith(("noise_strength", "noise.weight")):
                p.fill_(0.1 + 0.05 * torch.rand([]).item())
            elif name.endswith("bias"):
                stored = 100 if name.startswith(("style.", "mapping.fc")) else 1  # divided by the rate's multiplier
                p.add_(0.2 * stored * torch.randn_like(p))


def nvlabs(out: Path) -> None:
    sys.modules.setdefault("requests", types.ModuleType("requests"))  # for downloads, of which there are none
    from training.networks import Generator  # the checkout's

    def case(name: str, resolution: int, *, z=64, w=64, c: int = 0, mapping: dict, synthesis: dict, batch: int = 2):
        if not wanted(name):
            return
        torch.manual_seed(resolution + c)
        G = Generator(
            z_dim=z, c_dim=c, w_dim=w, img_resolution=resolution, img_channels=3,
            mapping_kwargs=mapping, synthesis_kwargs=synthesis,
        ).eval().requires_grad_(False)  # fmt: skip
        randomise(G)
        G.mapping.w_avg.copy_(0.2 * torch.randn(w))
        latents, labels = torch.randn(batch, z), classes(batch, c)
        images = G(latents, labels, truncation_psi=PSI, noise_mode="const", force_fp32=True)
        with (out / f"{name}.pkl").open("wb") as file:
            pickle.dump({"G": None, "D": None, "G_ema": copy.deepcopy(G), "training_set_kwargs": None}, file)
        save(out / name, latents, labels, images)

    # their configurations as train.py sets them: channel_base = fmaps * 32768
    for name, resolution, fmaps, depth, c in CONFIGURATIONS:
        synthesis = {"channel_base": int(fmaps * 32768), "channel_max": 512, "num_fp16_res": 4, "conv_clamp": 256}
        case(name, resolution, z=512, w=512, c=c, mapping={"num_layers": depth}, synthesis=synthesis, batch=1)
    # and hyper-parameters away from those
    narrow = {"channel_base": 2048, "channel_max": 64}
    case("narrow-32", 32, mapping={"num_layers": 2}, synthesis=narrow)
    case("learning-rate-64", 64, mapping={"num_layers": 3, "lr_multiplier": 0.05}, synthesis=narrow)
    case("clamped-64", 64, mapping={"num_layers": 8}, synthesis={**narrow, "num_fp16_res": 4, "conv_clamp": 0.8})
    embedded = {"num_layers": 4, "embed_features": 24, "layer_features": 40}
    case("classes-32", 32, z=48, c=5, mapping=embedded, synthesis=narrow, batch=5)


def classes(batch: int, count: int) -> torch.Tensor | None:
    return torch.nn.functional.one_hot(torch.arange(batch) % count, count).float() if count else None


def tensorflow(out: Path) -> None:
    """Files of the layout of the TensorFlow era, by our own writer, and the pictures of NVlabs' conversion of them."""
    sys.modules.setdefault("requests", types.ModuleType("requests"))
    import legacy  # the checkout's
    import tensorflow_files
    from latent_loom.stylegan2.config import GeneratorConfig
    from latent_loom.stylegan2.networks import Generator

    def case(name: str, resolution: int, *, base: int, widest: int = 512, width: int = 512, version: int = 4, **more):
        if not wanted(name):
            return
        torch.manual_seed(resolution)
        channels = tuple(min(2 * base // (4 << i), widest) for i in range(resolution.bit_length() - 2))
        settings = {"z_dim": width, "w_dim": width, "constant_noise": True, **more}
        own = Generator(GeneratorConfig(resolution=resolution, channels=channels, **settings)).requires_grad_(False)
        randomise(own)
        own.mapping.w_avg.copy_(0.2 * torch.randn(width))
        path = tensorflow_files.write(out / f"{name}.pkl", tensorflow_files.networks(own, version=version))
        with path.open("rb") as file:
            G = legacy.convert_tf_generator(legacy._LegacyUnpickler(file).load()[2])
        latents, labels = torch.randn(1, own.config.z_dim), classes(1, own.config.c_dim)
        images = G(latents, labels, truncation_psi=PSI, noise_mode="const", force_fp32=True)
        save(out / name, latents, labels, images)

    case("narrow-32", 32, base=512, widest=64, width=48)
    case("ada-classes-64", 64, base=1024, widest=64, width=64, version=5, c_dim=4, embed_dim=24, mapping_width=40)
    case("ada-clamped-64", 64, base=1024, widest=64, width=64, version=5, conv_clamp=0.8, mapping_layers=2)
    case("config-e-256", 256, base=8192)
    case("config-f-512", 512, base=16384)
    case("config-f-1024", 1024, base=16384)


def stylegan3(out: Path) -> None:
    """A StyleGAN2 as the StyleGAN3 repository pickles it, and a StyleGAN3."""
    sys.modules.setdefault("requests", types.ModuleType("requests"))
    packages = types.ModuleType("pkg_resources")  # gone from newer setuptools; one function of it is wanted
    packages.parse_version = torch.torch_version.TorchVersion
    sys.modules.setdefault("pkg_resources", packages)
    from training import networks_stylegan2  # the checkout's

    def case(name: str, resolution: int, *, base: int, widest: int, width: int, c: int = 0, fp16: int = 4):
        if not wanted(name):
            return
        torch.manual_seed(3)
        G = networks_stylegan2.Generator(
            z_dim=width, c_dim=c, w_dim=width, img_resolution=resolution, img_channels=3,
            mapping_kwargs={"num_layers": 8}, channel_base=base, channel_max=widest, num_fp16_res=fp16,
            conv_clamp=256 if fp16 else None,
        ).eval()  # fmt: skip
        randomise(G)
        latents, labels = torch.randn(1, width), classes(1, c)
        images = G(latents, labels, truncation_psi=PSI, noise_mode="const", force_fp32=True)
        with (out / f"{name}.pkl").open("wb") as file:
            pickle.dump({"G": G, "D": None, "G_ema": G, "augment_pipe": None}, file)
        save(out / name, latents, labels, images)

    case("stylegan2-of-3-64", 64, base=4096, widest=64, width=64)
    case("stylegan2-of-3-32-classes", 32, base=4096, widest=64, width=64, c=10, fp16=0)
    case("stylegan2-of-3-256", 256, base=16384, widest=512, width=512)
    case("stylegan2-of-3-512", 512, base=32768, widest=512, width=512)
    scipy = types.ModuleType("scipy")  # for its filters; a file that is to be refused can have any
    scipy.signal, scipy.optimize = types.ModuleType("scipy.signal"), types.ModuleType("scipy.optimize")
    scipy.signal.firwin = lambda numtaps, **settings: np.ones(numtaps) / numtaps
    for module in (scipy, scipy.signal, scipy.optimize):
        sys.modules.setdefault(module.__name__, module)
    from training import networks_stylegan3

    other = networks_stylegan3.Generator(
        z_dim=32, c_dim=0, w_dim=32, img_resolution=32, img_channels=3, channel_base=512, channel_max=16
    )
    with (out / "refused.pkl").open("wb") as file:
        pickle.dump({"G": None, "D": None, "G_ema": other}, file)


def rosinality(out: Path) -> None:
    import torch.utils.cpp_extension

    torch.utils.cpp_extension.load = lambda *args, **kwargs: None  # its CUDA operators; on the CPU it has its own twins
    from model import Generator  # the checkout's

    def case(name: str, size: int, *, depth: int, multiplier: int, kind: str, zipped: bool = True, width: int = 64):
        if not wanted(name):
            return
        torch.manual_seed(size)
        G = Generator(size, width, depth, channel_multiplier=multiplier).eval().requires_grad_(False)
        randomise(G)
        average = G.style(torch.randn(1000, width)).mean(0)
        latents = torch.randn(1, width)
        images, _ = G([latents], truncation=PSI, truncation_latent=average, randomize_noise=False)
        state = G.state_dict()
        optimiser = {"state": {0: {"step": 3, "exp_avg": torch.zeros(4)}}, "param_groups": [{"lr": 0.002}]}
        files = {
            "converted": {"g_ema": state, "latent_avg": average},
            "training": {
                "g": state, "d": {"a": torch.zeros(2)}, "g_ema": state, "g_optim": optimiser, "d_optim": optimiser,
                "args": argparse.Namespace(size=size, latent=width), "ada_aug_p": 0.1,
            },
            "nada": {"g_ema": state, "g_optim": optimiser},
        }  # fmt: skip
        torch.save(files[kind], out / f"{name}.pt", _use_new_zipfile_serialization=zipped)
        if kind != "converted":  # the average is recomputed there: compare without truncation
            images, _ = G([latents], randomize_noise=False)
        save(out / name, latents, None, images, psi=PSI if kind == "converted" else 1.0)

    case("converted-64", 64, depth=8, multiplier=2, kind="converted")
    case("converted-legacy-32", 32, depth=4, multiplier=2, kind="converted", zipped=False)
    case("training-128", 128, depth=8, multiplier=1, kind="training")
    case("converted-256-multiplier-1", 256, depth=8, multiplier=1, kind="converted", width=512)
    case("converted-512", 512, depth=8, multiplier=2, kind="converted")
    case("nada-256", 256, depth=8, multiplier=2, kind="nada")
    case("converted-1024", 1024, depth=8, multiplier=2, kind="converted", width=512)


def save(path: Path, z: torch.Tensor, labels: torch.Tensor | None, images: torch.Tensor, psi: float = PSI) -> None:
    arrays = {"z": z.numpy(), "images": images.numpy(), "psi": np.float64(psi)}
    if labels is not None:
        arrays["labels"] = labels.numpy()
    np.savez(path.with_suffix(".npz"), **arrays)


if __name__ == "__main__":
    kind, checkout, folder, *NAMES = sys.argv[1:]
    sys.path.insert(0, checkout)
    torch.set_grad_enabled(False)
    make = {"nvlabs": nvlabs, "tensorflow": tensorflow, "stylegan3": stylegan3, "rosinality": rosinality}
    make[kind](Path(folder))
