"""Whom and how much a server takes; every refusal is a sentence for people. SPEC.md, section 6, has the defaults."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from . import limits


@dataclass(frozen=True, kw_only=True)
class Admission:
    """max_pending_per_peer, max_pending     requests without an answer: of one client, of all
    max_pending_bytes, max_request_bytes  what all those carry, and what one may carry
    max_peers                             greeted clients
    """

    max_pending_per_peer: int = limits.MAX_PENDING_PER_PEER
    max_pending: int = limits.MAX_PENDING
    max_pending_bytes: int = limits.MAX_PENDING_BYTES
    max_request_bytes: int = limits.MAX_REQUEST_BYTES
    max_peers: int = limits.MAX_PEERS

    def shown(self) -> dict[str, float]:
        """What `welcome` says of them, and of the limits that all servers have."""
        return {
            "header_bytes": limits.MAX_HEADER_BYTES,
            "spilled_bytes": limits.MAX_SPILLED_BYTES,
            "items": limits.MAX_ITEMS,
            "arrays": limits.MAX_ARRAYS,
            "frame_bytes": limits.MAX_FRAME_BYTES,
            "message_bytes": limits.MAX_MESSAGE_BYTES,
            "request_bytes": self.max_request_bytes,
            "picture_px": limits.MAX_PICTURE_PX,
            "pending": self.max_pending_per_peer,
            "pending_of_all": self.max_pending,
            "pending_bytes": self.max_pending_bytes,
            "peers": self.max_peers,
            "connections": limits.MAX_CONNECTIONS,
            "hello_within_s": limits.HELLO_WITHIN_S,
            "queued_messages": limits.MAX_QUEUED_MESSAGES,
            "queued_bytes": limits.MAX_QUEUED_BYTES,
        }

    def of_peer(self, peers: int) -> str | None:
        """Why nobody else is greeted beside `peers` clients; None where somebody is."""
        if peers < self.max_peers:
            return None
        return f"{self.max_peers} clients use this backend already; close one of them and try again."

    def of_size(self, nbytes: int) -> str | None:
        """Why a request of so many bytes is refused for good; None where it is not."""
        if nbytes <= self.max_request_bytes:
            return None
        return (
            f"A request of {nbytes >> 20} MiB is over the limit of {self.max_request_bytes >> 20} MiB; write the "
            "picture to a file and name that, or make it smaller."
        )

    def of_request(self, nbytes: int, own: int, waiting: Iterable[int]) -> str | None:
        """Why one more request cannot wait here now; None where it can.

        own      how many of the same client wait
        waiting  the bytes of each that waits, of all clients
        """
        if own >= self.max_pending_per_peer:
            return f"{self.max_pending_per_peer} requests of yours are waiting already; try again when some have ended."
        sizes = list(waiting)
        if len(sizes) >= self.max_pending:
            return f"Too many requests are waiting ({self.max_pending} of all clients); try again later."
        if sum(sizes) + nbytes > self.max_pending_bytes:
            most = self.max_pending_bytes >> 20
            return f"The requests that wait carry {most} MiB already; try again when some have ended, or name files."
        return None
