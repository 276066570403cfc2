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
from latent_loom.stylegan2.checkpoints import export_rosinality, import_checkpoint
from latent_loom.stylegan2.errors import CannotExport, UnsupportedArchitecture

TOLERANCE = 1e-4  # of the picture's range: the arithmetic is the same, its order is not
PROGRAM = Path(__file__).with_name("reference_models.py")


def reference_files(kind: str, out: Path) -> Path:
    checkout = os.environ.get(f"LOOM_REFERENCE_{kind.upper()}")
    if not checkout:
        pytest.skip(f"LOOM_REFERENCE_{kind.upper()} names no checkout of the original {kind} implementation")
    subprocess.run([sys.executable, PROGRAM, kind, checkout, out], check=True, capture_output=True)
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


@pytest.mark.parametrize("kind", ["nvlabs", "stylegan3", "rosinality"])
def test_pictures_of_imported_weights_are_those_of_the_original(kind, tmp_path):
    found = reference_files(kind, tmp_path).iterdir()
    files = sorted(p for p in found if p.suffix != ".npz" and p.with_suffix(".npz").exists())
    assert files
    errors = {file.stem: relative_error(file) for file in files}
    print({name: f"{error:.1e}" for name, error in errors.items()})
    assert max(errors.values()) <= TOLERANCE, errors


def test_a_real_stylegan3_is_refused_by_name(tmp_path):
    files = reference_files("stylegan3", tmp_path)
    with pytest.raises(UnsupportedArchitecture, match="is a StyleGAN3"):
        import_checkpoint(files / "refused.pkl")


def test_an_exported_generator_loads_strictly_in_rosinality_and_gives_the_same_picture(tmp_path):
    checkout = os.environ.get("LOOM_REFERENCE_ROSINALITY")
    files = reference_files("rosinality", tmp_path)
    exported = tmp_path / "exported.pt"
    generator = import_checkpoint(files / "converted-64.pt")
    export_rosinality(generator, exported)
    expected = np.load(files / "converted-64.npz")
    program = (
        "import sys, torch, numpy, torch.utils.cpp_extension as e; e.load = lambda *a, **k: None\n"
        "sys.path.insert(0, sys.argv[1]); from model import Generator\n"
        "f = torch.load(sys.argv[2], weights_only=True)\n"
        "G = Generator(64, 64, 8).eval(); G.load_state_dict(f['g_ema'])\n"
        "n = numpy.load(sys.argv[3]); z = torch.from_numpy(n['z'])\n"
        "with torch.no_grad():\n"
        "    i = G([z], truncation=float(n['psi']), truncation_latent=f['latent_avg'], randomize_noise=False)[0]\n"
        "assert abs(i.numpy() - n['images']).max() <= 1e-4 * abs(n['images']).max()\n"
    )
    subprocess.run(
        [sys.executable, "-c", program, checkout, exported, files / "converted-64.npz"], check=True, capture_output=True
    )
    assert "images" in expected


def test_a_generator_of_other_widths_is_refused_for_rosinality(tmp_path):
    files = reference_files("nvlabs", tmp_path)
    with pytest.raises(CannotExport, match="export it as safetensors"):
        export_rosinality(import_checkpoint(files / "auto-32.pkl"), tmp_path / "out.pt")
