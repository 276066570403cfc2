# SPDX-License-Identifier: GPL-3.0-or-later
"""The history in the scene: what is noted when a job ends, kept through undo, and shown with small pictures."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np

from . import history, icons, images, params, place, recall
from .history import Entry
from .job import FINISHED, Job

LARGEST_READ_PX = 2048 * 2048
# What was noted while this Blender runs, by scene: an undo takes the properties back, and the files are there still.
_noted: dict[int, dict[str, str]] = {}


def remember(job: Job, asked: dict, scene: bpy.types.Scene) -> None:
    """Before the work: keep with `job` what an entry will need, as it is now."""
    if job.type in history.KINDS and asked.get("out"):
        job.asked, job.settings = dict(asked), recall.snapshot(scene.loom)
        job.scene = (scene.name, scene.session_uid)


def take(job: Job) -> None:
    """After the work: note each texture that it made, newest first."""
    if job.state != FINISHED or job.detached or not job.asked or not job.scene:
        return
    scene = place.scene_at(place.Place(scene=job.scene, object=None))
    files = [file for file in job.value.get("files", ()) if isinstance(file, dict) and file.get("path")]
    if scene is None or not files:
        return
    loaded = {bpy.path.abspath(image.filepath): image for image in bpy.data.images if image.filepath}
    for entry in entries_of(job, files):
        image = loaded.get(entry.color_file())
        add(scene, _with_picture(entry, image))
    _trim(scene)


def entries_of(job: Job, files: list[dict]) -> list[Entry]:
    """One entry for each seed; one for a walk, of its first frame."""
    groups: dict[object, list[dict]] = {}
    for file in files:
        key = None if job.type != "generate" else (file.get("seed"), file.get("strength"))
        groups.setdefault(key, []).append({"map": file.get("map", "color"), "path": str(file["path"])})
    found = []
    for number, (key, own) in enumerate(groups.items()):
        asked, chosen = job.asked, job.settings
        if key is not None:
            asked = asked | {"seeds": [key[0]]}
            chosen = chosen | ({"seed": key[0], "count": 1} if isinstance(key[0], int) else {})
        kept = own if job.type == "generate" else own[:1]
        found.append(
            Entry(
                uuid=f"{job.id:x}-{number}-{np.random.default_rng().integers(1 << 60):x}",
                kind=job.type,
                title=_title(job.type, Path(own[0]["path"])),
                files=kept,
                params=asked,
                settings=chosen,
            )
        )
    return found


def add(scene: bpy.types.Scene, entry: Entry) -> None:
    """Put `entry` at the head of the scene's list; the same files made again replace their older entry."""
    held, path = scene.loom.history, entry.color_file()
    for index in range(len(held) - 1, -1, -1):
        older = history.read(held[index].record)
        if older is not None and older.color_file() == path:
            forget(scene, index)
    _insert(scene, entry.uuid, entry.title, history.write(entry))
    _noted.setdefault(scene.session_uid, {})[entry.uuid] = history.write(entry)
    scene.loom.history_index = 0
    _show_icon(entry)


def forget(scene: bpy.types.Scene, index: int) -> Entry | None:
    """Take an entry out of the list, for good."""
    held = scene.loom.history
    if not 0 <= index < len(held):
        return None
    entry, uuid = history.read(held[index].record), held[index].uuid
    held.remove(index)
    _noted.get(scene.session_uid, {}).pop(uuid, None)
    scene.loom.history_index = max(0, min(scene.loom.history_index, len(held) - 1))
    return entry


def selected(scene: bpy.types.Scene) -> Entry | None:
    settings = scene.loom
    if not 0 <= settings.history_index < len(settings.history):
        return None
    return history.read(settings.history[settings.history_index].record)


def mend_after_undo() -> None:
    """Put back what an undo took out of the lists: the files were made, and stay."""
    for scene in bpy.data.scenes:
        there = {item.uuid for item in scene.loom.history}
        for uuid, record in _noted.get(scene.session_uid, {}).items():
            entry = history.read(record)
            if uuid not in there and entry is not None:
                _insert(scene, uuid, entry.title, record)


