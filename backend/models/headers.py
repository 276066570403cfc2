"""What a safetensors file says about itself, read without PyTorch and without its tensors.

The first 8 bytes are the length of a JSON map, then that map: for each tensor its dtype, shape and place, and texts
under "__metadata__". A file of styles is somebody else's until it is checked, so nothing here is believed unseen.
"""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import BadCheckpoint

MAX_HEADER_BYTES = 16 * 1024 * 1024
BYTES_OF = {"F32": 4, "F16": 2, "BF16": 2, "I64": 8, "U8": 1}
"""The dtypes that files of ours hold."""
Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True, kw_only=True)
class FileHeader:
    """shapes and dtypes by tensor name; metadata: the texts beside them."""

    shapes: Shapes
    dtypes: dict[str, str]
    metadata: dict[str, str]


def read_header(path: Path) -> FileHeader:
    """Raises BadCheckpoint for a file that is cut off, damaged or holds other things than plain tensors; OSError."""
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > MAX_HEADER_BYTES:
                raise ValueError("header too long")
            found = json.loads(file.read(length))
        metadata = found.pop("__metadata__", {})
        if not all(isinstance(text, str) for text in metadata.values()):
            raise ValueError("metadata are texts")
        tensors = {name: _tensor(entry) for name, entry in found.items()}
    except (struct.error, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadCheckpoint(f"The file {path.name} is damaged; get it again or make it again.") from error
    return FileHeader(
        shapes={name: shape for name, (_, shape) in tensors.items()},
        dtypes={name: dtype for name, (dtype, _) in tensors.items()},
        metadata=metadata,
    )


def _tensor(entry: Any) -> tuple[str, tuple[int, ...]]:
    """(dtype, shape) of one tensor whose bytes are as many as its shape says; else ValueError."""
    dtype, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
    if len(shape) > 8 or not all(type(n) is int and 0 <= n < 2**40 for n in shape):
        raise ValueError("not a shape")
    if end - begin != math.prod(shape) * BYTES_OF[dtype]:
        raise ValueError("not as many bytes as the shape says")
    return dtype, tuple(shape)
