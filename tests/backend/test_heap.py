"""Freed memory stays while somebody wants it to, and goes back afterwards."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest
from latent_loom.backend import heap

GLIBC = sys.platform == "linux" and hasattr(ctypes.CDLL(None), "gnu_get_libc_version")
USES = """
import ctypes, resource
from latent_loom.backend import heap

library = ctypes.CDLL(None)
library.malloc.restype, library.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
library.free.argtypes = [ctypes.c_void_p]

def faults_of_a_second_use(nbytes=96 * heap.MIB):
    "Page faults; the size is over what glibc asks the system for at the latest."
    for _ in range(2):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        block = library.malloc(nbytes)
        ctypes.memset(block, 1, nbytes)
        library.free(block)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print(faults_of_a_second_use())
with heap.freed_memory_kept():
    with heap.freed_memory_kept():
        print(faults_of_a_second_use())
    print(faults_of_a_second_use())
print(faults_of_a_second_use())
"""


@pytest.mark.skipif(not GLIBC, reason="another C library than glibc")
def test_a_block_that_was_freed_is_had_again_without_the_system_while_that_is_wanted():
    """In a process of its own: in one whose memory once ran out, glibc's large blocks are always the system's."""
    said = subprocess.run([sys.executable, "-c", USES], capture_output=True, text=True, check=True).stdout
    usual, inner, outer, after = map(int, said.split())
    assert usual > 8  # fewer than pages where the system has huge ones for all
    assert inner < usual / 4
    assert outer < usual / 4, "the outer one still wants it"
    assert after > usual / 2


def test_without_glibc_nothing_happens(monkeypatch):
    def none(name):
        raise OSError

    monkeypatch.setattr(ctypes, "CDLL", none)
    with heap.freed_memory_kept():
        heap.trim()
