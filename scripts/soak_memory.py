"""Thousands of mixed jobs in a row on one real backend: does its resident memory stay flat? And pings beside a flood.

    python scripts/soak_memory.py [--jobs 2000] [--seed 0] [--minutes M] [--json FILE]

The jobs are drawn by the seed: textures, sheets of directions, walks, keeping, lists, styles in and out, exports, short
adaptations, wrong requests, cancels, and now and then `free`. Prints the curve at twenty places, what the last three
quarters grew by, and the longest wait for a pong while another process floods the backend with requests or with
connections.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from soak_backend import Home, Nursery, kill, resident_mib, table, wait_for_connection_file
from soak_kills import PROMPTS, tiny_clip

PLACES = 20
FLOOD = "--flooding"
FLOOD_STARTS_S = 2.0
"""A new process has imported what it needs and is connected."""

LOOK = {"generator": "small", "size": [32, 32]}


def jobs(home: Home, seed: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Endless mixed jobs."""
    draw = random.Random(seed)
    out = home.out
    style = ["base", 0.5]
    while True:
        n = draw.randrange(1000)
        yield draw.choices(
            [
                ("generate", LOOK | {"seeds": [n, n + 1], "styles": [["base", n / 1000]], "maps": ["color", "normal"]}),
                ("generate", LOOK | {"seeds": [n], "size": [128, 64], "out": str(out / "generate")}),
                ("generate", {"generator": "builtin", "seeds": [n], "size": [64, 64]}),
                ("directions", {"generator": "small", "count": 2}),
                ("walk", LOOK | {"seeds": [n, n + 1], "frames": 4, "overwrite": True, "out": str(out / "walk")}),
                ("keep", {"seed": n, "name": "kept", "generator": "small", "overwrite": True}),
                ("styles", {"generator": "small"}),
                ("show_style", {"name": "base"}),
                ("export_style", {"name": "base", "file": str(out / "base.safetensors")}),
                ("import_style", {"file": str(out / "base.safetensors"), "name": "again", "overwrite": True}),
                ("export", {"file": str(out / "g.safetensors"), "generator": "small", "styles": [style]}),
                ("generate", LOOK | {"generator": "nobody"}),
                ("adapt", PROMPTS | {"name": "short", "iterations": 2, "overwrite": True}),
                ("free", {}),
            ],
            weights=[20, 10, 10, 4, 4, 8, 10, 8, 4, 4, 4, 8, 1, 1],
        )[0]


def run(client: Any, home: Home, pid: int, *, count: int, seed: int, minutes: float) -> list[float]:
    """Resident memory, MiB, after every job."""
    from latent_loom.protocol.errors import RequestError

    curve: list[float] = []
    until_s, draw = time.monotonic() + 60 * minutes, random.Random(seed + 1)
    for type, params in jobs(home, seed):
        if len(curve) >= count or time.monotonic() > until_s:
            return curve
        with contextlib.suppress(RequestError):
            if draw.random() < 0.05:
                id = client.send(type, params)
                client.cancel(id)
                while id in client.pending:
                    client.poll(0.1)
            else:
                client.request(type, params, timeout_s=600)
        curve.append(resident_mib(pid))
    return curve


def pings(client: Any, seconds: float) -> list[float]:
    """The waits for pongs, in seconds, one ping after another."""
    waits, until_s = [], time.monotonic() + seconds
    while time.monotonic() < until_s:
        began_s = time.monotonic()
        client.ping()
        while not any(type(event).__name__ == "Ponged" for event in client.poll(1.0)):
            pass
        waits.append(time.monotonic() - began_s)
        time.sleep(0.01)
    return waits


def flood_of_requests(connection_file: Path, type: str, params: dict[str, Any]) -> None:
    """One client that asks without end, and reads its answers."""
    from latent_loom.protocol.client import Client

    with Client.from_connection_file(connection_file, client="flood") as loud:
        loud.connect(timeout_s=30)
        while True:
            for _ in range(100):
                loud.send(type, params)
            loud.poll()


