"""Connections that may say little until they are trusted: the system drops half of their large packets.

Who streams on loopback fills a socket faster than it can be stopped: to ask how much has come, or to shut it, takes the
socket's lock, which the thread that reads it holds almost always (70 ms of waiting were measured, 100 MiB of stream).
So the brake is put on when a connection is accepted. Nothing that is small is touched, so a handshake is as quick as
ever; a large packet that is dropped is sent again, later each time, as TCP does: a stream becomes a trickle.

Source  Linux, Documentation/networking/filter.rst (classic BPF on a socket); elsewhere nothing happens
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import struct
import sys

SMALL_BYTES = 16 * 1024
"""A packet up to this size, headers included, always comes through: a hello is a fraction of it."""

_ATTACH, _DETACH = 26, 27  # SO_ATTACH_FILTER, SO_DETACH_FILTER (asm-generic/socket.h)
_RANDOM = 0xFFFFF000 + 56  # SKF_AD_OFF + SKF_AD_RANDOM
_PROGRAM = b"".join(
    struct.pack("=HBBI", *instruction)
    for instruction in (
        (0x80, 0, 0, 0),  # load the packet's length
        (0x25, 0, 2, SMALL_BYTES),  # not greater: take it
        (0x20, 0, 0, _RANDOM),  # load a random number
        (0x45, 1, 0, 1),  # odd: drop it
        (0x06, 0, 0, 0xFFFFFFFF),  # take all of it
        (0x06, 0, 0, 0),  # drop it
    )
)
_KEPT = ctypes.create_string_buffer(_PROGRAM, len(_PROGRAM))
_FILTER = struct.pack("@HP", len(_PROGRAM) // 8, ctypes.addressof(_KEPT))


def slow(fd: int) -> None:
    """Put the brake on the connection with this descriptor, whoever owns it."""
    _set(fd, _ATTACH, _FILTER)


def free(fd: int) -> None:
    """Take it off."""
    _set(fd, _DETACH, 0)


def _set(fd: int, option: int, value: int | bytes) -> None:
    """Nothing happens where there is no such option, or no socket: it may have ended meanwhile."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(fd)) as connection:
            connection.setsockopt(socket.SOL_SOCKET, option, value)
