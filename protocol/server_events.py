"""What `server_state` tells the loop that has the sockets; the top of that module says what each asks of it."""

from __future__ import annotations

import enum
from collections.abc import Hashable
from dataclasses import dataclass

from . import messages

Peer = Hashable
"""What the transport calls a client: the ROUTER's identity frame."""


@dataclass(frozen=True)
class PeerJoined:
    peer: Peer
    client: str
    version: str


@dataclass(frozen=True)
class PeerLeft:
    peer: Peer
    reason: str


@dataclass(frozen=True)
class RequestArrived:
    peer: Peer
    request: messages.Request


@dataclass(frozen=True)
class RequestWithdrawn:
    peer: Peer
    id: int
    reason: str


@dataclass(frozen=True)
class CancelRequested:
    peer: Peer
    id: int
    reason: str


@dataclass(frozen=True)
class ShutdownRequested:
    peer: Peer


Event = PeerJoined | PeerLeft | RequestArrived | RequestWithdrawn | CancelRequested | ShutdownRequested


class Sending(enum.Enum):
    """What became of one message that the transport was asked to send without waiting."""

    SENT = "sent"
    BLOCKED = "blocked"  # EAGAIN: the peer does not read
    GONE = "gone"  # EHOSTUNREACH: there is no such peer any more
