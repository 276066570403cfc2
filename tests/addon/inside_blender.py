"""Runs scenarios inside a headless Blender: `BPY_PYTHON inside_blender.py SCENARIOS.py ZIP RESULT.json KEY=VALUE ...`

only=NAME,NAME runs these scenarios alone.

Installs the zip in the user folder that BLENDER_USER_RESOURCES names, then calls every public function of SCENARIOS.py,
each in an empty file with an add-on at rest (whose backend runs on if the file says KEEPS_BACKEND). RESULT.json says
for each whether it passed, or its traceback.
"""

from __future__ import annotations

import importlib
import json
import runpy
import sys
import time
import traceback
from pathlib import Path
from types import SimpleNamespace

import bpy

PACKAGE = "bl_ext.user_default.latent_loom"


def part(name: str):
    """A module of the installed extension."""
    return importlib.import_module(f"{PACKAGE}.addon.{name}")


def preferences():
    return bpy.context.preferences.addons[PACKAGE].preferences


def drain(until, limit_s: float = 30.0) -> None:
    """Tick as the timer would, until `until()` holds."""
    deadline = time.monotonic() + limit_s
    while not until():
        if time.monotonic() > deadline:
            raise AssertionError(f"it did not come true within {limit_s} s")
        part("pump").step(0.05)


def fails_with(call, *words: str) -> str:
    """Blender turns an operator's ERROR report into a RuntimeError; returns its text, which must hold `words`."""
    try:
        call()
    except RuntimeError as error:
        text = str(error)
        assert all(word in text for word in words), text
        return text
    raise AssertionError("it did not fail")


def at_rest(given: SimpleNamespace, *, keep_backend: bool) -> None:
    """An empty file, no connection, preferences as a test wants them, a plane with a UV map that is active."""
    if not keep_backend:
        part("runtime").close()
    bpy.ops.wm.read_homefile(use_empty=True)
    choices = preferences()
    choices.mode, choices.command, choices.connection_file = "OWN", given.command, ""
    choices.output_folder, choices.data_folder = str(given.out), given.data
    bpy.ops.mesh.primitive_plane_add()
    settings = bpy.context.scene.loom
    settings.width = settings.height = 64


def main() -> None:
    scenarios_file, archive, result, *pairs = sys.argv[1:]
    given = SimpleNamespace(**{"data": "", "only": ""} | dict(pair.split("=", 1) for pair in pairs))
    given.out = Path(given.out)
    bpy.ops.extensions.package_install_files(filepath=archive, repo="user_default", enable_on_install=True)
    helpers = {"part": part, "preferences": preferences, "drain": drain, "fails_with": fails_with, "given": given}
    scenarios = runpy.run_path(scenarios_file, init_globals=helpers)
    results = {}
    for name, scenario in scenarios.items():
        if given.only and name not in given.only.split(","):
            continue
        if name in helpers or name.startswith("_") or not callable(scenario) or isinstance(scenario, type):
            continue
        try:
            at_rest(given, keep_backend="KEEPS_BACKEND" in scenarios)
            scenario()
            results[name] = "passed"
        except Exception:  # the report is the purpose
            results[name] = traceback.format_exc()
        Path(result).write_text(json.dumps(results))
    part("runtime").close()


if __name__ == "__main__":
    main()
