"""Where the paths that a client names may lead (docs/decisions/0010). Every one goes through `allowed` before its use.

    with within(roots):                 the service, around each handler
        allowed(path)                   `parameters.parse` for every path, `load_clip` for local-dir:PATH

Whoever holds the token is this machine's user already, so nothing is closed to him but the backend's own secrets and
what is no file; a client with a key (`auth`) may name what lies in the folders given to `serve --root`, and without
such folders nothing. The command line sets no roots: there the user types the paths himself.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from .errors import BadRequest, Forbidden


@dataclass(frozen=True, kw_only=True)
class Roots:
    """folders  a path must lie in one of them, links followed; None = anywhere
    secret   files and folders of the backend's own that no request may touch
    """

    folders: tuple[Path, ...] | None = None
    secret: tuple[Path, ...] = ()

    def resolve(self, path: Path) -> Path:
        """`path` with all links followed, if it may be used.

        Raises  BadRequest (not whole, or no file: a pipe would hang whoever reads it), Forbidden
        """
        if not path.is_absolute():
            raise BadRequest(f"A path must be whole, from the root, not {str(path)!r}.")
        real = _real(path)
        if self.folders is not None and not any(real.is_relative_to(_real(folder)) for folder in self.folders):
            raise Forbidden(self._told(path))
        if any(real.is_relative_to(_real(secret)) for secret in self.secret):
            raise Forbidden(f"{str(path)!r} belongs to the backend itself; name another place.")
        try:
            mode = real.stat().st_mode
        except (OSError, ValueError):
            return real  # it will be made, or whoever opens it says what is wrong
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise BadRequest(f"{str(path)!r} is neither a file nor a folder; name one.")
        return real

    def _told(self, path: Path) -> str:
        if not self.folders:
            return (
                "This backend opens no files for clients beyond its own machine; ask without a path and pictures come "
                "over the wire, or have it started with --root DIR."
            )
        # not where `path` leads: that would tell a stranger of the links on this machine
        folders = ", ".join(repr(str(folder)) for folder in self.folders)
        return f"{str(path)!r} lies outside the folders that clients may use; name a path below {folders}."


ANYWHERE = Roots()
_current: ContextVar[Roots | None] = ContextVar("roots", default=None)


@contextmanager
def within(roots: Roots) -> Iterator[None]:
    """All paths of requests are held against `roots` inside, in this thread."""
    token = _current.set(roots)
    try:
        yield
    finally:
        _current.reset(token)


def allowed(path: Path) -> Path:
    """`path` resolved, if the current roots have it; unchanged where there are none (the command line)."""
    roots = _current.get()
    return path if roots is None else roots.resolve(path)


def _real(path: Path) -> Path:
    try:
        return Path(os.path.realpath(path))
    except (OSError, ValueError) as error:  # a loop of links, a NUL
        raise BadRequest(f"{str(path)!r} leads nowhere ({error}); name another path.") from None
