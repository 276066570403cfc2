"""Metrics for an existing tool: a file in Prometheus' text format, for node_exporter's textfile collector.

A file and no port: a port on loopback would be open to every user of the machine, and would be one more thing that
listens. The file has the owner's umask, is written whole, and says when the service last wrote it by its own time.

Source  https://prometheus.io/docs/instrumenting/exposition_formats/ (text format 0.0.4)
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path

from ...protocol import VERSION
from ..textures.files import write_atomic
from .auth import Doorkeeper
from .gate import Gate
from .journal import about
from .tally import BOUNDS_S, Tally, device_mib, resident_mib

log = logging.getLogger(__name__)

EVERY_S = 10.0
"""Prometheus asks every 15 s to 60 s."""


class Exposition:
    """Writes `file` every EVERY_S seconds inside a `with`, from a thread of its own: a disk may be slow."""

    def __init__(self, file: Path, tally: Tally, doorkeeper: Doorkeeper, gate: Gate) -> None:
        self._file, self._tally, self._doorkeeper, self._gate = file, tally, doorkeeper, gate
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._write_often, name="metrics", daemon=True)

    def __enter__(self) -> Exposition:
        self._thread.start()
        return self

    def __exit__(self, *about: object) -> None:
        self._end.set()
        self._thread.join(5.0)

    def _write_often(self) -> None:
        failed = False
        while True:
            try:
                write_atomic(self._file, self.text().encode())
                failed = False
            except Exception as error:  # a full disk; the next time may do, and the service has other work
                if not failed:
                    log.warning("cannot write the metrics: %s", error, extra=about("metrics_failed"))
                failed = True
            if self._end.wait(EVERY_S):
                return

    def text(self) -> str:
        """The whole file."""
        tally, refused, shut_out = self._tally, self._doorkeeper.refused, self._gate.shut_out
        return "".join(
            [
                *_family("info", "gauge", "Version of the backend.", [({"version": VERSION}, 1)]),
                *_family("uptime_seconds", "gauge", "Since the backend began to listen.", [({}, tally.uptime_s)]),
                *_family("resident_bytes", "gauge", "Memory of the process.", [({}, resident_mib() * 2**20)]),
                *_family("device_bytes", "gauge", "Memory of the GPU that is held.", [({}, device_mib() * 2**20)]),
                *_family("clients", "gauge", "Clients that are greeted.", [({}, len(tally.clients))]),
                *_family("requests_pending", "gauge", "Requests without an answer yet.", [({}, tally.pending)]),
                *_family(
                    "requests_total", "counter", "Requests by their end: done, or an error's code.",
                    [({"type": kind, "outcome": how}, n) for (kind, how), n in sorted(tally.ended.copy().items())],
                ),
                *_family(
                    "refused_connections_total", "counter", "Connections that never came in.",
                    [({"by": "handshake"}, refused), ({"by": "porch"}, shut_out)],
                ),
                *_histogram(tally),
            ]
        )  # fmt: skip


def _family(name: str, kind: str, help: str, samples: list[tuple[dict[str, str], float]]) -> Iterator[str]:
    yield f"# HELP latent_loom_{name} {help}\n# TYPE latent_loom_{name} {kind}\n"
    yield from (_sample(name, labels, value) for labels, value in samples)


def _histogram(tally: Tally) -> Iterator[str]:
    yield from _family("job_seconds", "histogram", "Time that the work of a request took.", [])
    within, seconds = tally.within.copy(), tally.seconds.copy()
    for kind, total in sorted(seconds.items()):
        for bound in (*BOUNDS_S, float("inf")):
            le = "+Inf" if bound == float("inf") else f"{bound:g}"
            yield _sample("job_seconds_bucket", {"type": kind, "le": le}, within[kind, bound])
        yield _sample("job_seconds_sum", {"type": kind}, total)
        yield _sample("job_seconds_count", {"type": kind}, within[kind, float("inf")])


def _sample(name: str, labels: dict[str, str], value: float) -> str:
    told = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
    return f"latent_loom_{name}{{{told}}} {value:.10g}\n" if told else f"latent_loom_{name} {value:.10g}\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
