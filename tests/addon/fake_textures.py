"""The fake backend's textures as arrays, kept textures, directions and baked frames: clouds of what was asked for."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

Clouds = Callable[[int, tuple[int, int]], np.ndarray]
SLOW_SEED, BROKEN_SEED = 503, 500
KEPT: list[dict[str, Any]] = []
KINDS = {
    "presets": [{"name": "weathering", "summary": "moss, rust", "settings": {}}],
    "materials": [
        {"name": "auto", "roughness": 0.65, "metallic": 0.0},
        {"name": "metal", "roughness": 0.3, "metallic": 1},
    ],
}


class RefusedError(Exception):
    """(code, sentence)"""


def number_of(params: dict[str, Any], seed: int | str) -> int:
    """Another number for everything that changes a texture."""
    what = [seed, params.get("styles", []), params.get("directions", []), params.get("psi", 0.8)]
    return zlib.crc32(repr(what).encode()) % 100_000


def plain_number(seed: int | str) -> int:
    """A kept texture's name is a seed too."""
    return seed if isinstance(seed, int) else zlib.crc32(seed.encode())


def picture(params: dict[str, Any], seed: int | str, which: str, clouds: Clouds) -> np.ndarray:
    made = clouds(number_of(params, seed), tuple(params["size"]))
    return made if which in ("color", "normal") else made[..., 0]


def arrays(params: dict[str, Any], clouds: Clouds) -> Iterator[tuple[str, Any]]:
    if SLOW_SEED in params["seeds"]:
        time.sleep(3.0)
    if BROKEN_SEED in params["seeds"]:
        raise RefusedError("out_of_memory", "The device has too little memory for this; make the texture smaller.")
    maps = {w: np.stack([picture(params, s, w, clouds) for s in params["seeds"]]) for w in params["maps"]}
    yield "result", ({"files": [], "seconds": 0.0}, maps)


def bake(params: dict[str, Any], clouds: Clouds) -> Iterator[tuple[str, Any]]:
    out, items = Path(params["out"]), params["jobs"]["items"]
    for done, item in enumerate(items, start=1):
        (seed,) = item.get("textures") or item["seeds"]
        for which in item["maps"]:
            (out / which).mkdir(exist_ok=True)
            Image.fromarray(picture(item, seed, which, clouds)).save(out / which / f"{item['name']}.png")
        yield "progress", {"done": done, "total": len(items), "stage": "batch"}
    value = {"out": str(out), "manifest": "", "written": len(items), "skipped": 0, "failed": [], "seconds": 0.1}
    yield "result", (value, {})


def keep(params: dict[str, Any], clouds: Clouds) -> Iterator[tuple[str, Any]]:
    if any(one["name"] == params["name"] for one in KEPT) and not params["overwrite"]:
        raise RefusedError("already_exists", "There is a texture of that name already; choose another name.")
    KEPT[:] = [*(one for one in KEPT if one["name"] != params["name"]), {"origin": "seed", **plain(params)}]
    yield "result", ({"texture": KEPT[-1]}, {})


def project(params: dict[str, Any], clouds: Clouds) -> Iterator[tuple[str, Any]]:
    for done in (1, 2, 3):
        yield "progress", {"done": done, "total": 3, "stage": "projecting", "preview": clouds(done, (32, 32))}
        time.sleep(0.5 if params["steps"] > 900 else 0.0)
    KEPT[:] = [*(one for one in KEPT if one["name"] != params["name"]), {"origin": "projection", **plain(params)}]
    yield "result", ({"texture": KEPT[-1], "files": [], "seconds": 0.1}, {"sheet": clouds(1, (32, 32))})


def textures(params: dict[str, Any], clouds: Clouds) -> Iterator[tuple[str, Any]]:
    yield "result", ({"textures": KEPT}, {})


def delete_texture(params: dict[str, Any], clouds: Clouds) -> Iterator[tuple[str, Any]]:
    KEPT[:] = [one for one in KEPT if one["name"] != params["name"]]
    yield "result", ({}, {})


def directions(params: dict[str, Any], clouds: Clouds) -> Iterator[tuple[str, Any]]:
    yield "result", ({"directions": [], "file": None, "seconds": 0.1}, {"sheet": clouds(1, (90, 60))[None]})


def plain(params: dict[str, Any]) -> dict[str, Any]:
    """A copy that may travel back."""
    return {name: value for name, value in params.items() if value is not None}


def seeds(params: dict[str, Any], clouds: Clouds) -> Iterator[tuple[str, Any]]:
    if params["kind"] not in ("stone", "brick", "metal"):
        raise RefusedError("not_found", "There is no kind of that name; choose from stone, brick, metal.")
    yield "result", ({"seeds": list(range(4321, 4321 + params["count"]))}, {})


HANDLERS = {
    "seeds": seeds,
    "keep": keep,
    "project": project,
    "textures": textures,
    "delete_texture": delete_texture,
    "directions": directions,
}
