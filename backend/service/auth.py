"""Who may connect: decided in the ZeroMQ handshake, before a stranger can send one message.

On loopback the client shows the token of the connection file as a PLAIN password. Beyond loopback PLAIN would send it
in the clear, so there the transport is CURVE and the client's public key must be on a list; without such a list the
backend refuses to bind. (CURVE without a handler like this one admits anyone who knows the server's key.)

The handler speaks ZAP 1.0 (ZeroMQ RFC 27) over `inproc://zeromq.zap.01`; the I/O thread polls it beside the ROUTER.
"""

from __future__ import annotations

import hmac
import ipaddress
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

import zmq
from zmq.utils import z85

from ..errors import BadRequest

log = logging.getLogger(__name__)

ANSWERS_A_TURN = 32
"""A flood of connections must not keep the I/O thread from those who are in."""
LOG_EVERY_S = 1.0
ZAP_ADDRESS = "inproc://zeromq.zap.01"
ZAP_DOMAIN = b"latent-loom"  # without a domain libzmq asks no handler for PLAIN


@dataclass(frozen=True, kw_only=True)
class CurveKeys:
    """The server's key pair (Z85, 40 characters) and the public keys (Z85) of the clients that may connect."""

    public_key: str
    secret_key: str
    allowed_clients: frozenset[str]

    def __post_init__(self) -> None:
        for key in (self.public_key, self.secret_key, *self.allowed_clients):
            if len(key) != 40:
                raise BadRequest("A CURVE key has 40 characters (Z85); one that was given has not.")
        if not self.allowed_clients:
            raise BadRequest("The list of allowed client keys is empty, so nobody could connect; add a client's key.")


def is_loopback(address: str) -> bool:
    """Whether the ZeroMQ address `tcp://HOST:PORT` can be reached from this machine alone.

    Raises  BadRequest where it is no such address
    """
    scheme, _, rest = address.partition("://")
    host, colon, port = rest.rpartition(":")
    is_port = port == "*" or (port.isdigit() and int(port) < 1 << 16)  # libzmq takes larger ones modulo 65536
    if scheme != "tcp" or not colon or not host or not is_port:
        raise BadRequest(
            f"{address!r} is not an address to listen on; write tcp://127.0.0.1:PORT (port 0: any free one)."
        )
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def refuse_open_address(address: str, curve: CurveKeys | None) -> None:
    """Raise BadRequest if binding `address` would let others than this machine's user in."""
    if not is_loopback(address) and curve is None:
        raise BadRequest(
            f"{address} can be reached from other machines, and without keys anyone there could use this backend; "
            "listen on tcp://127.0.0.1:0, or give a CURVE key pair and the keys of the clients that may connect."
        )


class Doorkeeper:
    """Answers ZAP requests. Make one before the ROUTER binds; poll `socket` and call `answer` when it is readable."""

    def __init__(self, context: zmq.Context, token: str, curve: CurveKeys | None = None) -> None:
        self._token = token.encode()
        self._curve = curve
        self._keys = tuple(z85.decode(key) for key in sorted(curve.allowed_clients)) if curve else ()
        self.refused = 0
        self._told_s = -LOG_EVERY_S
        self.socket = context.socket(zmq.REP)
        self.socket.linger = 0
        self.socket.bind(ZAP_ADDRESS)

    def secure(self, router: zmq.Socket) -> None:
        """Set the server side of the mechanism on `router`; must come before its bind."""
        router.setsockopt(zmq.ZAP_DOMAIN, ZAP_DOMAIN)
        if self._curve is None:
            router.setsockopt(zmq.PLAIN_SERVER, 1)
        else:
            router.setsockopt(zmq.CURVE_SERVER, 1)
            router.setsockopt(zmq.CURVE_SECRETKEY, self._curve.secret_key.encode())

    def answer(self) -> None:
        """Answer the waiting requests, so many at a time."""
        for _ in range(ANSWERS_A_TURN):
            try:
                frames = self.socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            allowed = self._may_enter(frames)
            if not allowed:
                self.refused += 1
                self._tell(frames[3].decode("ascii", "replace") if len(frames) > 3 else "?")
            status = (b"200", b"OK") if allowed else (b"400", b"refused")
            self.socket.send_multipart([b"1.0", frames[1] if len(frames) > 1 else b"", *status, b"", b""])

    def _tell(self, where: str) -> None:
        """One line a second, however many knock."""
        now = time.monotonic()
        if now - self._told_s >= LOG_EVERY_S:
            self._told_s = now
            log.warning("refused a connection from %s (%d so far)", where, self.refused)

    def _may_enter(self, frames: Sequence[bytes]) -> bool:
        """frames: version, request id, domain, address, identity, mechanism, credentials..."""
        if len(frames) < 6 or frames[0] != b"1.0":
            return False
        mechanism, credentials = frames[5], frames[6:]
        if mechanism == b"PLAIN" and self._curve is None and len(credentials) == 2:
            return hmac.compare_digest(credentials[1], self._token)
        if mechanism == b"CURVE" and self._curve is not None and len(credentials) == 1:
            # Every key is compared, so the time tells nothing about which one is on the list.
            return sum(hmac.compare_digest(credentials[0], key) for key in self._keys) > 0
        return False

    def close(self) -> None:
        self.socket.close()
