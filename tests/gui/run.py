"""The add-on in a Blender with a real window: `python tests/gui/run.py --zip ZIP [trials] [killed] [pictures]`.

    trials    what an artist may do to it: kill, suspend, cancel, load, render, quit (trials.py)
    killed    kill -9 of Blender: its backend goes, a set that outlives it is finished (killed.py)
    pictures  the pictures of docs/guide.md (pictures.py), into --pictures

Needs a display ($DISPLAY) with nothing on it but this, ImageMagick's `import` and
xdotool. BLENDER may be several words. Where
Blender sees other paths than we do, --folder must be one that both see, and --backend what starts the backend there.
Ends with 1 if anything failed; says what each trial came to, as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

HERE = Path(__file__).resolve().parent
LIMIT_S = 1800.0
GONE_WITHIN_S = 20.0
COLOURS = 128
SMALL = ["--window-geometry", "0", "0", "640", "480"]
"""Trials need no large window, and software draws a small one faster."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="*", default=["trials", "killed"], choices=["trials", "killed", "pictures"])
    parser.add_argument("--blender", default=os.environ.get("BLENDER", "blender"), help="what runs a Blender")
    parser.add_argument("--backend", default=sys.executable, help="what runs the backend (the preference Command)")
    parser.add_argument("--zip", type=Path, required=True, help="the add-on that build_addon.py made")
    parser.add_argument("--folder", type=Path, help="where all of it is written (default: a temporary one)")
    parser.add_argument("--data", type=Path, help="the backend's data folder (default: a new one in FOLDER)")
    parser.add_argument("--pictures", type=Path, help="where pictures go (default: in FOLDER)")
    parser.add_argument("--only", nargs="*", default=[], help="run these steps alone")
    args = parser.parse_args()
    folder = (args.folder or Path(tempfile.mkdtemp(prefix="loom-window-"))).absolute()
    good = True
    for what in args.what:
        told = run(what, args, folder / what)
        print(json.dumps({what: told}, indent=1), flush=True)
        good &= all(facts.get("result") in ("passed", "kill me") for facts in told.values()) and bool(told)
    return 0 if good else 1


def run(what: str, args: argparse.Namespace, folder: Path) -> dict[str, dict]:
    """One Blender, from its start to its end; what its steps told, and what is left of its processes."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "user").mkdir(parents=True)
    for file in (*HERE.glob("*.py"), args.zip):
        shutil.copy(file, folder)
    data = (args.data or folder / "data").absolute()
    given = {"out": str(folder), "zip": str(folder / args.zip.name), "command": args.backend, "data": str(data)}
    (folder / "given.json").write_text(json.dumps(given | {"only": args.only}))
    script = [
        "--factory-startup",
        *([] if what == "pictures" else SMALL),
        "--python",
        str(folder / "inside.py"),
        "--",
        str(folder / f"{what}.py"),
    ]
    blender = subprocess.Popen(
        [*shlex.split(args.blender), *script, str(folder / "given.json")],
        env=os.environ | {"BLENDER_USER_RESOURCES": str(folder / "user")},
        stdin=subprocess.DEVNULL,
        stdout=(folder / "blender.log").open("wb"),
        stderr=subprocess.STDOUT,
    )
    limit = time.monotonic() + LIMIT_S
    while blender.poll() is None:
        if time.monotonic() > limit or any(facts.get("result") == "kill me" for facts in told_in(folder).values()):
            blender.send_signal(signal.SIGKILL)
        do_what_is_asked(folder, args.pictures or folder)
        time.sleep(0.1)
    told = told_in(folder)
    pids = [facts["backend"] for facts in told.values() if "backend" in facts]
    after = {"exit": blender.returncode, "gone_within_s": gone(pids), "result": "passed"}
    if what == "killed":
        after["set"] = finished(folder / "outlives" / "batch.json")
    if after["gone_within_s"] is None or after.get("set", "finished") != "finished":
        after["result"] = "a backend is left over, or the set was not finished"
    return told | {"afterwards": after}


def told_in(folder: Path) -> dict[str, dict]:
    try:
        return json.loads((folder / "told.json").read_text())
    except (OSError, ValueError):
        return {}


def gone(pids: list[int]) -> float | None:
    """Seconds until none of these processes runs; None where one still does."""
    began = time.monotonic()
    while time.monotonic() - began < GONE_WITHIN_S:
        if not any(runs(pid) for pid in pids):
            return round(time.monotonic() - began, 1)
        time.sleep(0.1)
    return None


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def finished(state: Path) -> str:
    """The state that the set comes to."""
    limit = time.monotonic() + 300
    while time.monotonic() < limit:
        found = json.loads(state.read_text())["state"]
        if found != "running":
            return found
        time.sleep(0.5)
    return "running"


def do_what_is_asked(folder: Path, into: Path) -> None:
    """What a script inside Blender cannot: move the mouse, or take a picture that is not black."""
    ask = folder / "ask.json"
    if not ask.is_file():
        return
    asked = json.loads(ask.read_text())
    if "hand" in asked:
        subprocess.run(["xdotool", "search", "--onlyvisible", "--class", "blender", *asked["hand"]], check=True)
    else:
        take_picture(folder / "whole.png", asked, into)
    ask.unlink()


def take_picture(whole: Path, asked: dict, into: Path) -> None:
    """A picture of the display, cut, with few colours."""
    subprocess.run(["import", "-window", "root", str(whole)], check=True)
    into.mkdir(parents=True, exist_ok=True)
    with Image.open(whole) as picture:
        cut = trimmed(picture.convert("RGB").crop(asked["box"]))
        if asked.get("jpeg"):
            cut.save(into / f"{asked['name']}.jpg", quality=82, optimize=True)
        else:
            cut.quantize(COLOURS, dither=Image.Dither.NONE).save(into / f"{asked['name']}.png", optimize=True)


def trimmed(picture: Image.Image) -> Image.Image:
    """Without the empty rows below what is drawn: those like the one a little above the lower edge."""
    width, height = picture.size
    rows = [picture.crop((0, y, width, y + 1)).tobytes() for y in range(height - 10)]
    last = max((y for y, row in enumerate(rows) if row != rows[-1]), default=0)
    return picture.crop((0, 0, width, min(height, last + 12)))


if __name__ == "__main__":
    raise SystemExit(main())
