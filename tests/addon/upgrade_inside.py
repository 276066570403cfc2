"""Inside a headless Blender: `BPY_PYTHON upgrade_inside.py URL SERVED NEXT RESULT.json COMMAND`

Adds the repository at URL, installs the add-on from it, starts a backend, then has the folder SERVED hold what NEXT
holds, a repository of a later version, and upgrades while the backend runs. RESULT.json gets what was seen.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import sys
import time
from pathlib import Path

import bpy

MODULE = "bl_ext.loom_test.latent_loom"


def part(name: str):
    return importlib.import_module(f"{MODULE}.addon.{name}")


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def seen() -> dict:
    """Which version is installed, and which code runs."""
    import addon_utils

    info = next(info for info in (addon_utils.module_bl_info(sys.modules[MODULE]),))
    code = importlib.import_module(f"{MODULE}.addon")
    return {"version": ".".join(map(str, info["version"])), "marked": getattr(code, "UPGRADED", False),
            "inner": getattr(part("root"), "UPGRADED", False)}  # fmt: skip


def main() -> None:
    url, served, later, result, command = sys.argv[1:]
    told = {}
    bpy.context.preferences.system.use_online_access = True
    bpy.ops.preferences.extension_repo_add(name="Loom Test", remote_url=url, use_sync_on_startup=False, type="REMOTE")
    repos = bpy.context.preferences.extensions.repos
    index, repo = next((n, one) for n, one in enumerate(repos) if one.remote_url == url)
    repo.module = "loom_test"
    bpy.ops.extensions.repo_sync(repo_index=index)
    bpy.ops.extensions.package_install(repo_index=index, pkg_id="latent_loom", enable_on_install=True)
    told["first"] = seen()
    preferences = bpy.context.preferences.addons[MODULE].preferences
    preferences.command = command
    bpy.ops.loom.backend_start()
    pid = part("runtime").session().child.pid
    told["ran"] = alive(pid)
    bpy.context.scene.loom.target = "kept through the upgrade"
    for path in Path(later).iterdir():
        shutil.copy2(path, Path(served) / path.name)
    bpy.ops.extensions.repo_sync(repo_index=index)
    bpy.ops.extensions.package_upgrade_all()
    limit = time.monotonic() + 10
    while alive(pid) and time.monotonic() < limit:
        time.sleep(0.1)
    told["orphan"] = alive(pid)
    told["second"] = seen()
    told["command"] = bpy.context.preferences.addons[MODULE].preferences.command
    told["target"] = bpy.context.scene.loom.target
    bpy.ops.loom.backend_start()
    told["starts"] = part("runtime").session().connected
    part("runtime").close()
    Path(result).write_text(json.dumps(told))


if __name__ == "__main__":
    main()
