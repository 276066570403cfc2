"""The value of the request `status`: what runs, what waits, who is here, what it takes. SPEC.md describes it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

from ...protocol import VERSION
from ..job import Progress
from .auth import Doorkeeper
from .device import Device
from .eta import Eta
from .gate import Gate
from .jobs import Line, Ticket
from .tally import Tally, device_mib, resident_mib

MOST_SHOWN = 100
"""Jobs and clients in one answer; `queued` counts all."""


def value_of_status(
    device: Device,
    lines: Mapping[str, Line],
    etas: Mapping[Ticket, Eta],
    tally: Tally,
    doorkeeper: Doorkeeper,
    gate: Gate,
) -> dict[str, Any]:
    """For the I/O thread alone, since it alone changes these."""
    now = time.monotonic()
    running = [line.running for line in lines.values() if line.running is not None]
    waiting = [ticket for line in lines.values() for ticket in line]
    jobs = [_job(ticket, "running", etas.get(ticket), now) for ticket in running]
    jobs += [_job(ticket, "queued", None, now) for ticket in waiting[:MOST_SHOWN]]
    pending = Counter(ticket.peer for ticket in (*running, *waiting))
    outcomes: Counter[str] = Counter()
    for (_, outcome), count in tally.ended.items():
        outcomes[outcome] += count
    return {
        "state": "busy" if running else "idle",
        "device": device.label,
        "memory_mib": device.memory_mib,
        "jobs": jobs,
        "queued": len(waiting),
        "version": VERSION,
        "uptime_s": round(tally.uptime_s, 1),
        "resident_mib": round(resident_mib(), 1),
        "device_mib": round(device_mib(), 1),
        "clients": [
            {
                "client": peer.hex()[:8],
                "name": client.name[:64],
                "version": client.version[:64],
                "user": client.user,
                "pending": pending[peer],
                "seconds": round(now - client.since_s, 1),
            }
            for peer, client in list(tally.clients.items())[:MOST_SHOWN]
        ],
        "ended": dict(outcomes),
        "refused": doorkeeper.refused + gate.shut_out,
    }


def _job(ticket: Ticket, state: str, eta: Eta | None, now: float) -> dict[str, Any]:
    progress = ticket.progress or Progress(done=0, total=0, stage="")
    began_s = ticket.began_s
    return {
        "id": ticket.id,
        "type": ticket.type,
        "stage": progress.stage,
        "done": progress.done,
        "total": progress.total,
        "client": ticket.peer.hex()[:8],
        "state": state,
        "seconds": round(now - (began_s if began_s is not None else ticket.put_s), 1),
        "eta_s": None if eta is None or eta.left_s is None else round(eta.left_s, 1),
    }
