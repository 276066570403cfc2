# SPDX-License-Identifier: GPL-3.0-or-later
"""What there is one of in a Blender, from `register` to `unregister`, across files and undo: the session with the
backend, and the installation of one while that runs."""

from __future__ import annotations

import threading

from .session import Session
from .setup import Installation

lock = threading.RLock()
"""Whoever uses the session outside the main thread holds it: a frame handler in Blender's render thread."""
_session: Session | None = None
_installation: Installation | None = None


def session() -> Session:
    """The session; made at the first call, so that asking never fails."""
    global _session
    if _session is None:
        _session = Session()
    return _session


def installation() -> Installation | None:
    """The installation that runs, if any."""
    return _installation


def begin_installation(new: Installation) -> None:
    global _installation
    _installation = new


def end_installation() -> None:
    global _installation
    _installation = None


def close() -> None:
    """Part from the backend, end our own one, stop an installation, and forget all of them."""
    global _session
    if _installation is not None:
        _installation.end()
        end_installation()
    if _session is not None:
        _session.disconnect()
        _session = None
