from __future__ import annotations

import pytest
import torch
from latent_loom.backend.errors import OutOfMemory, as_loom_error


def test_a_picture_too_large_for_this_machine_is_out_of_memory_and_not_a_bug():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(10**15)
    assert isinstance(as_loom_error(caught.value), OutOfMemory)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate"),
    ],
)
def test_every_devices_way_of_saying_so_is_understood(error):
    told = as_loom_error(error)
    assert isinstance(told, OutOfMemory) and told.retryable


def test_what_we_do_not_know_stays_a_bug():
    assert as_loom_error(RuntimeError("shapes cannot be multiplied")) is None
