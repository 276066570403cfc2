"""Which device computes, and how many threads it uses."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Device:
    """torch_name  what PyTorch calls it: "cuda", "mps", "cpu"
    label       for people: "cpu, 2 threads", "NVIDIA H100"
    memory_mib  in all; 0 = not known
    """

    torch_name: str
    label: str
    memory_mib: int


def find_device() -> Device:
    """The best device of this machine."""
    import torch

    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        return Device(torch_name="cuda", label=properties.name, memory_mib=properties.total_memory >> 20)
    if torch.backends.mps.is_available():
        return Device(torch_name="mps", label="Apple GPU", memory_mib=_host_memory_mib())
    threads = torch.get_num_threads()
    return Device(torch_name="cpu", label=f"cpu, {threads} thread{'s' * (threads > 1)}", memory_mib=_host_memory_mib())


def leave_room_for_others() -> None:
    """On four cores or more leave one to the program that shows the pictures, unless the user chose a number."""
    import torch

    if "OMP_NUM_THREADS" not in os.environ and torch.get_num_threads() >= 4:
        torch.set_num_threads(torch.get_num_threads() - 1)


def _host_memory_mib() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return 0
