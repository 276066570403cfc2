"""Small, untrained generators and a store in a temporary folder: enough for everything but the look of a picture."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from latent_loom.backend.adaptation.style import Style, StyleInfo
from latent_loom.backend.models.store import Store
from latent_loom.stylegan2.checkpoints import save_generator
from latent_loom.stylegan2.config import GeneratorConfig
from latent_loom.stylegan2.networks import Generator


def make_generator(**changes) -> Generator:
    """R = 32 px, so a cell of the grid is 8 px. Circular and with an input map unless `changes` say otherwise."""
    torch.manual_seed(1)
    settings = {
        "z_dim": 8, "w_dim": 8, "resolution": 32, "channels": (8, 8, 8, 6), "mapping_layers": 2,
        "mapping_lr_multiplier": 1.0, "tile": "xy", "input_map": 1.0, "const_size": 1,
    }  # fmt: skip
    generator = Generator(GeneratorConfig(**(settings | changes)))
    with torch.no_grad():
        for name, parameter in generator.named_parameters():
            if name.endswith("noise_strength"):
                parameter.fill_(0.05)
    return generator.eval()


def make_style(name: str, *, parameter: str = "synthesis.b16.conv1.bias", size: float = 1.0) -> Style:
    shape = dict(make_generator().named_parameters())[parameter].shape
    delta = size * torch.randn(shape, generator=torch.Generator().manual_seed(len(name)))
    info = StyleInfo(
        name=name, generator="builtin", generator_hash="0" * 64, source="stone", target=f"{name} stone",
        method="style", iterations=1, seed=0, clips=("builtin",),
    )  # fmt: skip
    return Style(info=info, tensors={parameter: delta})


@pytest.fixture(scope="session")
def generator() -> Generator:
    return make_generator()


@pytest.fixture(scope="session")
def builtin_file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("builtin") / "generator.safetensors"
    save_generator(make_generator(), path)
    return path


@pytest.fixture
def store(tmp_path, builtin_file) -> Store:
    store = Store(tmp_path / "data", builtin=builtin_file)
    store.add_style(make_style("mossy"))
    store.add_style(make_style("snowy", parameter="synthesis.b32.torgb.bias"))
    return store
