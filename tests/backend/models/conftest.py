from __future__ import annotations

from pathlib import Path

import pytest
import torch
from latent_loom.backend.adaptation.adapt import Snapshot
from latent_loom.backend.adaptation.measures import Measures
from latent_loom.backend.adaptation.style import DOWN, UP, Style, StyleInfo
from latent_loom.backend.models.store import Store
from latent_loom.stylegan2.checkpoints import generator_hash, save_generator
from latent_loom.stylegan2.networks import Generator

from ..textures.conftest import make_generator

BIAS, WEIGHT = "synthesis.b16.conv1.bias", "synthesis.b8.conv0.weight"


def make_tensors(seed: int) -> dict[str, torch.Tensor]:
    """A change of one bias and a low-rank one of one convolution of `make_generator`."""
    rng = torch.Generator().manual_seed(seed)
    return {
        BIAS: torch.randn(8, generator=rng),
        WEIGHT + UP: torch.randn(8, 2, generator=rng),
        WEIGHT + DOWN: torch.randn(2, 8, 3, 3, generator=rng),
    }


def make_snapshots(*iterations: int) -> list[Snapshot]:
    return [
        Snapshot(
            iterations=n,
            tensors=make_tensors(n),
            measures=Measures(quality=n / 1000, direction=n / 100, retention=1 - n / 1000, pinned=0.3, structure=0.9),
        )
        for n in iterations
    ]


def style_of(snapshot: Snapshot, name: str = "mossy", *, generator: Generator | None = None, seed: int = 0) -> Style:
    info = StyleInfo(
        name=name, generator="builtin", generator_hash=generator_hash(generator) if generator else "0" * 64,
        source="stone", target="mossy stone", method="lowrank", iterations=snapshot.iterations, seed=seed,
        clips=("builtin",), measures=snapshot.measures.as_dict(), settings={"judge": "judge", "diversity_floor": 0.7},
    )  # fmt: skip
    return Style(info=info, tensors=snapshot.tensors)


@pytest.fixture(scope="session")
def builtin_file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("builtin") / "generator.safetensors"
    save_generator(make_generator(), path)
    return path


@pytest.fixture
def store(tmp_path, builtin_file) -> Store:
    """A store whose style `mossy` is the second of three snapshots, made on its built-in generator."""
    store = Store(tmp_path / "data", builtin=builtin_file)
    snapshots = make_snapshots(25, 50, 60)
    store.add_style(style_of(snapshots[1], generator=store.generator()), snapshots)
    return store
