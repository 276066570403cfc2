#!/usr/bin/env python3
"""Build the Blender extension: `python build_addon.py` puts a zip for every platform into dist/.

    python build_addon.py                          one zip that runs everywhere
    python build_addon.py --platform linux-x64     one that holds the wheels of this platform alone (repeatable; `all`)
    python build_addon.py --bpy PYTHON             also check it with the extension tool inside that Python's bpy

The zip holds `__init__.py`, the manifest made here, addon/, protocol/, wheels/ (pyzmq and msgpack for Blender's
Pythons; downloaded once into build/wheels) and backend_wheel/ with the backend, so that both ends always match.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
IDENTIFIER = "latent_loom"
# Blender 4.5 and 5.0 carry Python 3.11, 5.1 and 5.2 carry 3.13; a distribution's 5.2 may carry 3.14.
PYTHONS = ("3.11", "3.13", "3.14")
# All extensions of a user share one site-packages in which the newest wins, so these are plain, current releases.
REQUIREMENTS = ("pyzmq==27.*", "msgpack==1.*")
BACKEND_SOURCES = ("pyproject.toml", "README.md", "LICENSE", "protocol", "stylegan2", "backend")
NOT_SHIPPED = shutil.ignore_patterns("__pycache__", "*.pyc", "ruff.toml", ".*")
ROOT_INIT = '''# SPDX-License-Identifier: GPL-3.0-or-later
"""Latent Loom: type a style, get textures. The add-on is in addon/, the wire that it speaks in protocol/."""

from .addon import register, unregister

__all__ = ["register", "unregister"]
'''


@dataclass(frozen=True)
class Platform:
    """`name` as Blender calls it, `tags` as wheels call it (pip takes the best that fits)."""

    name: str
    tags: tuple[str, ...]


PLATFORMS = (
    Platform("linux-x64", ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64")),
    Platform("windows-x64", ("win_amd64",)),
    Platform("macos-arm64", ("macosx_11_0_arm64", "macosx_10_15_universal2")),
    Platform(
        "macos-x64", ("macosx_10_15_x86_64", "macosx_10_13_x86_64", "macosx_10_9_x86_64", "macosx_10_15_universal2")
    ),
)


class BuildError(Exception):
    """The zip cannot be built; the text is one sentence that says what to do."""


def version() -> str:
    with (HERE / "pyproject.toml").open("rb") as file:
        return tomllib.load(file)["project"]["version"]


def manifest(platforms: Sequence[Platform] | None, wheels: Iterable[str]) -> str:
    """The text of blender_manifest.toml. `platforms` None: all of them, and the field is left out."""
    lines = [
        'schema_version = "1.0.0"',
        f'id = "{IDENTIFIER}"',
        f'version = "{version()}"',
        'name = "Latent Loom"',
        'tagline = "Type a style, get textures"',
        'maintainer = "The Latent Loom authors"',
        'type = "add-on"',
        'tags = ["Material", "Paint", "Animation"]',
        'blender_version_min = "4.5.0"',
        'license = ["SPDX:GPL-3.0-or-later", "SPDX:Apache-2.0"]',
        'copyright = ["2026 The Latent Loom authors"]',
    ]
    if platforms is not None:
        lines.append("platforms = [" + ", ".join(f'"{one.name}"' for one in platforms) + "]")
    lines += ["wheels = [", *(f'  "./wheels/{name}",' for name in wheels), "]"]
    lines += [
        "",
        "[permissions]",
        'files = "Write textures and load them as images"',
        'network = "Talk to the backend; fetch its parts when you ask for it"',
        "",
        "[build]",
        'paths_exclude_pattern = ["__pycache__/", "*.pyc", "/.git/", "/*.zip"]',
        "",
    ]
    return "\n".join(lines)


def download_wheels(platform: Platform, cache: Path) -> list[Path]:
    """The wheels of one platform for every Python, from `cache` or the package index. Raises BuildError."""
    folder = cache / platform.name
    stamp = folder / ".complete"
    wanted = "\n".join((*REQUIREMENTS, *PYTHONS))
    if not stamp.is_file() or stamp.read_text() != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        for python in PYTHONS:
            tags = [word for tag in platform.tags for word in ("--platform", tag)]
            choice = ["--no-deps", "--only-binary=:all:", "--python-version", python, *tags]
            run_pip(
                ["download", *choice, "--dest", str(folder), *REQUIREMENTS],
                f"download the wheels for {platform.name}, Python {python}",
            )
        stamp.write_text(wanted)
    return sorted(folder.glob("*.whl"))


def build_backend_wheel(folder: Path) -> Path:
    """The backend's wheel, built from a copy so that nothing stale of an earlier build gets in. Raises BuildError."""
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch) / "source"
        source.mkdir()
        for name in BACKEND_SOURCES:
            if (HERE / name).is_dir():
                shutil.copytree(HERE / name, source / name, ignore=NOT_SHIPPED)
            else:
                shutil.copy2(HERE / name, source / name)
        run_pip(["wheel", "--no-deps", "--wheel-dir", str(folder), str(source)], "build the backend's wheel")
    return next(folder.glob("*.whl"))


