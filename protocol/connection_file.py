"""The connection file: how a client finds its backend and proves that it may talk to it.

JSON, readable by its owner alone (it holds the token): {protocol, address, token, pid, session, version} and, for a
backend beyond loopback, {server_key, client_keys}. `latent-loom keys add` writes one for another machine.
"""

from __future__ import annotations

import contextlib
import json
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from . import PROTOCOL, VERSION
from .data_folder import data_folder
from .errors import NoConnectionFile
from .private_file import NotPrivateError, read_private, write_private


def default_path() -> Path:
    return data_folder() / "connection.json"


def new_token() -> str:
    """256 random bits as 64 hexadecimal digits: PLAIN passwords have at most 255 bytes."""
    return secrets.token_hex(32)


def new_session() -> str:
    """A name for one life of a backend process."""
    return secrets.token_hex(8)


@dataclass(frozen=True, kw_only=True)
class ConnectionInfo:
    """What a connection file says.

    address   where the backend listens, "tcp://127.0.0.1:40123"
    token     the password of the handshake
    pid       the backend's process, for people; never kill by it
    session   one life of the backend
    version   the backend's
    protocol  (major, minor) that it speaks
    server_key   the backend's CURVE public key (Z85), where it takes keys and no token
    client_keys  (public, secret) with which the reader of this file may connect there
    """

    address: str
    token: str = field(repr=False)
    pid: int
    session: str
    version: str = VERSION
    protocol: tuple[int, int] = PROTOCOL
    server_key: str | None = None
    client_keys: tuple[str, str] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        texts = (self.address, self.token, self.session, self.version)
        if not all(isinstance(text, str) and text for text in texts) or "://" not in self.address:
            raise ValueError("address, token, session and version are texts")
        if type(self.pid) is not int or len(self.token.encode()) > 255:
            raise ValueError("pid is a number and the token has at most 255 bytes")
        if (self.server_key is None) != (self.client_keys is None):
            raise ValueError("server_key and client_keys come together")
        keys = () if self.client_keys is None else (self.server_key, *self.client_keys)
        if len(keys) not in (0, 3) or not all(isinstance(key, str) and len(key) == 40 for key in keys):
            raise ValueError("a key is a text of 40 characters")


def write(info: ConnectionInfo, path: Path | None = None) -> Path:
    """Write the file with mode 0600 under a temporary name, then rename it into place; the path is returned.

    Raises  OSError
    """
    path = path or default_path()
    fields = {name: value for name, value in asdict(info).items() if value is not None}
    write_private(path, json.dumps({**fields, "protocol": list(info.protocol)}) + "\n")
    return path


def read(path: Path | None = None) -> ConnectionInfo:
    """What the file says, if its owner is this user and nobody else may read it (POSIX).

    Raises  NoConnectionFile with a sentence that says what to do
    """
    path = path or default_path()
    try:
        raw = read_private(path)
    except NotPrivateError as error:
        raise NoConnectionFile(str(error)) from None
    except FileNotFoundError:
        raise NoConnectionFile(
            f"No backend is running: there is no {path}; start one with `latent-loom serve`."
        ) from None
    except OSError as error:
        raise NoConnectionFile(f"Cannot read {path}: {error.strerror}; check its owner and permissions.") from None
    try:
        return _parse(json.loads(raw.decode("utf-8")))
    except (ValueError, TypeError, KeyError, RecursionError):
        raise NoConnectionFile(f"{path} is not a connection file; delete it and start the backend again.") from None


def remove(path: Path | None, session: str) -> None:
    """Delete the file if it still speaks of `session`: a newer backend's file stays."""
    path = path or default_path()
    with contextlib.suppress(NoConnectionFile, OSError):
        if read(path).session == session:
            path.unlink()


def _parse(fields: Any) -> ConnectionInfo:
    names = ("address", "token", "pid", "session", "version")
    major, minor = fields["protocol"]
    if type(major) is not int or type(minor) is not int:
        raise ValueError("protocol is [major, minor]")
    keys = fields.get("client_keys")
    return ConnectionInfo(
        protocol=(major, minor), server_key=fields.get("server_key"), client_keys=None if keys is None else tuple(keys),
        **{name: fields[name] for name in names},
    )  # fmt: skip
