"""Loaded models: how much of them may stay in memory, and which go first. One for the whole process.

Models are kept because loading takes seconds, in two pools: "device" (generators, generators with styles folded in,
CLIPs) and "host" (styles, kept textures). Each pool has a budget; what was used longest ago goes first, what nobody has
used for a while goes in time, and all goes when the user wants the memory. To let go is to drop this reference: a job
that works with a model keeps it to its end.
"""

from __future__ import annotations

import contextlib
import gc
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch

from ..errors import OutOfMemory
from ..heap import trim

MIB = 1 << 20
DEVICE_SHARE, HOST_SHARE = 0.5, 0.125
"""Of the accelerator's memory; of the machine's. The rest is for the work, and for Blender."""
LEAST_MIB = 512
MOST_OF_A_KIND = 4
"""A slider of a style's strength folds it in anew at every position: the last few are worth keeping."""
ROOM_MIB = 64
"""Beside a model's own bytes while it is loaded."""
Key = tuple[Any, ...]
T = TypeVar("T")


@dataclass
class _Kept:
    value: Any
    nbytes: int
    used_s: float


class Pool:
    """Things by key, whose first part is their kind; the least recently used first.

    budget  bytes; one thing that is over it alone is kept all the same
    """

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self._lock = threading.RLock()
        self._kept: OrderedDict[Key, _Kept] = OrderedDict()

    @property
    def nbytes(self) -> int:
        return sum(kept.nbytes for kept in self._kept.values())

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: Key, make: Callable[[], T], *, expected: int = 0, most: int = MOST_OF_A_KIND) -> T:
        """What is kept under `key`, or what `make` makes, for which room is made before.

        expected  bytes that it will take; what it takes in truth is measured afterwards
        most      things of its kind that are kept
        """
        with self._lock:
            kept = self._kept.get(key)
            if kept is None:
                self._thin(key[0], most - 1)
                self._make_room(expected)
                value = make()
                kept = self._kept[key] = _Kept(value, nbytes_of(value), 0.0)
            kept.used_s = time.monotonic()
            self._kept.move_to_end(key)
            self._make_room(0)
            return kept.value

    def _thin(self, kind: Any, most: int) -> None:
        same = [key for key in self._kept if key[0] == kind]
        for key in same[: max(0, len(same) - most)]:
            del self._kept[key]

    def _make_room(self, wanted: int) -> None:
        """Let go of the oldest until `wanted` more bytes fit; the newest stays while it is being handed out."""
        stays = 0 if wanted else 1
        while len(self._kept) > stays and self.nbytes + wanted > self.budget:
            self._kept.popitem(last=False)

    def forget(self, unused_for_s: float = 0.0) -> int:
        """Let go of what nobody has asked for in so long; the bytes that it took."""
        with self._lock:
            before = time.monotonic() - unused_for_s
            old = [key for key, kept in self._kept.items() if kept.used_s <= before]
            return sum(self._kept.pop(key).nbytes for key in old)


def nbytes_of(value: Any) -> int:
    """Bytes of the tensors of a model, or in a dataclass or map; 0 for what holds none."""
    if isinstance(value, torch.Tensor):
        return value.numel() * value.element_size()
    if isinstance(value, torch.nn.Module):
        return sum(nbytes_of(t) for t in (*value.parameters(), *value.buffers()))
    if isinstance(value, dict):
        return sum(nbytes_of(item) for item in value.values())
    if isinstance(value, list | tuple):
        return sum(map(nbytes_of, value))
    if is_dataclass(value):
        return sum(nbytes_of(getattr(value, f.name)) for f in fields(value))
    return nbytes_of(getattr(value, "model", None)) if hasattr(value, "model") else 0  # a CLIP


class Models:
    """Both pools, and the way back to the system. See the top of this module."""

    def __init__(self) -> None:
        host = host_mib() * MIB
        self.device = Pool(max(LEAST_MIB * MIB, round(DEVICE_SHARE * host / 2)))
        self.host = Pool(max(LEAST_MIB * MIB, round(HOST_SHARE * host)))

    def set_budget(self, device: torch.device, mib: int | None = None) -> None:
        """The budget for models on `device`: `mib`, or a share of its memory."""
        if mib is not None:
            self.device.budget = mib * MIB
        elif device.type == "cuda":
            self.device.budget = round(DEVICE_SHARE * torch.cuda.get_device_properties(device).total_memory)

    def make_sure(self, device: torch.device, nbytes: int, what: str) -> None:
        """Before so much is allocated: free the other models where it is needed. Raises OutOfMemory where that is not
        enough."""
        from ..textures.memory import available_mib

        needed = nbytes // MIB + ROOM_MIB
        free = available_mib(device)
        if free is None or free >= needed:
            return
        self.free()
        free = available_mib(device)
        if free is not None and free < needed:
            raise OutOfMemory(f"{what} takes about {needed} MiB, and {free} MiB are free; close other programs.")

    def free(self, unused_for_s: float = 0.0) -> int:
        """Let go of the models that nobody has used for so long, and give what is free back to the system; bytes."""
        freed = self.device.forget(unused_for_s) + self.host.forget(unused_for_s)
        give_back()
        return freed


def give_back() -> None:
    """Return freed memory to the device and to the system."""
    gc.collect()
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    trim()


def held_mib(device: torch.device) -> int:
    """What this process holds now, of `device` where that has its own memory, else of the machine's; 0 = not known."""
    if device.type == "cuda":
        return torch.cuda.memory_reserved(device) // MIB
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmRSS:"))
    except (OSError, StopIteration, ValueError):
        return 0


def host_mib() -> int:
    """The machine's memory, or what its control group leaves to this process; 4096 where nobody can tell."""
    found = []
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        found.append(next(int(line.split()[1]) // 1024 for line in lines if line.startswith("MemTotal:")))
    with contextlib.suppress(OSError, ValueError):
        found.append(int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii")) // MIB)
    return min(found, default=4096)


MODELS = Models()
