# SPDX-License-Identifier: GPL-3.0-or-later
"""What this computer is, as far as setting up a backend must know it, and which PyTorch is right for it. No bpy.

Windows and macOS have never run this; its tests fake them (docs/untested.md).
"""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

GIB = 2**30
# `du -sh` of an environment on Linux with torch 2.14.1 and CUDA's libraries says 5.5 GiB; there is room for pip's own
# copies. The other numbers are the sizes that PyTorch's index tells for its wheels, and twice that unpacked.
CUDA_GIB, CPU_GIB = (3.0, 7.0), (0.4, 1.6)
PYTORCH = "https://download.pytorch.org/whl"
CUDA_INDEX, CPU_INDEX = f"{PYTORCH}/cu128", f"{PYTORCH}/cpu"
# Windows refuses paths of 260 letters and more; PyTorch's longest is this long below its environment.
WINDOWS_PATH, DEEPEST = 259, 140


@dataclass(frozen=True, kw_only=True)
class Machine:
    """system  linux, windows or macos; nvidia: whether NVIDIA's driver is installed"""

    system: str
    nvidia: bool = False

    @property
    def windows(self) -> bool:
        return self.system == "windows"


def this_machine(
    system: str = platform.system(),
    which: Callable[[str], str | None] = shutil.which,
    environ: Mapping[str, str] = os.environ,
) -> Machine:
    """The computer that Blender runs on. NVIDIA's driver is known by its `nvidia-smi`; nothing is started."""
    name = {"Windows": "windows", "Darwin": "macos"}.get(system, "linux")
    beside = Path(environ.get("SYSTEMROOT", r"C:\Windows"), "System32", "nvidia-smi.exe")
    found = which("nvidia-smi") is not None or (name == "windows" and beside.is_file())
    return Machine(system=name, nvidia=found and name != "macos")


@dataclass(frozen=True, kw_only=True)
class Torch:
    """Where PyTorch comes from.

    index         address of the package index, "" for the usual one (PyPI)
    download_gib  what is fetched, about, with all that belongs to it
    disk_gib      what it takes in the end, about
    about         for people: what it computes on
    """

    index: str
    download_gib: float
    disk_gib: float
    about: str


def torch_for(machine: Machine, choice: str = "AUTO") -> Torch:
    """The PyTorch for `machine`. `choice`: AUTO, GPU (as if there were an NVIDIA GPU) or CPU (the small one).

    PyPI has CUDA's for Linux, the processor's for Windows, and one that knows Apple's GPUs for macOS.
    """
    if machine.system == "macos":
        return Torch(index="", download_gib=CPU_GIB[0], disk_gib=CPU_GIB[1], about="Apple GPU or processor")
    gpu = choice == "GPU" or (choice == "AUTO" and machine.nvidia)
    if machine.windows:
        if gpu:
            return Torch(index=CUDA_INDEX, download_gib=CUDA_GIB[0], disk_gib=CUDA_GIB[1], about="NVIDIA GPU")
        return Torch(index="", download_gib=CPU_GIB[0], disk_gib=CPU_GIB[1], about="processor only")
    if choice == "CPU":
        return Torch(index=CPU_INDEX, download_gib=CPU_GIB[0], disk_gib=CPU_GIB[1], about="processor only")
    about = "NVIDIA GPU" if gpu else "processor; an NVIDIA GPU would be used too"
    return Torch(index="", download_gib=CUDA_GIB[0], disk_gib=CUDA_GIB[1], about=about)


def backend_folder(chosen: str, own: Path, data: Path, *, windows: bool = os.name == "nt") -> Path:
    """Where the backend's environment is made: the user's choice, else the add-on's `own` folder for it.

    On Windows that may be too deep for PyTorch's longest file; then it is in `data`, the backend's own folder.
    """
    if chosen:
        return Path(chosen)
    if windows and len(str(own)) + DEEPEST > WINDOWS_PATH:
        return data / "environment"
    return own


def too_deep(folder: Path, *, windows: bool = os.name == "nt") -> bool:
    """Whether Windows would refuse the longest path in `folder`."""
    return windows and len(str(folder)) + DEEPEST > WINDOWS_PATH


def free_gib(folder: Path) -> float:
    """Room on the disk that `folder` is, or would be, on."""
    there = next(place for place in (folder, *folder.parents) if place.exists())
    return shutil.disk_usage(there).free / GIB
