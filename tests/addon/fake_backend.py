"""A backend that knows no models: the real protocol over a real socket, clouds of noise instead of textures.

    python fake_backend.py serve --connection-file FILE [--parent-stdin]

What a target prompt says decides how an adaptation goes: `slow` takes long enough to be cancelled, `dies` ends the
process in its middle, `fails` is answered with an error. Used where the real backend cannot be made to misbehave.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fake_textures
import numpy as np
import zmq
from fake_textures import RefusedError
from latent_loom.protocol import connection_file
from latent_loom.protocol.connection_file import ConnectionInfo
from latent_loom.protocol.server_state import (
    CancelRequested,
    RequestArrived,
    Sending,
    ServerConnection,
    ShutdownRequested,
)
from PIL import Image
from zmq.auth.thread import ThreadAuthenticator

STYLES: list[dict[str, Any]] = []
GENERATORS: list[dict[str, Any]] = [{"name": "builtin", "resolution": 64, "kinds": ["stone", "brick", "metal"]}]


def clouds(seed: int, size: tuple[int, int]) -> np.ndarray:
    """A tileable picture, uint8 [H, W, 3]: a few waves of whole periods in colours of its own."""
    draw = np.random.default_rng(seed)
    width, height = size
    y, x = np.meshgrid(np.arange(height) / height, np.arange(width) / width, indexing="ij")
    waves = zip(*draw.integers(-6, 7, (2, 7)), draw.random(7), strict=True)
    value = sum(np.cos(2 * np.pi * (fx * x + fy * y + phase)) for fx, fy, phase in waves)
    value = (value - value.min()) / np.ptp(value)
    low, high = draw.random((2, 3))
    return ((low + (high - low) * value[..., None]) * 255).astype(np.uint8)


def handle(type: str, params: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield ("progress", fields) while working and ("result", (value, arrays)) at the end."""
    if type == "models":
        yield "result", ({"generators": GENERATORS, "clips": [dict(CLIP)], **fake_textures.KINDS}, {})
    elif type == "styles":
        yield "result", ({"styles": STYLES}, {})
    elif type == "adapt":
        yield from adapt(params)
    elif type == "generate" and "out" not in params:
        yield from fake_textures.arrays(params, clouds)
    elif type in ("generate", "walk"):
        yield from pictures(type, params)
    elif type in fake_textures.HANDLERS:
        yield from fake_textures.HANDLERS[type](params, clouds)
    elif type == "batch" and params.get("jobs", {}).get("defaults", {}).get("naming") == "{map}/{name}":
        yield from fake_textures.bake(params, clouds)
    elif type == "batch":
        yield from batch(params)
    elif type in ("batch_status", "batch_cancel"):
        yield from set_state(type, params)
    elif type == "asset_library":
        folder = Path(params["folder"])
        (folder / "asked.json").write_text(json.dumps(params))
        yield "result", ({"blend": str(folder / "library.blend"), "materials": 3, "catalogues": ""}, {})
    elif type in ("fetch_clip", "delete_clip", "train_generator", "delete_generator", "disk"):
        yield from own_models(type, params)
    elif type == "free":
        yield from free()
    elif type == "import":
        if "missing" in params.get("url", ""):
            raise RefusedError("not_found", "example.org has no file at this address (404); check the address.")
        GENERATORS.append({"name": params["name"], "resolution": 256})
        yield "progress", {"done": 1, "total": 1, "stage": "downloading (MB)"}
        yield "result", ({"generator": GENERATORS[-1]}, {})
    elif type == "delete_style":
        STYLES[:] = [style for style in STYLES if style["name"] != params["name"]]
        yield "result", ({}, {})
    else:
        yield "result", ({"state": "idle", "device": "fake", "memory_mib": 1024, "device_mib": HELD[0]}, {})


