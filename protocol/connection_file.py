"""The connection file: how a client finds its backend and proves that it may talk to it.

JSON, readable by its owner alone (it holds the token): {protocol, address, token, pid, session, version}.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import stat
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from . import PROTOCOL, VERSION
from .data_folder import data_folder
from .errors import NoConnectionFile

MAX_BYTES = 64 * 1024


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
    """

    address: str
    token: str = field(repr=False)
    pid: int
    session: str
    version: str = VERSION
    protocol: tuple[int, int] = PROTOCOL

    def __post_init__(self) -> None:
        texts = (self.address, self.token, self.session, self.version)
        if not all(isinstance(text, str) and text for text in texts) or "://" not in self.address:
            raise ValueError("address, token, session and version are texts")
        if type(self.pid) is not int or len(self.token.encode()) > 255:
            raise ValueError("pid is a number and the token has at most 255 bytes")


def write(info: ConnectionInfo, path: Path | None = None) -> Path:
    """Write the file with mode 0600 under a temporary name, then rename it into place; the path is returned.

    Raises  OSError
    """
    path = path or default_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump({**asdict(info), "protocol": list(info.protocol)}, file)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return path


def read(path: Path | None = None) -> ConnectionInfo:
    """What the file says, if its owner is this user and nobody else may read it (POSIX).

    Raises  NoConnectionFile with a sentence that says what to do
    """
    path = path or default_path()
    try:
        with path.open("rb") as file:
            _check_private(path, os.fstat(file.fileno()))
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise NoConnectionFile(
            f"No backend is running: there is no {path}; start one with `latent-loom serve`."
        ) from None
    except OSError as error:
        raise NoConnectionFile(f"Cannot read {path}: {error.strerror}; check its owner and permissions.") from None
    try:
        return _parse(json.loads(raw[:MAX_BYTES].decode("utf-8")))
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
    return ConnectionInfo(protocol=(major, minor), **{name: fields[name] for name in names})


def _check_private(path: Path, status: os.stat_result) -> None:
    if os.name != "posix":
        return
    if status.st_uid != os.geteuid():
        raise NoConnectionFile(f"{path} belongs to another user; start your own backend.")
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise NoConnectionFile(
            f"Others may read {path}, which holds the token: run `chmod 600` on it and restart the backend."
        )