def run_pip(words: Sequence[str], purpose: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        complaint = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()
        raise BuildError(f"Could not {purpose}: {' '.join(complaint[-2:]) or 'pip failed'}. Is there a network?")


def assemble(
    folder: Path,
    *,
    wheels: Sequence[Path] = (),
    platforms: Sequence[Platform] | None = None,
    backend: Path | None = None,
) -> Path:
    """Lay out the extension's tree in `folder`, which must not exist yet. Tests import this very tree."""
    folder.mkdir(parents=True)
    for name in ("addon", "protocol"):
        shutil.copytree(HERE / name, folder / name, ignore=NOT_SHIPPED)
    (folder / "__init__.py").write_text(ROOT_INIT, encoding="utf-8")
    shutil.copy2(HERE / "LICENSE", folder / "protocol" / "LICENSE")
    names = sorted({wheel.name for wheel in wheels})
    if names:
        (folder / "wheels").mkdir()
        for wheel in wheels:
            shutil.copy2(wheel, folder / "wheels" / wheel.name)
    if backend is not None:
        (folder / "backend_wheel").mkdir()
        shutil.copy2(backend, folder / "backend_wheel" / backend.name)
        digest = hashlib.sha256(backend.read_bytes()).hexdigest()
        (folder / "backend_wheel" / f"{backend.name}.sha256").write_text(digest, encoding="ascii")
    (folder / "blender_manifest.toml").write_text(manifest(platforms, names), encoding="utf-8")
    return folder


def pack(tree: Path, zip_path: Path) -> Path:
    """Write `tree` as a zip: sorted and without clock times, so that the same sources give the same bytes."""
    temporary = zip_path.with_suffix(".part")
    with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(path for path in tree.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(path.relative_to(tree).as_posix(), date_time=(2026, 1, 1, 0, 0, 0))
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_STORED if path.suffix == ".whl" else zipfile.ZIP_DEFLATED
            archive.writestr(entry, path.read_bytes())
    temporary.replace(zip_path)
    return zip_path


def extension_tool(python: Path) -> Path:
    """Blender's own packager, which rides in the bpy package of `python`. Raises BuildError."""
    try:
        site = subprocess.run(
            [str(python), "-c", "import sysconfig; print(sysconfig.get_path('platlib'))"],
            capture_output=True,
            text=True,
        ).stdout.strip()
    except OSError as error:
        raise BuildError(f"Cannot run {python}: {error.strerror}; name a Python with the bpy package.") from error
    tools = sorted(Path(site, "bpy").glob("*/scripts/addons_core/bl_pkg/cli/blender_ext.py"))
    if not tools:
        raise BuildError(f"There is no bpy for {python}; name a Python with the bpy package.")
    return tools[0]


def check(tree: Path, python: Path) -> None:
    """Let Blender's own extension tool build the tree: unlike its `validate`, that notices a missing wheel."""
    tool = extension_tool(python)
    with tempfile.TemporaryDirectory() as scratch:
        for words in (["build", "--source-dir", str(tree), "--output-dir", scratch], ["validate", str(tree)]):
            done = subprocess.run([str(python), str(tool), *words], capture_output=True, text=True, check=False)
            if done.returncode:
                raise BuildError(f"Blender's extension tool refuses the add-on: {(done.stderr or done.stdout).strip()}")


def build(out: Path, platforms: Sequence[Platform] | None, backend: Path, python: Path | None) -> Path:
    """One zip for `platforms` (None: all). Raises BuildError."""
    wheels = [
        wheel for platform in platforms or PLATFORMS for wheel in download_wheels(platform, HERE / "build" / "wheels")
    ]
    suffix = "" if platforms is None else "-" + "-".join(platform.name.replace("-", "_") for platform in platforms)
    with tempfile.TemporaryDirectory() as scratch:
        tree = assemble(Path(scratch) / IDENTIFIER, wheels=wheels, platforms=platforms, backend=backend)
        if python is not None:
            check(tree, python)
        out.mkdir(parents=True, exist_ok=True)
        return pack(tree, out / f"{IDENTIFIER}-{version()}{suffix}.zip")


def main() -> int:
    parser = argparse.ArgumentParser(description="Build the Blender extension.")
    names = [platform.name for platform in PLATFORMS]
    parser.add_argument("--platform", action="append", choices=[*names, "all"], help="a zip for this platform alone")
    parser.add_argument("--bpy", type=Path, metavar="PYTHON", help="a Python that has bpy, to check the result with")
    parser.add_argument("--out", type=Path, default=HERE / "dist", metavar="DIR", help="where to (default: dist)")
    args = parser.parse_args()
    chosen = args.platform or []
    single = [[one] for one in PLATFORMS if one.name in chosen or "all" in chosen]
    try:
        with tempfile.TemporaryDirectory() as scratch:
            backend = build_backend_wheel(Path(scratch))
            for platforms in single or [None]:
                made = build(args.out, platforms, backend, args.bpy)
                print(f"{made}  {made.stat().st_size / 2**20:.1f} MiB")
    except BuildError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
