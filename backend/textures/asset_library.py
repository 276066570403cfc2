"""A finished batch as a Blender asset library: its manifest becomes a plan that a script in a headless Blender follows.

Beside the textures come `library.blend` and `blender_assets.cats.txt`; the folder as a whole is what Blender's
preferences take as an asset library.
"""

from __future__ import annotations

import json
import re
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import blender
from ..errors import BadRequest, NotFound
from ..job import Job, Progress
from .files import open_folder, write_atomic
from .manifest import read_manifest

BLEND, CATALOGUES = "library.blend", "blender_assets.cats.txt"
SCRIPT = Path("headless", "library.py")
CATALOGUES_HEAD = "# This is an Asset Catalog Definition file for Blender.\n\nVERSION 1\n\n"
USABLE = ("color", "height", "normal", "roughness", "ao")
"""The maps that the material takes; orm holds what it has from the others."""
_SPACE = uuid.UUID("6c6f6f6d-7465-4874-8572-652d6c696272")


@dataclass(frozen=True, kw_only=True)
class LibrarySettings:
    """folder   of the batch
    blender  program; None = `blender` on the path
    addon    the add-on's folder; None = beside this package, as in the repository
    pack     put the pictures into the .blend, so that it can be given away alone
    """

    folder: Path
    blender: Path | None = None
    addon: Path | None = None
    pack: bool = False


def make_library(settings: LibrarySettings, job: Job | None = None) -> dict[str, Any]:
    """Write the library; returns {"blend", "materials", "blender", "catalogues"}.

    Raises  NotFound (batch, Blender, script), BadRequest (nothing to show), CannotWrite, LoomError, Cancelled
    """
    job = job or Job()
    folder = settings.folder
    assets = list(plan_assets(folder))
    if not assets:
        raise NotFound(f"There is no finished texture in {str(folder)!r}; name the folder of a batch.")
    program, script = blender.find_blender(settings.blender), _script(settings.addon)
    open_folder(folder)

    def heard(line: str) -> None:
        job.check()
        if found := re.fullmatch(r"progress (\d+) (\d+)\s*", line):
            job.report(Progress(done=int(found[1]), total=int(found[2]), stage="materials"))

    plan = {"blend": str(folder.absolute() / BLEND), "pack": settings.pack, "assets": assets}
    with tempfile.TemporaryDirectory(prefix="latent-loom-") as private:
        path = Path(private, "plan.json")
        path.write_text(json.dumps(plan), encoding="utf-8")
        made = blender.run_script(program, script, [path], Path(private, "user"), heard)
    return made | {"catalogues": _write_catalogues(folder, assets)}


def plan_assets(folder: Path) -> Iterator[dict[str, Any]]:
    """One asset for each texture of the manifest that has its colour; maps whose files are gone are left out."""
    sets: dict[str, tuple[dict[str, Any], dict[str, str]]] = {}
    for record in read_manifest(folder):
        path = folder.absolute() / record["file"]
        which = record.get("map")
        if which not in USABLE or not path.is_file():
            continue
        about = {key: record.get(key) for key in ("item", "generator", "styles", "seed", "size", "mix", "directions")}
        texture = re.sub(rf"_?{which}$", "", Path(record["file"]).with_suffix("").as_posix()) or which
        sets.setdefault(f"{texture} {json.dumps(about)}", (record, {}))[1][which] = str(path)
        if which == "normal" and record.get("normal") == "directx":
            raise BadRequest('Blender reads OpenGL normal maps; make the batch with normal = "opengl" for a library.')
    names: dict[str, int] = {}
    for key, (record, maps) in sets.items():
        if "color" in maps:
            name = re.sub(r"[^\w.-]+", " ", key.split(" {")[0]).strip()[:50]
            names[name] = names.get(name, 0) + 1
            yield _asset(name if names[name] == 1 else f"{name} {names[name]}", record, maps)


def _asset(name: str, record: dict[str, Any], maps: dict[str, str]) -> dict[str, Any]:
    styles = [style for style, _, _ in record["styles"]]
    told = " + ".join([record["generator"], *(f"{style} {strength:g}" for style, strength, _ in record["styles"])])
    width, height = record["size"]
    catalogue = "/".join(_catalogue_part(part) for part in ("Latent Loom", record["generator"], record["item"]))
    return {
        "name": name,
        "maps": maps,
        "catalogue": catalogue,
        "catalogue_id": str(uuid.uuid5(_SPACE, catalogue)),
        "tags": [*styles, record["generator"], *(["seamless"] if record["tile"] == "xy" else []), f"{width}x{height}"],
        "description": f"{told}, seed {record['seed']}",
        "record": {"format": 1, "kind": "batch", "params": {}, "manifest": record},
    }


def _catalogue_part(text: str) -> str:
    """The file's own separators may not stand in a name."""
    return re.sub(r"[:/\\\n]+", " ", text).strip() or "-"


def _write_catalogues(folder: Path, assets: list[dict[str, Any]]) -> int:
    """Add what is missing; the user's own catalogues stay. Returns how many the assets use."""
    path = folder / CATALOGUES
    text = path.read_text(encoding="utf-8") if path.exists() else CATALOGUES_HEAD
    wanted = {asset["catalogue_id"]: asset["catalogue"] for asset in assets}
    lines = [
        f"{identity}:{name}:{name.replace('/', '-')}\n" for identity, name in wanted.items() if identity not in text
    ]
    if lines:
        write_atomic(path, (text.rstrip("\n") + "\n" + "".join(lines)).encode())
    return len(wanted)


def _script(addon: Path | None) -> Path:
    folders = [addon, addon / "addon"] if addon else [Path(__file__).resolve().parents[2] / "addon"]
    for folder in folders:
        if (folder / SCRIPT).is_file():
            return folder / SCRIPT
    raise NotFound(
        "The add-on's script headless/library.py is not here; name the add-on's folder (the installed extension, or "
        "addon/ of the repository) with --addon."
    )