def flood_of_connections(connection_file: Path) -> None:
    """One stranger who knocks without end."""
    from latent_loom.protocol.connection_file import read

    where = ("127.0.0.1", int(read(connection_file).address.rpartition(":")[2]))
    while True:
        with contextlib.suppress(OSError), socket.create_connection(where, timeout=1) as knocking:
            knocking.send(b"GET / HTTP/1.0\r\n\r\n")


FLOODS: dict[str, Callable[[Path], None]] = {
    "requests for textures": lambda file: flood_of_requests(file, "generate", LOOK | {"seeds": [1]}),
    "requests for the status": lambda file: flood_of_requests(file, "status", {}),
    "connections of a stranger": flood_of_connections,
}


def flooded(home: Home, client: Any, seconds: float) -> dict[str, list[float]]:
    """Waits for pongs: beside nothing, and beside floods. Each comes from a process of its own, so that it delays the
    backend and not the one who pings."""
    waits = {"nothing": pings(client, seconds)}
    for name in FLOODS:
        with subprocess.Popen([sys.executable, __file__, FLOOD, name, str(home.connection_file)]) as flood:
            try:
                time.sleep(FLOOD_STARTS_S)
                waits[name] = pings(client, seconds)
                if flood.poll() is not None:
                    raise SystemExit(f"The flood of {name} ended by itself; what was measured beside it says nothing.")
            finally:
                flood.kill()
    return waits


def main() -> int:
    if sys.argv[1:2] == [FLOOD]:
        FLOODS[sys.argv[2]](Path(sys.argv[3]))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop after so many, and report what was done")
    parser.add_argument("--flood", type=float, default=5.0, metavar="SECONDS", help="of each flood (default: 5)")
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="loom-memory-") as folder:
        home, nursery = Home(Path(folder)), Nursery()
        pid = nursery.start(home)
        try:
            curve, waits = _measured(home, pid, args)
        finally:
            kill(pid)
            nursery.close()
    places = sorted({round(n * (len(curve) - 1) / (PLACES - 1)) for n in range(PLACES)})
    print(table([[n + 1, f"{curve[n]:.0f}"] for n in places], ["after job", "resident MiB"]))
    late = curve[len(curve) // 4 :]
    tenth = max(1, len(late) // 10)
    grown = sum(late[-tenth:]) / tenth - sum(late[:tenth]) / tenth
    share = 1024 * grown / len(late)
    print(f"\n{len(curve)} jobs; from the first quarter on {grown:.1f} MiB more, {share:.1f} KiB a job")
    rows = [[name, len(w), *(f"{1000 * sorted(w)[int(share * (len(w) - 1))]:.1f}" for share in (0.5, 0.99, 1.0))]
            for name, w in waits.items()]  # fmt: skip
    print(table(rows, ["beside", "pings", "median ms", "99 % ms", "worst ms"]))
    if args.json:
        args.json.write_text(json.dumps({"resident_mib": curve, "pings_s": waits}))
    return 0


def _measured(home: Home, pid: int, args: argparse.Namespace) -> tuple[list[float], dict[str, list[float]]]:
    from latent_loom.protocol.client import Client

    wait_for_connection_file(home)
    with Client.from_connection_file(home.connection_file, client="soak") as client:
        client.connect(timeout_s=60)
        tiny_clip(home.data / "clips" / "tiny")
        client.request("adapt", PROMPTS | {"name": "base", "iterations": 2, "overwrite": True})
        client.request("export_style", {"name": "base", "file": str(home.out / "base.safetensors")})
        curve = run(client, home, pid, count=args.jobs, seed=args.seed, minutes=args.minutes)
        return curve, flooded(home, client, args.flood)


if __name__ == "__main__":
    sys.exit(main())
