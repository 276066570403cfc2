"""The add-on's tests run on the tree that build_addon.py lays out: what is tested is what ships.

That tree is importable as `loom_extension`. In a Blender the built zip is installed; which Blenders there are is said
by LOOM_BPY45 and LOOM_BPY50 (each a Python that has the `bpy` package), else by .env-bpy45 and .env-bpy50 in the
repository, which the Makefile makes.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import tempfile
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
FAKE_BACKEND = Path(__file__).with_name("fake_backend.py")
TREE = Path(tempfile.mkdtemp(prefix="loom-tree-"))


def load_builder() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_addon", ROOT / "build_addon.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["build_addon"] = module
    spec.loader.exec_module(module)
    return module


load_builder().assemble(TREE / "loom_extension")
sys.path.insert(0, str(TREE))


def pytest_unconfigure() -> None:
    shutil.rmtree(TREE, ignore_errors=True)


@pytest.fixture(scope="session")
def build_addon() -> ModuleType:
    return sys.modules["build_addon"]


@pytest.fixture(scope="session")
def addon_zip(build_addon, tmp_path_factory) -> Path:
    """The extension for this machine, wheels and all."""
    here = {"linux": "linux-x64", "win32": "windows-x64", "darwin": "macos-arm64"}[sys.platform]
    platform = next(one for one in build_addon.PLATFORMS if one.name == here)
    folder = tmp_path_factory.mktemp("zip")
    try:
        return build_addon.build(folder, [platform], build_addon.build_backend_wheel(folder), None)
    except build_addon.BuildError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"the zip cannot be built here: {error}")


def blender_python(version: str) -> Path | None:
    """The Python that has bpy of `version` ("45"), or None."""
    named = os.environ.get(f"LOOM_BPY{version}")
    python = Path(named) if named else ROOT / f".env-bpy{version}" / "bin" / "python"
    return python if python.is_file() else None


@pytest.fixture(scope="session", params=["45", "50"], ids=["blender4.5", "blender5.0"])
def bpy_python(request) -> Path:
    python = blender_python(request.param)
    if python is None:
        pytest.skip(
            f"there is no bpy {request.param[0]}.{request.param[1]} here: "
            f"run `make test`, or set LOOM_BPY{request.param} to a Python that has it"
        )
    return python
