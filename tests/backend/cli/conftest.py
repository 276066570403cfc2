from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from latent_loom.backend.cli import main


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Exit code, what stdout ended with under --json, and standard error."""

    code: int
    value: Any
    complaint: str


@pytest.fixture(scope="session")
def data(tmp_path_factory) -> Path:
    """A data folder with a tiny, untrained generator called `tiny`."""
    import torch
    from latent_loom.backend.models.store import Store
    from latent_loom.stylegan2.config import GeneratorConfig
    from latent_loom.stylegan2.networks import Generator

    folder = tmp_path_factory.mktemp("data")
    torch.manual_seed(0)
    config = GeneratorConfig(
        z_dim=8, w_dim=8, resolution=16, channels=(8, 8, 8), mapping_layers=2, tile="xy", input_map=1.0, const_size=1
    )
    Store(folder).add_generator(Generator(config), "tiny")
    return folder


@pytest.fixture
def loom(data, capsys) -> Callable[..., Outcome]:
    """Runs a command line in this process, with --json and the data folder of `data`."""

    def run(*line: str | Path) -> Outcome:
        code = main.main([*map(str, line), "--json", "--data", str(data)])
        out, err = capsys.readouterr()
        return Outcome(code=code, value=json.loads(out.splitlines()[-1]) if out else None, complaint=err)

    return run
