"""The house's own rules: which package may import which, and that pyproject names what is there.

Reads the sources with `ast`; nothing but the last test imports anything.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("addon", "protocol", "backend", "stylegan2")
ARROWS = {"addon": {"protocol"}, "backend": {"protocol", "stylegan2"}, "protocol": set(), "stylegan2": set()}
FOREIGN = {  # third-party modules that a package may not know
    "addon": {"torch", "zmq", "open_clip", "safetensors", "PIL"},
    "protocol": {"torch", "bpy", "open_clip", "safetensors", "PIL"},
    "stylegan2": {"bpy", "zmq", "open_clip"},
    "backend": {"bpy"},
}


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imports(path: Path) -> list[tuple[int, str]]:
    """Line and absolute dotted name (`latent_loom.protocol.frames`) of everything that the file imports."""
    own = ("latent_loom", *path.relative_to(ROOT).with_suffix("").parts)
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(node.lineno, name.name) for name in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.append((node.lineno, node.module or ""))
        elif isinstance(node, ast.ImportFrom):
            base = own[: len(own) - node.level]
            if node.module:
                found.append((node.lineno, ".".join((*base, node.module))))
            else:
                found += [(node.lineno, ".".join((*base, name.name))) for name in node.names]
    return found


def absolute_own_imports(path: Path) -> list[tuple[int, str]]:
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module or ""]
        else:
            continue
        found += [(node.lineno, name) for name in names if name.split(".")[0] in {"latent_loom", *PACKAGES}]
    return found


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_between_packages_follow_the_arrows(package):
    allowed = {package} | ARROWS[package]
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in sources(package)
        for line, name in imports(path)
        if name.startswith("latent_loom.") and name.split(".")[1] not in allowed
    ]
    assert wrong == []


@pytest.mark.parametrize("package", PACKAGES)
def test_modules_of_one_house_reach_each_other_by_relative_imports_only(package):
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in sources(package)
        for line, name in absolute_own_imports(path)
    ]
    assert wrong == []


@pytest.mark.parametrize("package", PACKAGES)
def test_no_package_knows_a_library_that_is_not_its_business(package):
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in sources(package)
        for line, name in imports(path)
        if name.split(".")[0] in FOREIGN[package]
    ]
    assert wrong == []


def test_only_two_files_of_the_protocol_know_sockets():
    users = {
        path.relative_to(ROOT).as_posix()
        for path in sources("protocol")
        for _, name in imports(path)
        if name.split(".")[0] == "zmq"
    }
    assert users <= {"protocol/client.py", "protocol/transport.py"}


WALL_CLOCKS = {"time", "time_ns", "localtime", "gmtime", "now", "utcnow", "today"}
AGES_OF_FILES = {"addon/folders.py", "backend/models/integrity.py"}
"""These compare the clock with a file's own time, and take a mistake easily."""


@pytest.mark.parametrize("package", PACKAGES)
def test_nothing_waits_by_a_clock_that_somebody_can_set(package):
    """Time limits and durations are `time.monotonic`'s: the system's clock is changed, and leaps after a sleep."""
    users = {
        path.relative_to(ROOT).as_posix()
        for path in sources(package)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
        and node.attr in WALL_CLOCKS
        and isinstance(node.value, ast.Name)
        and node.value.id in {"time", "datetime", "date"}
    }
    assert users <= AGES_OF_FILES


def test_pyproject_lists_every_package_that_exists_and_no_other():
    setup = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    existing = {
        ".".join(("latent_loom", *init.parent.relative_to(ROOT).parts))
        for package in setup["package-dir"].values()
        for init in (ROOT / package).rglob("__init__.py")
    }
    assert set(setup["packages"]) == existing


def test_every_folder_with_modules_is_a_package():
    bare = {
        path.parent.relative_to(ROOT).as_posix()
        for package in ("protocol", "backend", "stylegan2")
        for path in sources(package)
        if not (path.parent / "__init__.py").exists()
    }
    assert bare == set()


@pytest.mark.parametrize("document", sorted({*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")}), ids=lambda p: p.name)
def test_every_link_in_a_document_leads_to_a_file_that_is_there(document):
    links = re.findall(r"\]\(([^)#]+)", document.read_text(encoding="utf-8"))
    assert [link for link in links if "://" not in link and not (document.parent / link).exists()] == []


def test_the_addon_is_gpl_and_says_so_in_every_file():
    silent = [
        path.relative_to(ROOT).as_posix()
        for path in sources("addon")
        if "SPDX-License-Identifier: GPL-3.0-or-later" not in path.read_text(encoding="utf-8")[:300]
    ]
    assert silent == []


def test_importing_the_protocol_and_the_bpy_free_half_of_the_addon_leaves_torch_unimported(tmp_path):
    """In the shape of the extension zip: one package that holds `addon/` and `protocol/`."""
    package = tmp_path / "extension"
    package.mkdir()
    (package / "__init__.py").write_text("")
    for name in ("addon", "protocol"):
        (package / name).symlink_to(ROOT / name, target_is_directory=True)
    names = [
        ".".join(("extension", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")
        for path in (*sources("protocol"), *bpy_free_addon_modules())
    ]
    program = (
        "import importlib, sys\n"
        f"sys.path.insert(0, {str(tmp_path)!r})\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
        "heavy = sorted({'torch', 'open_clip', 'PIL'} & set(sys.modules))\n"
        "sys.exit(f'imported: {heavy}' if heavy else 0)"
    )
    outcome = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert outcome.returncode == 0, outcome.stderr


def bpy_free_addon_modules() -> list[Path]:
    """Modules of the add-on that need no bpy, neither themselves nor through another module of the add-on."""
    reached = {path: {name for _, name in imports(path)} for path in sources("addon")}
    needs_bpy = {path for path, names in reached.items() if names & {"bpy", "bpy_extras", "mathutils", "gpu", "bmesh"}}
    dotted = {".".join(("latent_loom", *path.relative_to(ROOT).with_suffix("").parts)): path for path in reached}
    grown = True
    while grown:
        more = {
            path
            for path in reached.keys() - needs_bpy
            if any(dotted[name] in needs_bpy for name in _modules_named(path, dotted))
        }
        grown = bool(more)
        needs_bpy |= more
    return sorted(path for path in reached.keys() - needs_bpy if "headless" not in path.parts)


def _modules_named(path: Path, dotted: dict[str, Path]) -> set[str]:
    """The add-on modules that `path` imports, `from .x import y` (y a module) and package `__init__`s included."""
    own = ("latent_loom", *path.relative_to(ROOT).with_suffix("").parts)
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = ".".join((*own[: len(own) - node.level], *((node.module or "").split(".") if node.module else ())))
            found |= {base, f"{base}.__init__", *(f"{base}.{name.name}" for name in node.names)}
    for depth in range(2, len(own)):  # importing a module runs the packages above it
        found.add(".".join((*own[:depth], "__init__")))
    return found & dotted.keys()
