"""Many clients at once against a real backend: mixed jobs, sliders, cancels, for minutes; every answer is checked.

    python scripts/soak_clients.py --minutes 10

Held for every request, on the wire and not only in the client: exactly one final answer; of one client's requests that
the device's worker does, the answers come in the order of asking (a cancelled or superseded one may come earlier);
`done` of a request never goes back; a result has the hash that the same request had when the backend did nothing else.
A request may end as `cancelled` or `superseded` only if this client cancelled it or sent a newer one in its slot.
Seeded: the same seed asks the same things in the same order, client by client. Ends with 1 if anything did not hold.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from latent_loom.protocol import messages
from latent_loom.protocol.client import Client, Failed, Finished, Ponged, Reply
from service_process import ServiceProcess

CLIENTS = 8
PENDING = 5
"""Requests that a client has under way at most; the sliders come on top."""

TINY = {"size": [64, 64], "psi": 0.7}
POOL: tuple[tuple[str, dict[str, Any]], ...] = (
    *(("generate", {"seeds": [seed], **TINY}) for seed in range(8)),
    *(("generate", {"seeds": [seed, seed + 1], "size": [64, 32], "tile": "xy"}) for seed in range(4)),
    *(("generate", {"seeds": [3], "maps": ["color", "normal", "height"], **TINY, "psi": psi}) for psi in (0.3, 0.9)),
    *(("generate", {"seeds": [5], "size": [128, 128], "noise_seed": n}) for n in range(2)),
    ("directions", {"count": 2, "amounts": [-1, 1], "size_px": 64}),
    *(("models", {}), ("styles", {}), ("textures", {})),
    *(("generate", {"seeds": [seed], "size": [7, 7]}) for seed in (1, 2)),
    ("generate", {"seeds": [1], "generator": "nobody"}),
    ("show_style", {"name": "nobody"}),
)
"""What is asked: quick work for the device, lists, and two that fail."""

AT_THE_DESK = {"models", "styles", "textures", "show_style"}
LONG = {"seeds": list(range(200)), **TINY}
"""Seconds of work; always cancelled."""


@dataclass
class Asked:
    """One request of one client, and what came of it on the wire."""

    type: str
    params: Mapping[str, Any]
    key: int | None  # its place in POOL; None: the long one
    slot: str | None = None
    cancelled: bool = False
    replaced: bool = False
    finals: list[str] = field(default_factory=list)
    done: int = 0
    digest: str = ""


class Watched:
    """A client whose every frame from the backend is looked at before the client sees it."""

    def __init__(self, client: Client, rng: random.Random) -> None:
        self.client, self.rng = client, rng
        self.asked: dict[int, Asked] = {}
        self.order: list[int] = []  # ids of the device's work, as their results came
        self.wrong: list[str] = []
        self.worst_ping_s = 0.0
        self._ping: tuple[int, float] | None = None
        receive = client._machine.receive

        def look(frames: Sequence[bytes], now: float) -> list[Any]:
            self._look(messages.decode(frames, sender="server"))
            return receive(frames, now)

        client._machine.receive = look  # type: ignore[method-assign]

    def _look(self, message: Any) -> None:
        asked = self.asked.get(getattr(message, "id", None) or 0)
        if isinstance(message, messages.Progress) and asked is not None:
            if message.done < asked.done:
                self.wrong.append(f"{asked.type}: progress went from {asked.done} back to {message.done}")
            asked.done = message.done
        elif isinstance(message, messages.Result | messages.Error):
            if asked is None:
                self.wrong.append(f"an answer to nothing: {message}")
            else:
                asked.finals.append("done" if isinstance(message, messages.Result) else message.code)

    def turn(self, asking: bool) -> None:
        """Read, check, perhaps ask and cancel; never waits."""
        for event in self.client.poll():
            if isinstance(event, Finished | Failed):
                self._check(event)
            elif isinstance(event, Ponged) and self._ping is not None and event.id == self._ping[0]:
                self.worst_ping_s = max(self.worst_ping_s, time.monotonic() - self._ping[1])
                self._ping = None
        if self._ping is None and (id := self.client.ping()) is not None:
            self._ping = (id, time.monotonic())
        if not asking:
            return
        waiting = [id for id in self.client.pending if id in self.asked]
        if len(waiting) < PENDING and self.rng.random() < 0.5:
            self._ask()
        if waiting and self.rng.random() < 0.1:
            self._cancel(self.rng.choice(waiting))

    def _ask(self) -> None:
        choice = self.rng.random()
        if choice < 0.05:
            id = self._send("generate", LONG, None)
            self._cancel(id)
        elif choice < 0.3:  # a slider: a few in one slot, of which the last counts
            for _ in range(self.rng.randrange(2, 6)):
                key = self.rng.randrange(12)
                self._send(*POOL[key], key, slot=self.rng.choice(("strength", "psi")))
        else:
            key = self.rng.randrange(len(POOL))
            self._send(*POOL[key], key)

    def _send(self, type: str, params: Mapping[str, Any], key: int | None, slot: str | None = None) -> int:
        for asked in self.asked.values():
            if slot is not None and asked.slot == slot and not asked.finals:
                asked.replaced = True
        id = self.client.send(type, params, slot=slot)
        self.asked[id] = Asked(type, params, key, slot)
        return id

    def _cancel(self, id: int) -> None:
        self.asked[id].cancelled = True
        self.client.cancel(id)

    def _check(self, event: Finished | Failed) -> None:
        asked = self.asked[event.id]
        if isinstance(event, Finished):
            asked.digest = digest(Reply(value=event.value, arrays=event.arrays))
            if asked.type not in AT_THE_DESK:
                self.order.append(event.id)
            return
        code = event.error.code
        asked.digest = f"{code}: {event.error}"
        if code == "cancelled" and not asked.cancelled:
            self.wrong.append(f"{asked.type} was cancelled by nobody")
        if code == "superseded" and not asked.replaced:
            self.wrong.append(f"{asked.type} was superseded by nothing")

    def judge(self, quiet: Mapping[int, str]) -> list[str]:
        """Everything that did not hold."""
        wrong = list(self.wrong)
        for id, asked in self.asked.items():
            if len(asked.finals) != 1:
                wrong.append(f"request {id} ({asked.type}) has {len(asked.finals)} final answers: {asked.finals}")
                continue
            compared = asked.key is not None and asked.finals[0] not in ("cancelled", "superseded")
            if compared and asked.digest != quiet[asked.key or 0]:
                wrong.append(f"{asked.type} {asked.params}: another result than in the quiet run ({asked.digest})")
        if self.order != sorted(self.order):
            wrong.append("results came in another order than the requests")
        return wrong


def digest(reply: Reply) -> str:
    """Of everything that may not differ between two runs."""
    value = {name: item for name, item in reply.value.items() if name not in ("seconds", "memory_mib")}
    made = hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode())
    for name in sorted(reply.arrays):
        array = reply.arrays[name]
        made.update(f"{name} {array.dtype} {array.shape}".encode() + np.ascontiguousarray(array).tobytes())
    return made.hexdigest()[:16]


def quiet_run(backend: ServiceProcess) -> dict[int, str]:
    """The digest of every request of the pool, asked one after the other."""
    found: dict[int, str] = {}
    with backend.client("quiet") as client:
        for key, (type, params) in enumerate(POOL):
            try:
                found[key] = digest(client.request(type, params, timeout_s=120))
            except Exception as error:  # some are meant to fail, and must fail in the same way later
                found[key] = f"{getattr(error, 'code', '?')}: {error}"
    return found


def soak(backend: ServiceProcess, seconds: float, seed: int, clients: int = CLIENTS) -> dict[str, Any]:
    """The row of the table; `wrong` lists what did not hold."""
    quiet = quiet_run(backend)
    watched = [Watched(backend.client(f"soak-{n}"), random.Random(seed * 1000 + n)) for n in range(clients)]
    before, curve, began = backend.resident_mib, [], time.monotonic()
    while (now := time.monotonic() - began) < seconds:
        for one in watched:
            one.turn(asking=True)
        if now >= len(curve) * max(1.0, seconds / 10):
            curve.append(round(backend.resident_mib))
        time.sleep(0.02)
    until = time.monotonic() + 120
    while any(one.client.pending for one in watched) and time.monotonic() < until:
        for one in watched:
            one.turn(asking=False)
        time.sleep(0.02)
    for one in watched:
        one.turn(asking=False)
        one.client.close()
    wrong = [line for one in watched for line in one.judge(quiet)]
    ends = Counter(asked.finals[0] for one in watched for asked in one.asked.values() if asked.finals)
    return {
        "clients": clients,
        "seconds": round(seconds),
        "requests": sum(len(one.asked) for one in watched),
        "answered_once": sum(len(asked.finals) == 1 for one in watched for asked in one.asked.values()),
        "ends": dict(ends.most_common()),
        "compared": sum(a.finals[:1] == ["done"] and a.key is not None for one in watched for a in one.asked.values()),
        "worst_ping_ms": round(max(one.worst_ping_s for one in watched) * 1000, 1),
        "rss_start_mib": round(before),
        "rss_curve_mib": curve,
        "rss_end_mib": round(backend.resident_mib),
        "wrong": wrong,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--clients", type=int, default=CLIENTS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    with ServiceProcess() as backend:
        row = soak(backend, args.minutes * 60, args.seed, args.clients)
        row["alive"] = backend.alive
        row["tracebacks"] = backend.log.read_text(errors="replace").count("Traceback")
    good = row["alive"] and not row["wrong"] and not row["tracebacks"] and row["requests"] > 0
    if args.json:
        print(json.dumps(row | {"ok": good}))
    else:
        for name, value in row.items():
            print(f"{name:<15} {value if name != 'wrong' else len(value)}")
        for line in row["wrong"][:20]:
            print(f"  {line}")
        print("all held" if good else "NOT ALL HELD")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
