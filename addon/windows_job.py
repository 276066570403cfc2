# SPDX-License-Identifier: GPL-3.0-or-later
"""A Job Object of Windows: whatever is put in it ends with this process, however that ends. No bpy.

The backend watches its standard input everywhere; on Windows this is a second line, for a child that hangs before it
looks. A detached batch leaves the job by CREATE_BREAKAWAY_FROM_JOB, which the job allows. Nothing here ever ran on
Windows: the tests give it a kernel that writes down what it is asked (docs/untested.md).

Source  Microsoft's documentation of JOBOBJECT_EXTENDED_LIMIT_INFORMATION
"""

from __future__ import annotations

import ctypes
from typing import Any

KILL_ON_JOB_CLOSE, BREAKAWAY_OK = 0x2000, 0x0800
EXTENDED_LIMITS = 9


class _Basic(ctypes.Structure):
    _fields_ = (
        ("PerProcessUserTimeLimit", ctypes.c_int64),
        ("PerJobUserTimeLimit", ctypes.c_int64),
        ("LimitFlags", ctypes.c_uint32),
        ("MinimumWorkingSetSize", ctypes.c_size_t),
        ("MaximumWorkingSetSize", ctypes.c_size_t),
        ("ActiveProcessLimit", ctypes.c_uint32),
        ("Affinity", ctypes.c_size_t),
        ("PriorityClass", ctypes.c_uint32),
        ("SchedulingClass", ctypes.c_uint32),
    )


class _Extended(ctypes.Structure):
    _fields_ = (
        ("Basic", _Basic),
        ("IoCounters", ctypes.c_uint64 * 6),
        ("ProcessMemoryLimit", ctypes.c_size_t),
        ("JobMemoryLimit", ctypes.c_size_t),
        ("PeakProcessMemoryUsed", ctypes.c_size_t),
        ("PeakJobMemoryUsed", ctypes.c_size_t),
    )


class Job:
    """Holds the handle: the job ends when this process does, or at `close`."""

    def __init__(self, kernel: Any = None) -> None:
        """Raises OSError where Windows makes none."""
        self._kernel = kernel if kernel is not None else _kernel32()
        self._handle = self._kernel.CreateJobObjectW(None, None)
        if not self._handle:
            raise OSError("Windows made no Job Object.")
        limits = _Extended()
        limits.Basic.LimitFlags = KILL_ON_JOB_CLOSE | BREAKAWAY_OK
        size = ctypes.sizeof(limits)
        if not self._kernel.SetInformationJobObject(self._handle, EXTENDED_LIMITS, ctypes.pointer(limits), size):
            self.close()
            raise OSError("Windows refused the limits of a Job Object.")

    def add(self, process_handle: int) -> bool:
        """Put a process in; False where Windows refuses (it may be in a job that allows no other)."""
        return bool(self._kernel.AssignProcessToJobObject(self._handle, process_handle))

    def close(self) -> None:
        """Let go of the job, which ends what is in it."""
        if self._handle:
            self._kernel.CloseHandle(self._handle)
            self._handle = 0


def _kernel32() -> Any:
    kernel = ctypes.WinDLL("kernel32", use_last_error=True)  # type: ignore[attr-defined]  # Windows alone has it
    handle = ctypes.c_void_p
    kernel.CreateJobObjectW.restype = handle
    kernel.SetInformationJobObject.argtypes = (handle, ctypes.c_int, ctypes.c_void_p, ctypes.c_uint32)
    kernel.AssignProcessToJobObject.argtypes = (handle, handle)
    kernel.CloseHandle.argtypes = (handle,)
    return kernel
