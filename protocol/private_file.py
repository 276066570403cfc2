"""Small files that hold a secret: written whole or not at all, readable by their owner alone, refused otherwise."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from .access_list import close_to_others

MAX_BYTES = 64 * 1024


class NotPrivateError(Exception):
    """Others may read the file, or it is another user's; str() is a sentence."""


def write_private(path: Path, text: str) -> None:
    """Write with mode 0600 under a temporary name, then rename into place. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            close_to_others(temporary)  # before the secret is in it
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def read_private(path: Path) -> bytes:
    """At most MAX_BYTES of the file, if its owner is this user and nobody else may read it (POSIX).

    Raises  OSError, NotPrivateError
    """
    # O_NONBLOCK: a pipe in the file's place must not hang whoever looks for a backend
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise NotPrivateError(f"{path} is no file; delete it.")
        if os.name == "posix":
            if status.st_uid != os.geteuid():
                raise NotPrivateError(f"{path} belongs to another user; start your own backend.")
            if stat.S_IMODE(status.st_mode) & 0o077:
                raise NotPrivateError(
                    f"Others may read {path}, which holds the token: run `chmod 600` on it and restart the backend."
                )
        return file.read(MAX_BYTES + 1)[:MAX_BYTES]
