"""Where the user's data live: generators, styles and the connection file."""

from __future__ import annotations

import os
import sys
from pathlib import Path

NAME = "latent-loom"


def data_folder() -> Path:
    """The user-data folder of Latent Loom on this platform; it need not exist yet.

    Windows  %LOCALAPPDATA%\\latent-loom
    macOS    ~/Library/Application Support/latent-loom
    others   $XDG_DATA_HOME/latent-loom, or ~/.local/share/latent-loom where that is unset, empty or relative
             (the XDG base directory specification asks to ignore relative ones)
    """
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA", "")
        return (Path(local) if local else Path.home() / "AppData" / "Local") / NAME
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / NAME
    xdg = Path(os.environ.get("XDG_DATA_HOME", ""))
    return (xdg if xdg.is_absolute() else Path.home() / ".local" / "share") / NAME
