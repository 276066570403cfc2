"""The static extension repository: its index, and an upgrade from it inside a real Blender while a backend runs."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import threading
import tomllib
import zipfile
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

HERE = Path(__file__).parent
LIMIT_S = 600


@pytest.fixture(scope="module")
def builder(build_addon):
    spec = importlib.util.spec_from_file_location("build_repository", HERE.parents[1] / "build_repository.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def as_version(archive: Path, out: Path, version: str, *, mark: bool) -> Path:
    """The zip under another version; `mark`: its code says that it is the later one, in two modules."""
    made = out / f"latent_loom-{version}.zip"
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            data = old.read(entry)
            if entry.filename == "blender_manifest.toml":
                current = tomllib.loads(data.decode())["version"]
                data = data.replace(f'version = "{current}"'.encode(), f'version = "{version}"'.encode(), 1)
            if mark and entry.filename in ("addon/__init__.py", "addon/root.py"):
                data += b"\nUPGRADED = True\n"
            new.writestr(entry, data)
    return made


@pytest.fixture
def repositories(builder, addon_zip, bpy_python, tmp_path):
    """(folder with 0.9.0, folder with 0.9.1)"""
    folders = []
    for version, mark in (("0.9.0", False), ("0.9.1", True)):
        folder = tmp_path / version
        folder.mkdir()
        as_version(addon_zip, folder, version, mark=mark)
        builder.generate(folder, bpy_python)
        folders.append(folder)
    return folders


@contextlib.contextmanager
def served(folder: Path):
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/index.json"
    finally:
        server.shutdown()
        server.server_close()


def test_the_index_names_every_zip_by_its_hash_and_the_page_links_it(repositories):
    first = repositories[0]
    (entry,) = json.loads((first / "index.json").read_text())["data"]
    assert (entry["id"], entry["version"], entry["blender_version_min"]) == ("latent_loom", "0.9.0", "4.5.0")
    assert entry["archive_url"] == "./latent_loom-0.9.0.zip" and entry["archive_hash"].startswith("sha256:")
    assert {"3.11", "3.13"} <= set(entry["python_versions"])
    page = (first / "index.html").read_text()
    assert "latent_loom-0.9.0.zip?repository=" in page and "20" not in page.split("<body>")[0], "a date is in it"


def test_a_zip_that_blender_refuses_is_not_left_out_silently(builder, build_addon, bpy_python, tmp_path):
    (tmp_path / "odd.zip").write_bytes(b"PK")
    with pytest.raises(build_addon.BuildError, match=r"odd\.zip"):
        builder.generate(tmp_path, bpy_python)


def test_a_python_without_bpy_is_told_in_a_sentence(builder, build_addon, tmp_path):
    with pytest.raises(build_addon.BuildError, match="bpy package"):
        builder.generate(tmp_path, tmp_path / "nowhere" / "python")


def test_an_upgrade_ends_the_backend_that_runs_and_brings_the_new_code(repositories, bpy_python, tmp_path):
    folder = tmp_path / "served"
    shutil.copytree(repositories[0], folder)
    command = f'"{sys.executable}" "{HERE / "fake_backend.py"}"'
    result = tmp_path / "result.json"
    with served(folder) as url:
        done = subprocess.run(
            [bpy_python, HERE / "upgrade_inside.py", url, folder, repositories[1], result, command],
            env=os.environ | {"BLENDER_USER_RESOURCES": str(tmp_path / "user"), "no_proxy": "*"},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=LIMIT_S,
        )  # fmt: skip
    assert result.is_file(), done.stdout[-3000:]
    told = json.loads(result.read_text())
    assert told["first"] == {"version": "0.9.0", "marked": False, "inner": False} and told["ran"]
    assert not told["orphan"], "the backend of the old version was left behind"
    assert told["second"] == {"version": "0.9.1", "marked": True, "inner": True}, "old code runs on"
    assert told["command"] == command and told["target"] == "kept through the upgrade" and told["starts"]