def adapt(params: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    target = params["target"]
    total = params["iterations"] if params.get("iterations", "auto") != "auto" else 20
    if "fails" in target:
        raise RefusedError("bad_prompt", "The prompt has a word that is not known: fails.")
    for done in range(1, total + 1):
        time.sleep(0.5 if "slow" in target else 0.005)
        if "dies" in target and done == 3:
            os._exit(7)
        preview = {"preview": clouds(done, (64, 64))} if done % params["preview_every"] == 0 else {}
        yield "progress", {"done": done, "total": total, "stage": "training", "numbers": {"loss": 1 / done}} | preview
    style = {"name": params["name"], "generator": params["generator"], "source": params["source"], "target": target}
    style |= {"snapshots": list(range(5, total + 1, 5)), "iterations": total, "asked": fake_textures.plain(params)}
    STYLES[:] = [*(other for other in STYLES if other["name"] != style["name"]), style]
    yield "result", ({"style": style, "seconds": 0.1}, {})


LOST_SEED = 404
"""Files of this seed are named in the answer and are not there: a backend that sees another disk than Blender does."""


def pictures(type: str, params: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    out = Path(params["out"])
    files = []
    walk = type == "walk"
    numbers = range(1, params["frames"] + 1) if walk else params["seeds"]
    for done, number in enumerate(numbers, 1):
        for which in params.get("maps", ["color"]):
            name = f"frame-{number:04d}.png" if walk else f"{params['name']}-{number}_{which}.png"
            picture = clouds(fake_textures.plain_number(number), params["size"])
            if which == "normal":
                picture[:] = (128, 128, 255)
            if number != LOST_SEED:
                Image.fromarray(picture if which in ("color", "normal") else picture[..., 0]).save(out / name)
            files.append({"seed": number, "map": which, "path": str(out / name)})
        yield "progress", {"done": done, "total": len(numbers), "stage": type}
    yield "result", ({"files": files, "frames": len(numbers), "out": str(out), "seconds": 0.1}, {})


SETS: dict[str, dict[str, Any]] = {}
"""The sets that "run on": their state, which each look takes a step further."""
HELD = [700]


def batch(params: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    out = Path(params["out"])
    out.mkdir(parents=True, exist_ok=True)
    (out / "asked.json").write_text(json.dumps(params))
    items = params.get("jobs", {}).get("items", [{"name": "taken-up"}])
    seeds = params.get("jobs", {}).get("defaults", {}).get("seeds", [])
    maps = params.get("jobs", {}).get("defaults", {}).get("maps", [])
    if params.get("dry_run"):
        count = len(items) * len(seeds)
        reckoned = {"textures": count, "files": count * len(maps), "there": 0, "seconds": 40.0, "bytes": 1_000_000}
        yield "result", (reckoned | {"missing": [], "adapt": []}, {})
        return
    if params.get("detach"):
        SETS[str(out)] = {"state": "running", "done": SETS.get(str(out), {}).get("done", 0), "total": 6}
        (out / "batch.json").write_text(json.dumps(SETS[str(out)]))
        (out / "batch.jobs.jsonl").write_text("{}")
        yield "result", ({"detached": True, "out": str(out), **SETS[str(out)]}, {})
        return
    written = [f"{item['name']}-{seed}_color.png" for item in items for seed in item.get("seeds", seeds)]
    failed = [{"name": "missing", "message": "There is no such style."} for item in items if item["name"] == "missing"]
    value = {"out": params["out"], "manifest": "", "written": written, "skipped": [], "failed": failed, "seconds": 0.1}
    yield "result", (value, {})


def set_state(type: str, params: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    state = SETS.get(params["out"])
    if state is None:
        raise RefusedError("not_found", "There is no batch there.")
    if type == "batch_cancel":
        state["state"] = "cancelled"
    elif state["state"] == "running":
        state["done"] += 1
        state["state"] = "finished" if state["done"] >= state["total"] else "running"
    yield "result", (dict(state), {})


CLIP = {"name": "ViT-B-32:openai", "builtin": False, "there": False, "mb": 605, "licence": "MIT", "about": "usual"}


def own_models(type: str, params: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    if type in ("fetch_clip", "delete_clip"):
        CLIP["there"] = type == "fetch_clip"
        yield "result", ({"clip": CLIP["name"], "bytes": 1}, {})
    elif type == "train_generator":
        entry = {"name": params["name"], "resolution": params["size"], "bytes": 1_000_000}
        GENERATORS.append(entry)
        yield "progress", {"done": 1, "total": 2, "stage": "generator", "preview": clouds(1, (64, 64))}
        yield "result", ({"generator": entry, "folder": "", "warnings": [], "seconds": 0.1}, {})
    elif type == "delete_generator":
        GENERATORS[:] = [entry for entry in GENERATORS if entry["name"] != params["name"]]
        yield "result", ({}, {})
    else:
        parts = {"generators": 3_000_000, "clips": 0}
        yield "result", ({"root": "/data", "parts": parts, "free_bytes": 5_000_000_000}, {})


def free() -> Iterator[tuple[str, Any]]:
    freed, HELD[0] = HELD[0], 0
    yield "result", ({"freed_mib": freed}, {})


def serve(path: Path) -> None:
    """One thread does everything: a job takes its steps between two looks at the socket."""
    token = connection_file.new_token()
    guard = ThreadAuthenticator()
    guard.start()
    guard.configure_plain(domain="latent-loom", passwords={"latent-loom": token})
    socket = zmq.Context.instance().socket(zmq.ROUTER)
    socket.setsockopt(zmq.ZAP_DOMAIN, b"latent-loom")
    socket.setsockopt(zmq.LINGER, 500)
    socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
    socket.setsockopt(zmq.PLAIN_SERVER, 1)
    port = socket.bind_to_random_port("tcp://127.0.0.1")
    session = connection_file.new_session()
    machine = ServerConnection(
        session=session, describe=lambda: {"device": "fake", "memory_mib": 1, "generators": ["builtin"]}
    )
    info = ConnectionInfo(address=f"tcp://127.0.0.1:{port}", token=token, pid=os.getpid(), session=session)
    connection_file.write(info, path)
    queue: list[tuple[Any, Any, Iterator]] = []
    while not machine.closing:
        socket.poll(0 if queue else 20)
        events = []
        while socket.poll(0):
            peer, *frames = socket.recv_multipart()
            events += machine.receive(peer, frames, time.monotonic())
        for event in events:
            if isinstance(event, RequestArrived):
                machine.started(event.peer, event.request.id)
                queue.append((event.peer, event.request.id, handle(event.request.type, given(event.request))))
            elif isinstance(event, CancelRequested):
                machine.fail(event.peer, event.id, "cancelled", "Cancelled; everything finished so far is kept.")
                queue[:] = [entry for entry in queue if entry[:2] != (event.peer, event.id)]
            elif isinstance(event, ShutdownRequested):
                break
        if queue:
            advance(machine, queue)
        machine.tick(time.monotonic())
        machine.flush(lambda peer, frames: send(socket, peer, frames))
    guard.stop()
    socket.close()


def given(request: Any) -> dict[str, Any]:
    """The params, and the shapes of the arrays that came along."""
    shapes = {name: list(array.shape) for name, array in request.arrays.items()}
    return dict(request.params) | ({"shapes": shapes} if shapes else {})


def advance(machine: ServerConnection, queue: list) -> None:
    """One step of the job at the head."""
    peer, id, work = queue[0]
    try:
        kind, what = next(work)
    except RefusedError as error:
        machine.fail(peer, id, *error.args)
        queue.pop(0)
        return
    if kind == "progress":
        machine.progress(peer, id, **what)
    else:
        machine.result(peer, id, *what)
        queue.pop(0)


def send(socket: zmq.Socket, peer: bytes, frames: list[bytes]) -> Sending:
    try:
        socket.send_multipart([peer, *frames], flags=zmq.NOBLOCK)
    except zmq.Again:
        return Sending.BLOCKED
    except zmq.ZMQError:
        return Sending.GONE
    return Sending.SENT


def watch_parent() -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os._exit(0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("serve")
    parser.add_argument("--connection-file", type=Path, required=True)
    parser.add_argument("--parent-stdin", action="store_true")
    parser.add_argument("--data")
    arguments = parser.parse_args()
    if arguments.parent_stdin:
        threading.Thread(target=watch_parent, daemon=True).start()
    serve(arguments.connection_file)
