"""Suspends a real backend in the middle of every kind of job, and of none: is anything lost?

    python scripts/soak_suspensions.py [--seconds 30] [--rounds 1] [--seed 0] [--only KIND ...] [--json FILE]

SIGSTOP at a random moment of the job, SIGCONT after 30 s, as a debugger, a virtual machine that moves or a lid that is
closed would. The client polls all the while. Afterwards: the request has ended once and well, in the same life of the
backend; the client is welcome and answered; every file is whole (as in soak_kills.py, whose jobs these are). Prints a
table; exit code 1 where anything did not hold.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from soak_backend import Home, Nursery, table
from soak_kills import RESUMED, Soak, whole

IDLE = "none"
END_LIMIT_S = 300.0
SHORT_S = 0.2
"""Shorter jobs are met at their beginning: a client hears of their end at once."""


@dataclass
class Suspension:
    """One of them. done_s: from its end to the answer."""

    kind: str
    landed: bool = False  # while the job ran
    lost: bool = False  # the client noticed
    done_s: float = 0.0
    wrong: list[str] = field(default_factory=list)


class Watch:
    """What the client hears of one request, and of its connection."""

    def __init__(self, client: Any) -> None:
        self.client, self.id = client, 0
        self.ends: list[Any] = []
        self.lost = False

    def poll(self, seconds: float) -> None:
        for event in self.client.poll(seconds):
            self.lost |= type(event).__name__ == "Lost"
            if getattr(event, "id", None) == self.id and (hasattr(event, "value") or hasattr(event, "error")):
                self.ends.append(event)

    def until(self, moment_s: float) -> None:
        while (left_s := moment_s - time.monotonic()) > 0:
            self.poll(min(0.05, left_s))


def suspend(run: Soak, kind: str, seconds: float, draw: random.Random) -> Suspension:
    one, watch = Suspension(kind), Watch(run.client)
    session = run.client.welcome.session
    if kind == RESUMED:
        run._begin_resumed()
    if kind != IDLE:
        type, params = run.kinds[kind]
        watch.id = run.client.send(type, params)
        takes_s = run.tallies[kind].duration_s
        watch.until(time.monotonic() + (draw.uniform(0.0, 0.7 * takes_s) if takes_s > SHORT_S else 0.0))
    one.landed = kind != IDLE and not watch.ends
    os.kill(run.pid, signal.SIGSTOP)
    try:
        watch.until(time.monotonic() + seconds)
    finally:
        os.kill(run.pid, signal.SIGCONT)
    began_s = time.monotonic()
    if kind == IDLE:
        watch.id = run.client.send("styles", {})
    while not watch.ends and time.monotonic() - began_s < END_LIMIT_S:
        watch.poll(0.02)
    one.done_s = time.monotonic() - began_s
    watch.until(time.monotonic() + 0.3)  # a second answer would come by now
    one.lost = watch.lost
    one.wrong = [*_judge(run, watch, session), *whole(run.home)]
    return one


def _judge(run: Soak, watch: Watch, session: str) -> Iterable[str]:
    from latent_loom.protocol.errors import BackendLost, RequestError

    if len(watch.ends) != 1:
        yield f"the request ended {len(watch.ends)} times"
    for end in watch.ends:
        if hasattr(end, "error"):
            yield f"it ended with {end.error}"
    try:
        run.client.request("status", {}, timeout_s=60)
    except (RequestError, BackendLost) as error:
        yield f"the backend does not answer: {error}"
    if run.client.welcome.session != session:
        yield "it is another life of the backend"


def soak(folder: Path, *, seconds: float, rounds: int = 1, seed: int = 0, only: Sequence[str] = ()) -> list[Suspension]:
    """Every kind (or `only` those), `rounds` times."""
    nursery, draw = Nursery(), random.Random(seed)
    run = Soak(Home(folder), nursery, seed)
    try:
        kinds = only or (IDLE, *run.kinds)
        run.kinds = {name: run.kinds[name] for name in kinds if name != IDLE}
        run.calibrate()
        return [suspend(run, kind, seconds, draw) for _ in range(rounds) for kind in kinds]
    finally:
        run.close()
        nursery.close()


def report(found: Sequence[Suspension]) -> str:
    rows: list[list[Any]] = [
        [one.kind, "yes" if one.landed else "no", "yes" if one.lost else "no", f"{one.done_s:.2f}", len(one.wrong)]
        for one in found
    ]
    rows.append(["**all**", sum(one.landed for one in found), sum(one.lost for one in found),
                 f"{max(one.done_s for one in found):.2f}", sum(len(one.wrong) for one in found)])  # fmt: skip
    return table(rows, ["job", "while it ran", "the client noticed", "answered after s", "wrong"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=30.0, help="of each suspension (30)")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", default=(), metavar="KIND")
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="loom-suspensions-") as folder:
        found = soak(Path(folder), seconds=args.seconds, rounds=args.rounds, seed=args.seed, only=args.only)
    print(report(found))
    for one in found:
        for sentence in one.wrong:
            print(f"WRONG, {one.kind}: {sentence}")
    if args.json:
        args.json.write_text(json.dumps([vars(one) for one in found], indent=1))
    return 1 if any(one.wrong for one in found) else 0


if __name__ == "__main__":
    sys.exit(main())
