# SPDX-License-Identifier: GPL-3.0-or-later
"""Asset catalogues: Blender reads them from a text file beside the .blend. No bpy.

The same names and identities as those of a batch's library (`backend/textures/asset_library.py`), so that both lie
together.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from pathlib import Path

FILE = "blender_assets.cats.txt"
HEAD = "# This is an Asset Catalog Definition file for Blender.\n\nVERSION 1\n\n"
_SPACE = uuid.UUID("6c6f6f6d-7465-4874-8572-652d6c696272")


def path_of(parts: Sequence[str]) -> str:
    """`Latent Loom/builtin/mossy`. The file's own separators may not stand in a name."""
    return "/".join(re.sub(r"[:/\\\n]+", " ", part).strip() or "-" for part in ("Latent Loom", *parts))


def identity(path: str) -> str:
    return str(uuid.uuid5(_SPACE, path))


def write(folder: Path, path: str) -> None:
    """Add the catalogue to the file in `folder` unless it is there; the artist's own stay. Raises OSError."""
    file = folder / FILE
    text = file.read_text(encoding="utf-8") if file.exists() else HEAD
    if identity(path) in text:
        return
    line = f"{identity(path)}:{path}:{path.replace('/', '-')}\n"
    new = file.with_name(file.name + ".new")
    new.write_text(text.rstrip("\n") + "\n" + line, encoding="utf-8")
    new.replace(file)
