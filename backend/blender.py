"""A headless Blender as a process: a `blender` program, or a Python that has the bpy package."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .errors import LoomError, NotFound


def find_blender(named: Path | None) -> Path:
    """The program that was named, or `blender` on the path. Raises NotFound."""
    if named is not None:
        if not named.is_file():
            raise NotFound(f"There is no program {str(named)!r}; name a Blender, or a Python that has bpy.")
        return named
    found = shutil.which("blender")
    if not found:
        raise NotFound("There is no Blender on the path; name one with --blender, or a Python that has bpy.")
    return Path(found)


def script_command(program: Path, script: Path, options: Sequence[str | Path]) -> list[str | Path]:
    """The command that runs `script` with `options` in either kind of program."""
    if program.name.lower().startswith("python"):
        return [program, script, *options]
    return [program, "-b", "--factory-startup", "--python-exit-code", "1", "--python", script, "--", *options]


def run_script(
    program: Path, script: Path, options: Sequence[str | Path], user: Path, heard: Callable[[str], None]
) -> dict[str, Any]:
    """Run to the end and return the JSON object that the script ended with.

    user   a folder that takes the place of the user's own: nothing is read from it or written there
    heard  is given every line as it comes; what it raises ends the process
    Raises LoomError, with the last thing that Blender said
    """
    said: list[str] = []
    with subprocess.Popen(
        script_command(program, script, options), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, encoding="utf-8", errors="replace",
        env=os.environ | {"BLENDER_USER_RESOURCES": str(user)},
    ) as process:  # fmt: skip
        assert process.stdout is not None
        try:
            for line in process.stdout:
                said = [*said[-20:], line.strip()]
                heard(line)
        except BaseException:
            process.kill()
            raise
    if process.returncode == 0:
        for line in reversed(said):
            with contextlib.suppress(ValueError):
                if line.startswith("{"):
                    return json.loads(line)
    last = next((line for line in reversed(said) if line), "nothing")
    raise LoomError(f"Blender could not do it (exit code {process.returncode}); the last it said: {last[:300]}")
