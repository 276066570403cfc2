"""`latent-loom top`: what a running backend does. Live on a terminal; once in a pipe, and as one object with --json."""

from __future__ import annotations

import argparse
import contextlib
import re
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

from ...protocol.client import Client
from . import values
from .console import Console
from .options import add_common

HOME_AND_CLEAR = "\x1b[H\x1b[J"
ANSWER_S = 5.0
ROWS = 12


def add(commands) -> None:
    parser = commands.add_parser("top", help="show what a running backend does: jobs, queue, clients, memory")
    parser.add_argument(
        "--connection-file",
        type=values.path,
        metavar="FILE",
        help="connection file of the backend (default: the user's)",
    )
    parser.add_argument("--interval", type=values.number, default=1.0, metavar="S", help="seconds between looks (1)")
    parser.add_argument("--once", action="store_true", help="look once, on a terminal too")
    add_common(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    live = sys.stdout.isatty() and not (console.as_json or args.once)
    with Client.from_connection_file(args.connection_file, client="latent-loom top") as client:
        status = _look(client)
        if live:
            with contextlib.suppress(KeyboardInterrupt):  # how one leaves it; nothing was interrupted
                while True:
                    _paint(status)
                    time.sleep(max(0.1, args.interval))
                    status = _look(client)
        else:
            for line in view(status):
                console.say(line)
    return status


def _look(client: Client) -> dict[str, Any]:
    return dict(client.request("status", {}, timeout_s=ANSWER_S).value)


def _paint(status: Mapping[str, Any]) -> None:
    width, height = shutil.get_terminal_size()
    lines = [line[:width] for line in view(status)][: height - 1]
    print(HOME_AND_CLEAR + "\n".join(lines), flush=True)


def view(status: Mapping[str, Any]) -> Iterator[str]:
    """The lines of one look. Fields that an older backend does not have are left out."""
    head = [f"latent-loom {status['version']}", str(status["state"]), f"{status['queued']} waiting"]
    if "uptime_s" in status:
        head.append(f"up {spell_s(status['uptime_s'])}")
    yield ", ".join(head)
    memory = [f"memory {status['resident_mib']:,.0f} MiB" for _ in [0] if "resident_mib" in status]
    if status.get("device_mib"):
        memory.append(f"GPU {status['device_mib']:,.0f} of {status['memory_mib']:,} MiB")
    yield "; ".join([str(status["device"]), *memory])
    if ended := status.get("ended"):
        yield "ended: " + ", ".join(f"{count} {how}" for how, count in sorted(ended.items(), key=lambda one: -one[1]))
    if status.get("refused"):
        yield f"{status['refused']} connections refused"
    yield ""
    yield f"{'ID':>6}  {'CLIENT':<9}{'TYPE':<15}{'STATE':<9}{'TIME':>7}  {'DONE':>11}  {'LEFT':>7}  STAGE"
    jobs = list(status["jobs"])
    for job in jobs[:ROWS]:
        yield _job(job)
    if len(jobs) > ROWS:
        yield f"        ... and {len(jobs) - ROWS} more"
    yield ""
    for one in list(status.get("clients", ()))[:ROWS]:
        yield (
            f"{one['client']:<9}{printable(one['name'])[:24]:<25}{printable(one['user'])[:16]:<17}"
            f"{one['pending']:>4} pending, here {spell_s(one['seconds'])}"
        )


def _job(job: Mapping[str, Any]) -> str:
    done = f"{job['done']}/{job['total']}" if job["total"] else str(job["done"] or "")
    left = "" if job.get("eta_s") is None else spell_s(job["eta_s"])
    took = spell_s(job["seconds"]) if "seconds" in job else ""
    return (
        f"{job['id']:>6}  {job.get('client', ''):<9}{job['type']:<15}{job.get('state', ''):<9}{took:>7}  {done:>11}  "
        f"{left:>7}  {printable(job['stage'])}"
    )


def printable(text: str) -> str:
    """A name from another program, without what would move the cursor."""
    return re.sub(r"[^ -~\u00a0-\u2027\u202a-\uffff]", "?", str(text))


def spell_s(seconds: float) -> str:
    """7 s, 3:07, 2:03:07, 4 d 2 h."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02}"
    if whole < 86_400:
        return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"
    return f"{whole // 86_400} d {whole // 3600 % 24} h"
