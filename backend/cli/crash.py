"""From an exception to the one sentence a user reads; for a bug of ours, with the traceback in a file that it names."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import traceback
from pathlib import Path

from ...protocol.data_folder import data_folder
from ...protocol.errors import BackendLost, RequestError
from ..errors import Cancelled, LoomError, as_loom_error
from .start import SENTENCE as INTERRUPTED_SENTENCE


def explain(error: BaseException, data: Path | None = None) -> LoomError:
    """The `LoomError` to show for `error`. What nobody foresaw is a bug: its traceback goes to a log file.

    data   the data folder that the command was given, or None for the user's own
    """
    if isinstance(error, KeyboardInterrupt):  # before anything that would import torch
        return Cancelled(INTERRUPTED_SENTENCE)
    if isinstance(error, LoomError):
        return error
    if isinstance(error, RequestError | BackendLost):  # what a backend in another process answered to the demo
        answered = LoomError(str(error))
        answered.code = error.code
        return answered
    known = as_loom_error(error)
    if known is not None:
        return known
    log = write_crash_log(error, data)
    return LoomError(
        f"Something went wrong that should not have ({type(error).__name__}); please report it with the file {log}."
    )


def write_crash_log(error: BaseException, data: Path | None = None) -> Path:
    """Write the traceback and the versions to `logs/` of the data folder, else of the temporary folder."""
    lines = [
        f"command: {sys.argv}\n",
        f"python: {sys.version}\nplatform: {platform.platform()}\n",
        f"torch: {getattr(sys.modules.get('torch'), '__version__', 'not imported')}\n\n",
        *traceback.format_exception(error),
    ]
    for root in (data or data_folder(), Path(tempfile.gettempdir()) / "latent-loom"):
        try:
            folder = root / "logs"
            folder.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(prefix="crash-", suffix=".log", dir=folder)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.writelines(lines)
            return Path(name)
        except OSError:
            continue
    sys.stderr.writelines(lines)  # nowhere to write: better on the screen than lost
    return Path("(none could be written; the details are above)")
