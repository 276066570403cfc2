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
import struct
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import zmq
from zmq.utils import z85

from ..errors import BadRequest
from .guests import OWNER
from .journal import about
from .quiet import Seldom

log = logging.getLogger(__name__)

ANSWERS_A_TURN = 32
"""A flood of connections must not keep the I/O thread from those who are in."""
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
            "listen on tcp://127.0.0.1:0, or make a key for each client first: latent-loom keys add NAME --address "
            "tcp://HOST:PORT."
        )


class Doorkeeper:
    """Answers ZAP requests. Make one before the ROUTER binds; poll `socket` and call `answer` when it is readable.

    clients  public keys (Z85) and the names of those whose they are, asked at every handshake and every message; None =
             those of `curve`
    refused  counts those who were not let in
    """

    def __init__(
        self,
        context: zmq.Context,
        token: str,
        curve: CurveKeys | None = None,
        clients: Callable[[], Mapping[str, str]] | None = None,
    ) -> None:
        self._token = token.encode()
        self._curve = curve
        fixed = {key: key[:8] for key in curve.allowed_clients} if curve else {}
        self._clients = clients or (lambda: fixed)
        self.refused = 0
        self._seldom = Seldom()
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
            user = self._who(frames)
            if user is None:
                self._refuse(frames[3].decode("ascii", "replace")[:64] if len(frames) > 3 else "?")
            status = (b"200", b"OK", user.encode()) if user is not None else (b"400", b"refused", b"")
            self.socket.send_multipart([b"1.0", frames[1] if len(frames) > 1 else b"", *status, b""])

    def user_of(self, shown: str) -> str | None:
        """The user of a connection that was let in with `shown`; None where it would not be let in any more.

        shown  the User-Id that `answer` gave it: the public key, or OWNER for the token
        """
        if self._curve is None:
            return OWNER if shown == OWNER else None
        return self._clients().get(shown)

    def _refuse(self, address: str) -> None:
        self.refused += 1
        if count := self._seldom.tells(time.monotonic()):
            times = f" ({count} times)" if count > 1 else ""
            log.warning("refused a connection from %s%s", address, times,
                        extra=about("refused", address=address, count=count))  # fmt: skip

    def _who(self, frames: Sequence[bytes]) -> str | None:
        """The User-Id (see `user_of`), or None for a stranger.

        frames  version, request id, domain, address, identity, mechanism, credentials...
        """
        if len(frames) < 6 or frames[0] != b"1.0":
            return None
        mechanism, credentials = frames[5], frames[6:]
        if mechanism == b"PLAIN" and self._curve is None and len(credentials) == 2:
            return OWNER if hmac.compare_digest(credentials[1], self._token) else None
        if mechanism == b"CURVE" and self._curve is not None and len(credentials) == 1:
            # Every key is compared, so the time tells nothing about which one is on the list.
            same = [key for key in self._clients() if hmac.compare_digest(credentials[0], _raw(key))]
            return same[0] if same else None
        return None

    def close(self) -> None:
        self.socket.close()


def _raw(key: str) -> bytes:
    """The 32 bytes of a key in Z85; nothing, which equals no key, for what is none."""
    try:
        return z85.decode(key)
    except (ValueError, KeyError, struct.error):
        return b""
