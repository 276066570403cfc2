#!/usr/bin/env python3
"""Build a static extension repository: `python build_repository.py` fills dist/repository/.

    python build_repository.py                     a zip for each platform, index.json and index.html
    python build_repository.py --platform linux-x64 --out DIR
    python build_repository.py --bpy PYTHON        a Python that has bpy (default: .env-bpy45, which `make test` makes)

Any web server can hold the folder. In Blender: Preferences, Get Extensions, Repositories, +, Add Remote Repository,
with the address of index.json; or drag the link in index.html into Blender, which asks for the rest. Blender then
offers every later version by itself.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import build_addon
from build_addon import HERE, PLATFORMS, BuildError, Platform

INDEX = "index.json"
# Without the date that Blender's own template has: the same sources give the same bytes.
PAGE = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>Latent Loom for Blender</title>
<style>body { font-family: sans-serif; max-width: 60em; margin: 2em auto }
td, th { padding: .3em .8em; text-align: left }</style></head>
<body>
<h1>Latent Loom</h1>
<p>Drag the link for your computer into Blender 4.5 or newer, agree, and open the Loom tab of the sidebar.
Or add this page's <a href="index.json">index.json</a> as a remote repository in Blender's preferences.</p>
${body}
</body>
</html>
"""


def generate(folder: Path, python: Path) -> list[dict]:
    """Have Blender's own tool write index.json and index.html for the zips in `folder`; returns what it lists.

    Raises  BuildError where the tool is missing, refuses, or leaves a zip out
    """
    tool = build_addon.extension_tool(python)
    with tempfile.TemporaryDirectory() as scratch:
        page = Path(scratch, "page.html")
        page.write_text(PAGE, encoding="utf-8")
        words = ["server-generate", "--repo-dir", str(folder), "--html", "--html-template", str(page)]
        done = subprocess.run([str(python), str(tool), *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(f"Blender's extension tool cannot make the index: {(done.stderr or done.stdout).strip()}")
    entries = json.loads((folder / INDEX).read_text("utf-8"))["data"]
    entries.sort(key=lambda entry: entry["archive_url"])
    left_out = {path.name for path in folder.glob("*.zip")} - {
        entry["archive_url"].rsplit("/", 1)[-1] for entry in entries
    }
    if left_out:
        raise BuildError(f"Blender's extension tool left out {', '.join(sorted(left_out))}: {done.stdout.strip()}")
    return entries


def build(out: Path, platforms: Sequence[Platform], python: Path) -> list[dict]:
    """Zips and index in `out`; what lies there of an earlier version goes, so that nobody is offered it."""
    with tempfile.TemporaryDirectory() as scratch:
        backend = build_addon.build_backend_wheel(Path(scratch))
        fresh = Path(scratch, "repository")
        for platform in platforms:
            build_addon.build(fresh, [platform], backend, python)
        entries = generate(fresh, python)
        out.mkdir(parents=True, exist_ok=True)
        for old in out.glob(f"{build_addon.IDENTIFIER}-*.zip"):
            old.unlink()
        for path in sorted(fresh.iterdir(), key=lambda path: path.name == INDEX):  # the index last: it names the others
            temporary = out / f".{path.name}.part"
            shutil.copy2(path, temporary)
            temporary.replace(out / path.name)
    return entries


def main() -> int:
    parser = argparse.ArgumentParser(description="Build a static extension repository for Blender.")
    names = [platform.name for platform in PLATFORMS]
    parser.add_argument("--platform", action="append", choices=names, help="only this one (repeatable; default: all)")
    parser.add_argument("--out", type=Path, default=HERE / "dist" / "repository", metavar="DIR")
    default = HERE / ".env-bpy45" / "bin" / "python"
    parser.add_argument("--bpy", type=Path, default=default, metavar="PYTHON", help="a Python that has bpy")
    args = parser.parse_args()
    chosen = [one for one in PLATFORMS if not args.platform or one.name in args.platform]
    try:
        entries = build(args.out, chosen, args.bpy)
    except BuildError as error:
        print(error, file=sys.stderr)
        return 1
    for entry in entries:
        print(f"{args.out / entry['archive_url']}  {entry['archive_size'] / 2**20:.1f} MiB  {entry['version']}")
    print(args.out / INDEX)
    return 0


if __name__ == "__main__":
    sys.exit(main())
