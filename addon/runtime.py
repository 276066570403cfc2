# SPDX-License-Identifier: GPL-3.0-or-later
"""What there is one of in a Blender, from `register` to `unregister`, across files and undo: the session with the
backend, and the installation of one while that runs."""

from __future__ import annotations

import threading
from pathlib import Path

from .batches import Batches
from .session import Session
from .setup import READY, Installation

lock = threading.RLock()
"""Whoever uses the session outside the main thread holds it: a frame handler in Blender's render thread."""
_session: Session | None = None
_installation: Installation | None = None
_batches = Batches(Path())
_condition = READY
_wants_setup = False


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


def batches() -> Batches:
    """The exported sets that are remembered."""
    return _batches


def remember_batches(file: Path) -> None:
    """Read the list of them from `file`, and what each last wrote of itself."""
    global _batches
    _batches = Batches(file)
    _batches.look()


def note_backend(new_condition: str, *, wanted: bool) -> None:
    """Remember whether a backend is set up here and whether one is wanted, for the panels, which look at no disk."""
    global _condition, _wants_setup
    _condition, _wants_setup = new_condition, wanted


def condition() -> str:
    """As `setup.condition`, at the last look."""
    return _condition


def wants_setup() -> bool:
    """Whether nothing can be started before something was set up."""
    return _wants_setup


def close() -> None:
    """Part from the backend, end our own one, stop an installation, and forget all of them."""
    global _session
    if _installation is not None:
        _installation.end()
        end_installation()
    if _session is not None:
        _session.disconnect()
        _session = None
