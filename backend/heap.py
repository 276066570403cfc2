"""The C library's heap: what becomes of memory that is freed. For glibc; with another library nothing happens here.

glibc asks the system for every large block and returns it when it is freed. The system then has to clear each of its
pages again, for every map of every step: a twentieth to a tenth of an adaptation's time on a processor (docs/LOG.md).
Threads other than the main one have heaps of 64 MiB at the most, and gain half as much.
"""

from __future__ import annotations

import contextlib
import ctypes
import sys
import threading
from collections.abc import Iterator

MIB = 1 << 20
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of malloc.h: free bytes at the heap's end, and a block's bytes, from which they
go back to the system."""
KEEPING = {MMAP_THRESHOLD: 1024 * MIB, TRIM_THRESHOLD: 2047 * MIB}
USUAL = {MMAP_THRESHOLD: 32 * MIB, TRIM_THRESHOLD: 64 * MIB}
"""What glibc's own thresholds rise to in a process that frees large blocks."""

_lock = threading.Lock()
_keepers = 0


@contextlib.contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Freed memory stays with the process for its next use while anybody wants that; afterwards it goes back."""
    global _keepers
    with _lock:
        _keepers += 1
        if _keepers == 1:
            _set(KEEPING)
    try:
        yield
    finally:
        with _lock:
            _keepers -= 1
            if not _keepers:
                _set(USUAL)
                trim()


def trim() -> None:
    """Return freed memory to the system."""
    _call("malloc_trim", 0)


def _set(thresholds: dict[int, int]) -> None:
    for threshold, nbytes in thresholds.items():
        _call("mallopt", threshold, nbytes)


def _call(name: str, *arguments: int) -> None:
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # another C library than glibc
            getattr(ctypes.CDLL(None), name)(*arguments)
