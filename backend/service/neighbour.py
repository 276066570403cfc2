"""Is the connection file somebody's? A second backend that took it over would leave the first one running unfound."""

from __future__ import annotations

import socket
from pathlib import Path
from urllib.parse import urlsplit

from ...protocol import connection_file
from ...protocol.client import Client
from ...protocol.errors import BackendLost, NoConnectionFile, RequestError
from ..errors import AddressTaken

KNOCK_S = 1.0
ANSWER_S = 3.0


def refuse_to_displace(path: Path | None) -> None:
    """Raise AddressTaken if a living backend wrote the connection file; one left over by a killed backend is nobody's.

    path   None = the default place
    """
    try:
        info = connection_file.read(path)
    except NoConnectionFile:
        return
    if _answers(info):
        raise AddressTaken(
            f"A backend runs already at {info.address} (process {info.pid}); use that one, stop it, or give this one "
            "a connection file of its own with --connection-file FILE."
        )


def _answers(info: connection_file.ConnectionInfo) -> bool:
    """Whether a backend that knows the file's token answers: the port may be another program's by now."""
    try:
        where = urlsplit(info.address)
        # Refused at once where nobody listens; the client would go on trying.
        socket.create_connection((where.hostname or "", where.port or 0), timeout=KNOCK_S).close()
    except (OSError, ValueError):
        return False
    keys = {"server_key": info.server_key, "client_keys": info.client_keys}
    with Client(info.address, info.token, client="latent-loom serve", **keys) as client:
        try:
            client.request("status", {}, timeout_s=ANSWER_S)
        except (BackendLost, RequestError):
            return False
    return True
