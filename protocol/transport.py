"""Messages through a ZeroMQ socket, without waiting and without a copy of what is large. Both ends use it.

pyzmq's `send_multipart` and `recv_multipart` would do, but build an exception for every "nothing there" and a flag
object for every frame: a quarter of the Python code that a message took in the client (docs/LOG.md).
"""

from __future__ import annotations

from collections.abc import Sequence

import zmq

from .frames import Frame

LARGE_BYTES = 64 * 1024
"""From here on a frame is not copied: it is sent from where it lies, and received as a view of ZeroMQ's memory."""

_EVENTS, _POLLIN = zmq.EVENTS, int(zmq.POLLIN)
_NOBLOCK, _NOBLOCK_AND_MORE = int(zmq.NOBLOCK), int(zmq.NOBLOCK | zmq.SNDMORE)


def receive(socket: zmq.Socket) -> list[zmq.Frame] | None:
    """The frames of one message that has arrived; None where there is none. Only frames, and not their bytes, tell by
    which connection they came and whose that is.

    Raises  zmq.ZMQError
    """
    if not socket.getsockopt(_EVENTS) & _POLLIN:  # type: ignore[operator]  # this option is a number
        return None
    try:
        parts = [socket.recv(_NOBLOCK, copy=False)]
    except zmq.Again:  # what was there was no message (a connection that ended)
        return None
    while parts[-1].more:  # a message arrives whole
        parts.append(socket.recv(copy=False))
    return parts


def contents(parts: Sequence[zmq.Frame]) -> list[Frame]:
    """What `frames.decode` reads. Small frames are not worth keeping ZeroMQ's memory for."""
    return [part.bytes if len(part) < LARGE_BYTES else part.buffer for part in parts]


def send(socket: zmq.Socket, frames: Sequence[Frame]) -> None:
    """Send one message; its frames must not change any more.

    Raises  zmq.Again: it cannot leave now, and nothing was sent; zmq.ZMQError
    """
    last = len(frames) - 1
    for n, frame in enumerate(frames):
        socket.send(frame, _NOBLOCK_AND_MORE if n < last else _NOBLOCK, copy=len(frame) < LARGE_BYTES)