def show_icons() -> None:
    """Make the small pictures of all entries: after a file was loaded."""
    icons.forget_results()
    _noted.clear()
    for scene in bpy.data.scenes:
        for item in scene.loom.history:
            entry = history.read(item.record)
            if entry is not None:
                _show_icon(entry)


def image_of(entry: Entry) -> bpy.types.Image:
    """The result as an image: the one that is loaded, else from its file. Raises BadInput where that is gone."""
    path = Path(entry.color_file())
    image = next((one for one in bpy.data.images if one.filepath and _same(one, path)), None)
    if image is not None:
        return image
    if not path.is_file():
        raise params.BadInput(f"The file {path} is gone; recall the settings and generate it again.")
    if entry.kind != "generate":
        files = sorted(path.parent.glob(f"*{path.suffix}"))
        return images.load_sequence(files, _record(entry, len(files)))
    record = _record(entry, 1)
    loaded = {
        str(file.get("map", "color")): images.load(Path(str(file["path"])), str(file.get("map", "color")), record)
        for file in entry.files
        if Path(str(file.get("path", ""))).is_file()
    }
    return loaded.get("color") or next(iter(loaded.values()))


def _record(entry: Entry, frames: int) -> dict:
    return {"format": 1, "kind": entry.kind, "uuid": entry.uuid, "set": entry.uuid, "version": entry.version,
            "params": dict(entry.params), "frames": frames}  # fmt: skip


def _same(image: bpy.types.Image, path: Path) -> bool:
    return Path(bpy.path.abspath(image.filepath)) == path


def _insert(scene: bpy.types.Scene, uuid: str, title: str, record: str) -> None:
    held = scene.loom.history
    item = held.add()
    item.name, item.uuid, item.record = title, uuid, record
    held.move(len(held) - 1, 0)


def _trim(scene: bpy.types.Scene) -> None:
    for _ in range(history.surplus(len(scene.loom.history))):
        forget(scene, len(scene.loom.history) - 1)


def _title(kind: str, first: Path) -> str:
    name = first.parent.name if kind == "walk" else first.stem
    return name.removesuffix("_color") or history.KINDS[kind]


def _with_picture(entry: Entry, image: bpy.types.Image | None) -> Entry:
    picture = _small(image) if image is not None else None
    if picture is None:
        return entry
    return Entry(**{**entry.__dict__, "thumb": history.pack(picture)})


def _small(image: bpy.types.Image) -> np.ndarray | None:
    """The image as a thumbnail, uint8 [H, W, 3], top row first."""
    if image.source == "SEQUENCE":  # has no size before a frame of it was drawn
        return _of_file(bpy.path.abspath(image.filepath))
    width, height = image.size
    if not width or not height:
        return None
    if width * height <= LARGEST_READ_PX:
        return history.shrink(_bytes(image))
    small = image.copy()
    try:
        factor = history.THUMB_PX / max(width, height)
        small.scale(max(1, round(width * factor)), max(1, round(height * factor)))
        return _bytes(small)
    finally:
        bpy.data.images.remove(small)


def _of_file(path: str) -> np.ndarray | None:
    """The picture in a file as a thumbnail, None where it cannot be read."""
    try:
        image = bpy.data.images.load(path)
    except RuntimeError:
        return None
    try:
        return _small(image)
    finally:
        bpy.data.images.remove(image)


def _bytes(image: bpy.types.Image) -> np.ndarray:
    width, height = image.size
    pixels = np.empty(width * height * image.channels, np.float32)
    image.pixels.foreach_get(pixels)
    rows = pixels.reshape(height, width, image.channels)[::-1]
    if image.channels < 3:
        rows = np.repeat(rows[..., :1], 3, axis=2)
    return np.rint(np.clip(rows[..., :3], 0.0, 1.0) * 255).astype(np.uint8)


def _show_icon(entry: Entry) -> None:
    picture = history.unpack(entry.thumb) if entry.thumb else None
    if picture is not None:
        icons.show_result(entry.uuid, picture)
