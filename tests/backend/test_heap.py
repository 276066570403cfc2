"""Freed memory stays while somebody wants it to, and goes back afterwards."""

from __future__ import annotations

import ctypes
import resource
import sys

import pytest
from latent_loom.backend import heap

BLOCK = 96 * heap.MIB
"""Over what glibc asks the system for at the latest."""
GLIBC = sys.platform == "linux" and hasattr(ctypes.CDLL(None), "gnu_get_libc_version")


def page_faults() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def faults_of_a_second_use() -> int:
    library = ctypes.CDLL(None)
    library.malloc.restype, library.free.argtypes = ctypes.c_void_p, (ctypes.c_void_p,)
    before = 0
    for _ in range(2):
        before = page_faults()
        block = library.malloc(ctypes.c_size_t(BLOCK))
        ctypes.memset(block, 1, BLOCK)
        library.free(block)
    return page_faults() - before


@pytest.mark.skipif(not GLIBC, reason="another C library than glibc")
def test_a_block_that_was_freed_is_had_again_without_the_system_while_that_is_wanted():
    usual = faults_of_a_second_use()  # fewer where the system has huge pages for all
    assert usual > 8
    with heap.freed_memory_kept():
        with heap.freed_memory_kept():
            assert faults_of_a_second_use() < usual / 4
        assert faults_of_a_second_use() < usual / 4, "the outer one still wants it"
    assert faults_of_a_second_use() > usual / 2


def test_without_glibc_nothing_happens(monkeypatch):
    def none(name):
        raise OSError

    monkeypatch.setattr(ctypes, "CDLL", none)
    with heap.freed_memory_kept():
        heap.trim()
