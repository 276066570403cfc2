"""The demo's part in Blender: the add-on's own operators, called in a headless Blender by the script in its zip."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import zipfile
from pathlib import Path, PurePosixPath
from typing import Any

from ..blender import script_command
from .demo_backend import BackendProcess
from .demo_report import Report

SCRIPT = "addon/headless/demo.py"
SHOWN_SEED = 1  # a texture on which the first style shows well
LOG = "blender.log"
LIMIT_S = 900.0  # it takes about a minute; a busy machine may need ten times that


def run(
    report: Report,
    backend: BackendProcess,
    *,
    blender: Path | None,
    addon_zip: Path | None,
    generator: str,
    style: str,
) -> None:
    """Install the zip in a headless Blender, go through its operators, and render; or say why not.

    blender    a Blender, or a Python with the bpy wheel; None looks for `blender` on the path
    addon_zip  the extension; None skips this part
    """
    program = blender or (Path(found) if (found := shutil.which("blender")) else None)
    missing = None
    if program is None:
        missing = "there is no Blender here (name one with --blender)"
    elif addon_zip is None:
        missing = "the add-on's zip was not named (--addon-zip)"
    elif not addon_zip.is_file():
        missing = f"there is no file {addon_zip}"
    if missing or program is None or addon_zip is None:
        report.numbers["blender"] = {"skipped": missing}
        report.console.say(f"  in Blender: skipped, {missing}")
        return
    folder = report.out / "blender"
    folder.mkdir(exist_ok=True)
    report.console.say("  in Blender: installing the add-on, generating, rendering; about a minute ...")
    with report.part("in Blender") as part:
        options = ["--generator", generator, "--style", style, "--seed", str(SHOWN_SEED)]
        problem = _run_script(program, addon_zip.absolute(), backend, folder, options)
        written = read_answer(folder / LOG)
        pictures = [str(written[name]) for name in ("material", "film", "blend") if written.get(name)]
        part["said"] = "; ".join(pictures) or str(folder)
    report.numbers["blender"] = {"program": str(program), **written}
    if problem:
        report.problems.append(problem)


def _run_script(program: Path, addon_zip: Path, backend: BackendProcess, folder: Path, look: list[str]) -> str | None:
    """Run the zip's script to its end; None if it went well, else a sentence."""
    log = folder / LOG
    with tempfile.TemporaryDirectory(prefix="latent-loom-blender-") as private:
        try:
            script = _extract_script(addon_zip, Path(private))
        except (KeyError, zipfile.BadZipFile):
            return f"{addon_zip} is not Latent Loom's extension ({SCRIPT} is not in it); build it with build_addon.py."
        options: list[str | Path] = [
            "--zip",
            addon_zip,
            "--connection",
            backend.connection_file,
            "--out",
            folder,
            *look,
        ]
        command = script_command(program, script, options)
        # A user folder of its own: the demo installs nothing into the user's Blender.
        environment = os.environ | {"BLENDER_USER_RESOURCES": str(Path(private) / "user")}
        try:
            with log.open("wb") as output:
                code = subprocess.run(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=environment,
                    timeout=LIMIT_S,
                ).returncode
        except subprocess.TimeoutExpired:
            return f"Blender did not finish within {LIMIT_S:.0f} s; see {log}."
        except OSError as error:
            return f"Cannot run {program}: {error.strerror}; name another Blender with --blender."
    return f"The part in Blender failed (exit code {code}); see {log}." if code else None


def read_answer(log: Path) -> dict[str, Any]:
    """The JSON object that the script ended with, or {}. Blender may have said more after it."""
    if not log.exists():
        return {}
    for line in reversed(log.read_text(encoding="utf-8", errors="replace").splitlines()):
        if line.startswith("{"):
            with contextlib.suppress(ValueError):
                return json.loads(line)
    return {}


def _extract_script(addon_zip: Path, folder: Path) -> Path:
    """The zip's script as a file in `folder`. Raises KeyError where the zip has none."""
    with zipfile.ZipFile(addon_zip) as archive:
        data = archive.read(SCRIPT)
    path = folder / PurePosixPath(SCRIPT).name
    path.write_bytes(data)
    return path
