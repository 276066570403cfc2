"""What a safetensors file says about itself, read without PyTorch and without its tensors.

The first 8 bytes are the length of a JSON map, then that map: for each tensor its dtype, shape and place, and texts
under "__metadata__". A file of styles is somebody else's until it is checked, so nothing here is believed unseen.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import Damaged

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
    """Raises Damaged for a file that is cut off, damaged or holds other things than plain tensors; OSError."""
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > MAX_HEADER_BYTES:
                raise ValueError("header too long")
            found = json.loads(file.read(length))
            size = os.fstat(file.fileno()).st_size
        metadata = found.pop("__metadata__", {})
        if not all(isinstance(text, str) for text in metadata.values()):
            raise ValueError("metadata are texts")
        tensors = {name: _tensor(entry) for name, entry in found.items()}
        if size != 8 + length + max((entry["data_offsets"][1] for entry in found.values()), default=0):
            raise ValueError("cut off")
    except (struct.error, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Damaged(f"The file {path.name} is damaged; get it again or make it again.") from error
    return FileHeader(
        shapes={name: shape for name, (_, shape) in tensors.items()},
        dtypes={name: dtype for name, (dtype, _) in tensors.items()},
        metadata=metadata,
    )


DIGEST = "data_sha256"
"""In the JSON of a file's one metadata entry: of the bytes of its tensors. Files of before it have none."""


def with_digest(raw: bytes, key: str) -> bytes:
    """The bytes of a safetensors file with the digest of its tensors in the JSON under the metadata `key`."""
    (length,) = struct.unpack_from("<Q", raw)
    header, data = json.loads(raw[8 : 8 + length]), memoryview(raw)[8 + length :]
    about = json.loads(header["__metadata__"][key]) | {DIGEST: hashlib.sha256(data).hexdigest()}
    header["__metadata__"][key] = json.dumps(about, sort_keys=True)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the format asks for data aligned to 8 bytes
    return struct.pack("<Q", len(text)) + text + data


def check_digest(raw: bytes, key: str, file_name: str) -> None:
    """Raise Damaged where the tensors are not those that were written: a bad sector, a cable, another program."""
    (length,) = struct.unpack_from("<Q", raw)
    wanted = json.loads(json.loads(raw[8 : 8 + length])["__metadata__"][key]).get(DIGEST)
    if wanted is not None and hashlib.sha256(memoryview(raw)[8 + length :]).hexdigest() != wanted:
        raise Damaged(f"The file {file_name} is damaged: its numbers are not those that were written; get it again.")


def _tensor(entry: Any) -> tuple[str, tuple[int, ...]]:
    """(dtype, shape) of one tensor whose bytes are as many as its shape says; else ValueError."""
    dtype, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
    if len(shape) > 8 or not all(type(n) is int and 0 <= n < 2**40 for n in shape):
        raise ValueError("not a shape")
    if end - begin != math.prod(shape) * BYTES_OF[dtype]:
        raise ValueError("not as many bytes as the shape says")
    return dtype, tuple(shape)
