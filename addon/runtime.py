# SPDX-License-Identifier: GPL-3.0-or-later
"""The one session of this Blender. It lives from `register` to `unregister`, across files and undo."""

from __future__ import annotations

from .session import Session

_session: Session | None = None


def session() -> Session:
    """The session; made at the first call, so that asking never fails."""
    global _session
    if _session is None:
        _session = Session()
    return _session


def close() -> None:
    """Part from the backend, end our own one, and forget the session."""
    global _session
    if _session is not None:
        _session.disconnect()
        _session = None
