"""Imported generators against the original implementations: the same latents and constant noise, the same pictures.

Needs checkouts of the originals, which are no part of this project:
    LOOM_REFERENCE_NVLABS=DIR LOOM_REFERENCE_STYLEGAN3=DIR LOOM_REFERENCE_ROSINALITY=DIR pytest FILE -s
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from latent_loom.backend.adaptation.style import Style, StyleInfo, blend
from latent_loom.stylegan2.checkpoints import export_rosinality, import_checkpoint
from latent_loom.stylegan2.errors import CannotExport, UnsupportedArchitecture

TOLERANCE = 1e-4  # of the picture's range: the arithmetic is the same, its order is not
PROGRAM = Path(__file__).with_name("reference_models.py")


def checkout_of(kind: str) -> str:
    checkout = os.environ.get(f"LOOM_REFERENCE_{kind.upper()}")
    if not checkout:
        pytest.skip(f"LOOM_REFERENCE_{kind.upper()} names no checkout of the original {kind} implementation")
    return checkout


def reference_files(kind: str, out: Path, *names: str) -> Path:
    checkout = checkout_of("nvlabs" if kind == "tensorflow" else kind)
    subprocess.run([sys.executable, PROGRAM, kind, checkout, out, *names], check=True, capture_output=True)
    return out


def relative_error(file: Path) -> float:
    expected = np.load(file.with_suffix(".npz"))
    generator = import_checkpoint(file)
    labels = torch.from_numpy(expected["labels"]) if "labels" in expected else None
    with torch.no_grad():
        ws = generator.map(torch.from_numpy(expected["z"]), psi=float(expected["psi"]), labels=labels)
        images = generator.synthesize(ws, generator.constant_inputs()).numpy()
    assert images.shape == expected["images"].shape
    return float(np.abs(images - expected["images"]).max() / np.abs(expected["images"]).max())


@pytest.mark.parametrize("kind", ["nvlabs", "tensorflow", "stylegan3", "rosinality"])
def test_pictures_of_imported_weights_are_those_of_the_original(kind, tmp_path):
    found = reference_files(kind, tmp_path).iterdir()
    files = sorted(p for p in found if p.suffix != ".npz" and p.with_suffix(".npz").exists())
    assert files
    errors = {}
    for file in files:
        errors[file.stem] = relative_error(file)
        print(f"{kind} {file.stem}: {errors[file.stem]:.1e}")
        file.unlink()  # some of these are hundreds of megabytes
    assert max(errors.values()) <= TOLERANCE, errors


def test_a_real_stylegan3_is_refused_by_name(tmp_path):
    files = reference_files("stylegan3", tmp_path, "refused")
    with pytest.raises(UnsupportedArchitecture, match="is a StyleGAN3"):
        import_checkpoint(files / "refused.pkl")


RUN_ROSINALITY = """
import sys, torch, numpy, torch.utils.cpp_extension as extensions
extensions.load = lambda *args, **settings: None
sys.path.insert(0, sys.argv[1])
from model import Generator
found = torch.load(sys.argv[2], weights_only=True)
G = Generator(*map(int, sys.argv[4:7]), channel_multiplier=int(sys.argv[7])).eval()
G.load_state_dict(found["g_ema"])
z = torch.from_numpy(numpy.load(sys.argv[3]))
with torch.no_grad():
    images = G([z], truncation=0.7, truncation_latent=found["latent_avg"], randomize_noise=False)[0]
numpy.save(sys.argv[3], images.numpy())
"""


def rosinality_pictures(exported: Path, z: torch.Tensor, *shape: int) -> np.ndarray:
    """What rosinality's Generator(size, width, depth, multiplier) makes of an exported file, loaded strictly."""
    checkout, arrays = checkout_of("rosinality"), exported.with_suffix(".npy")
    np.save(arrays, z.numpy())
    command = [sys.executable, "-c", RUN_ROSINALITY, checkout, exported, arrays, *map(str, shape)]
    subprocess.run(command, check=True, capture_output=True)
    return np.load(arrays)


@pytest.mark.parametrize("strength", [0.0, 0.6, 1.0, -0.5])
@pytest.mark.parametrize(("name", "size", "multiplier"), [("converted-64", 64, 2), ("training-128", 128, 1)])
def test_an_exported_generator_with_a_style_gives_the_same_picture_in_rosinality(
    tmp_path, name, size, multiplier, strength
):
    source = import_checkpoint(reference_files("rosinality", tmp_path, name) / f"{name}.pt")
    generator = blend(source, [(random_style(source), strength)])
    export_rosinality(generator, tmp_path / "exported.pt")
    z = torch.randn(1, 64, generator=torch.Generator().manual_seed(5))
    theirs = rosinality_pictures(tmp_path / "exported.pt", z, size, 64, 8, multiplier)
    with torch.no_grad():
        ours = generator.synthesize(generator.map(z, psi=0.7), generator.constant_inputs()).numpy()
        plain = source.synthesize(source.map(z, psi=0.7), source.constant_inputs()).numpy()
    assert np.abs(ours - theirs).max() <= TOLERANCE * np.abs(ours).max()
    assert (np.abs(ours - plain).max() > 0.05 * np.abs(plain).max()) == (strength != 0)


def random_style(generator) -> Style:
    """Offsets on every style bias, and a low-rank change of one convolution."""
    draw = torch.Generator().manual_seed(1)
    state = generator.state_dict()
    biases = [name for name in state if name.endswith("affine.bias")]
    tensors = {name: 0.3 * torch.randn(state[name].shape, generator=draw) for name in biases}
    out, inner, k, _ = state["synthesis.b16.conv1.weight"].shape
    tensors["synthesis.b16.conv1.weight.lora_up"] = 0.1 * torch.randn(out, 2, generator=draw)
    tensors["synthesis.b16.conv1.weight.lora_down"] = torch.randn(2, inner, k, k, generator=draw)
    info = StyleInfo(
        name="random", generator="x", generator_hash="", source="a", target="b",
        method="lowrank", iterations=1, seed=1, clips=("builtin",),
    )  # fmt: skip
    return Style(info=info, tensors=tensors)


def test_a_generator_of_other_widths_is_refused_for_rosinality(tmp_path):
    files = reference_files("nvlabs", tmp_path, "narrow-32")
    with pytest.raises(CannotExport, match="export it as safetensors"):
        export_rosinality(import_checkpoint(files / "narrow-32.pkl"), tmp_path / "out.pt")
