"""What a service has done and holds, for `status`, `latent-loom top` and the metrics. The I/O thread alone uses it."""

from __future__ import annotations

import contextlib
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

BOUNDS_S = (0.1, 1.0, 10.0, 60.0, 600.0, 3600.0)
"""Upper bounds of the classes that durations are counted in."""


@dataclass(eq=False, kw_only=True)
class Client:
    """One greeted client. name, version: what it said; user: who it is (`guests.OWNER` or the name of its key)."""

    name: str
    version: str
    user: str
    since_s: float


class Tally:
    """ended     (type, outcome) -> requests; the outcome is `done` or an error's code
    seconds   type -> seconds of work in all
    within    (type, bound) -> requests whose work took at most `bound` seconds; inf: all
    pending   requests without an answer
    """

    def __init__(self) -> None:
        self.began_s = time.monotonic()
        self.clients: dict[bytes, Client] = {}
        self.ended: Counter[tuple[str, str]] = Counter()
        self.seconds: Counter[str] = Counter()
        self.within: Counter[tuple[str, float]] = Counter()
        self.pending = 0

    @property
    def uptime_s(self) -> float:
        return time.monotonic() - self.began_s

    def end(self, type: str, outcome: str, seconds: float | None) -> None:
        """A request has its answer. seconds: of work, None where it never ran."""
        self.ended[type, outcome] += 1
        if seconds is None:
            return
        self.seconds[type] += seconds  # type: ignore[assignment]  # a Counter adds floats as well
        for bound in (*BOUNDS_S, float("inf")):
            if seconds <= bound:
                self.within[type, bound] += 1


def resident_mib() -> float:
    """Memory of this process that is in use now; where the system does not tell (not Linux), its highest so far."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        import resource

        return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * resource.getpagesize() / 2**20
    with contextlib.suppress(ImportError):
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB on Linux, bytes on macOS
        return peak / (2**20 if sys.platform == "darwin" else 2**10)
    return 0.0


def device_mib() -> float:
    """Memory of the GPU that PyTorch holds in this process; 0 on a processor, or before PyTorch is there."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():  # asking for the driver anew takes a millisecond
        return 0.0
    return torch.cuda.memory_reserved() / 2**20
