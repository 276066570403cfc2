"""The list of styles without PyTorch: only the headers of their files are read, in milliseconds.

The store's own list is the one that counts (a test holds both equal). Whatever is unusual here is left to it.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

SHOWN = ("generator", "source", "target", "method", "iterations", "seed", "clips", "measures", "licence")
FORMAT = 1
MOST_BYTES = 1 << 20


def read_styles(root: Path) -> list[dict[str, Any]] | None:
    """The styles in the data folder `root` as the request `styles` lists them; None where a file is not as expected."""
    try:
        return [_read_style(path) for path in sorted((root / "styles").glob("*.safetensors"))]
    except (OSError, ValueError, KeyError, TypeError, struct.error):
        return None


def _read_style(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        if length > MOST_BYTES:
            raise ValueError("not a style's header")
        header = json.loads(file.read(length))
    info = json.loads(header["__metadata__"]["latent_loom_style"])
    if info["format"] != FORMAT:
        raise ValueError("a newer format")
    return {"name": path.stem, "bytes": path.stat().st_size, **{name: info[name] for name in SHOWN}}
