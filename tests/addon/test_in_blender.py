"""The built zip, installed in real Blenders without a window: every scenario is a test of its own.

scenarios.py runs against a scripted backend that can be made to misbehave, scenarios_real.py against the real one.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ARTIST = (HERE / "scenarios_live.py", HERE / "scenarios_textures.py", HERE / "scenarios_house.py")
LIMIT_S = 600


def names(scenarios: Path) -> list[str]:
    """The public functions of a scenarios file, in order; it cannot be imported where there is no bpy."""
    tree = ast.parse(scenarios.read_text(encoding="utf-8"))
    return [node.name for node in tree.body if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")]


def run_inside(python: Path, scenarios: Path, archive: Path, folder: Path, **given: str) -> dict[str, str]:
    """What each scenario came to, by name."""
    result = folder / "result.json"
    (folder / "user").mkdir()
    (folder / "out").mkdir()
    words = [f"{name}={value}" for name, value in {"out": folder / "out", "python": sys.executable, **given}.items()]
    done = subprocess.run(
        [python, HERE / "inside_blender.py", scenarios, archive, result, *words],
        env=os.environ | {"BLENDER_USER_RESOURCES": str(folder / "user")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT_S,
    )
    results = json.loads(result.read_text()) if result.is_file() else {}
    if done.returncode:
        results["exit"] = f"exit code {done.returncode}\n{done.stdout[-4000:]}"
    return results


@pytest.fixture(scope="session")
def outcomes(bpy_python, addon_zip, tmp_path_factory) -> dict[str, str]:
    """One Blender runs them all: starting it takes longer than most of them."""
    command = f'"{sys.executable}" "{HERE / "fake_backend.py"}"'
    folder = tmp_path_factory.mktemp("blender")
    return run_inside(bpy_python, HERE / "scenarios.py", addon_zip, folder, command=command)


@pytest.fixture(scope="session")
def artist_outcomes(bpy_python, addon_zip, tmp_path_factory) -> dict[str, dict[str, str]]:
    """The outcomes of every further file of scenarios, with the scripted backend."""
    command = f'"{sys.executable}" "{HERE / "fake_backend.py"}"'
    found = {}
    for path in ARTIST:
        folder = tmp_path_factory.mktemp("blender")
        found[path.stem] = run_inside(bpy_python, path, addon_zip, folder, command=command, here=str(HERE))
    return found


@pytest.fixture(scope="session")
def real_outcomes(bpy_python, addon_zip, tmp_path_factory) -> dict[str, str]:
    """The same with the real backend, started by the add-on, on small generators with random weights."""
    folder = tmp_path_factory.mktemp("blender-real")
    add_tiny_generators(folder / "data")
    return run_inside(
        bpy_python,
        HERE / "scenarios_real.py",
        addon_zip,
        folder,
        command=sys.executable,
        data=str(folder / "data"),
    )


def add_tiny_generators(data: Path) -> None:
    import torch
    from latent_loom.backend.models.store import Store
    from latent_loom.stylegan2.config import GeneratorConfig
    from latent_loom.stylegan2.networks import Generator

    torch.manual_seed(0)
    shape = {"z_dim": 8, "w_dim": 8, "resolution": 16, "channels": (8, 8, 8), "mapping_layers": 2, "tile": "xy"}
    config = GeneratorConfig(**shape, input_map=1.0, const_size=1)
    Store(data).add_generator(Generator(config), "tiny")
    config = GeneratorConfig(**shape, input_map=1.0, const_size=1, kinds=3)
    names = json.dumps(["stone", "brick", "grass"])
    Store(data).add_generator(Generator(config), "kinds", metadata={"kinds": names})
    config = GeneratorConfig(**shape, input_map=1.0, const_size=1, c_dim=3)
    Store(data).add_generator(Generator(config), "classed")


@pytest.mark.parametrize("scenario", names(HERE / "scenarios.py"))
def test_in_blender(outcomes, scenario):
    assert outcomes.get(scenario, outcomes.get("exit", "it was not run")) == "passed"


@pytest.mark.parametrize("scenario", names(HERE / "scenarios_real.py"))
def test_in_blender_with_the_real_backend(real_outcomes, scenario):
    assert real_outcomes.get(scenario, real_outcomes.get("exit", "it was not run")) == "passed"


@pytest.mark.parametrize(("file", "scenario"), [(path.stem, name) for path in ARTIST for name in names(path)])
def test_in_blender_as_an_artist(artist_outcomes, file, scenario):
    found = artist_outcomes[file]
    assert found.get(scenario, found.get("exit", "it was not run")) == "passed"


def test_blender_ends_well_after_all_of_them(outcomes, artist_outcomes, real_outcomes):
    assert "exit" not in outcomes, outcomes["exit"]
    for found in artist_outcomes.values():
        assert "exit" not in found, found["exit"]
    assert "exit" not in real_outcomes, real_outcomes["exit"]
