"""The zip's builder: the manifest, what lies in the zip, and what Blender's own tool says of it."""

from __future__ import annotations

import tomllib
import zipfile
from pathlib import Path

import pytest


def test_the_manifest_keeps_the_rules_of_the_extension_platform(build_addon):
    manifest = tomllib.loads(build_addon.manifest(None, ["a-1-py3-none-any.whl"]))
    assert (manifest["id"], manifest["type"], manifest["blender_version_min"]) == ("latent_loom", "add-on", "4.5.0")
    assert manifest["version"] == build_addon.version()
    assert len(manifest["tagline"]) <= 64 and manifest["tagline"][-1].isalnum()
    assert set(manifest["permissions"]) == {"files", "network"}
    assert all(len(reason) <= 64 and reason[-1].isalnum() for reason in manifest["permissions"].values())
    assert "blender" not in manifest["name"].lower() and "platforms" not in manifest
    assert all(manifest.values()), "no empty values"


def test_a_manifest_for_one_platform_names_it(build_addon):
    manifest = tomllib.loads(build_addon.manifest([build_addon.PLATFORMS[1]], []))
    assert manifest["platforms"] == ["windows-x64"]


def test_the_tree_holds_the_sources_and_nothing_of_ours_beside_them(build_addon, tmp_path):
    tree = build_addon.assemble(tmp_path / "tree")
    assert sorted(path.name for path in tree.iterdir()) == ["__init__.py", "addon", "blender_manifest.toml", "protocol"]
    assert not [path for path in tree.rglob("*") if path.name in ("__pycache__", "ruff.toml")]
    assert (tree / "addon" / "LICENSE").read_text().lstrip().startswith("GNU GENERAL PUBLIC LICENSE")


def test_every_file_of_the_add_on_says_its_licence(build_addon):
    silent = [
        path.name
        for path in (build_addon.HERE / "addon").rglob("*.py")
        if not path.read_text(encoding="utf-8").startswith("# SPDX-License-Identifier: GPL-3.0-or-later\n")
    ]
    assert silent == []


def test_the_same_tree_gives_the_same_bytes(build_addon, tmp_path):
    tree = build_addon.assemble(tmp_path / "tree")
    first = build_addon.pack(tree, tmp_path / "a.zip").read_bytes()
    (tree / "__init__.py").touch()
    assert build_addon.pack(tree, tmp_path / "b.zip").read_bytes() == first


def test_the_zip_brings_wheels_for_every_python_and_the_backend(addon_zip, build_addon):
    with zipfile.ZipFile(addon_zip) as archive:
        names = archive.namelist()
        manifest = tomllib.loads(archive.read("blender_manifest.toml").decode())
    wheels = sorted(Path(name).name for name in names if name.startswith("wheels/"))
    assert sorted(Path(path).name for path in manifest["wheels"]) == wheels
    for python in ("cp311", "cp313", "cp314"):
        assert any(name.startswith("msgpack") and f"-{python}-" in name for name in wheels), python
    assert sum(name.startswith("pyzmq") for name in wheels) == 2, "3.11, and one for 3.12 and later"
    assert f"backend_wheel/latent_loom-{build_addon.version()}-py3-none-any.whl" in names
    assert "addon/headless/demo.py" in names


def test_the_backend_s_wheel_holds_the_backend_and_not_the_add_on(addon_zip, tmp_path):
    with zipfile.ZipFile(addon_zip) as archive:
        wheel = archive.extract(next(name for name in archive.namelist() if "backend_wheel/" in name), tmp_path)
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    for needed in ("protocol/SPEC.md", "backend/cli/main.py", "backend/service/server.py", "stylegan2/networks.py"):
        assert f"latent_loom/{needed}" in names
    assert not [name for name in names if "/addon/" in name]


def test_blender_s_own_tool_builds_and_validates_the_tree(addon_zip, build_addon, bpy_python, tmp_path):
    with zipfile.ZipFile(addon_zip) as archive:
        archive.extractall(tmp_path / "tree")
    build_addon.check(tmp_path / "tree", bpy_python)


def test_a_wheel_that_is_missing_is_noticed(addon_zip, build_addon, bpy_python, tmp_path):
    with zipfile.ZipFile(addon_zip) as archive:
        archive.extractall(tmp_path / "tree")
    next((tmp_path / "tree" / "wheels").iterdir()).unlink()
    with pytest.raises(build_addon.BuildError, match="refuses"):
        build_addon.check(tmp_path / "tree", bpy_python)


def test_a_download_that_fails_is_one_sentence(build_addon):
    with pytest.raises(build_addon.BuildError, match=r"Could not look for a package: .* Is there a network\?"):
        build_addon.run_pip(["download", "--no-index", "--no-deps", "no-such-package-of-ours"], "look for a package")
