"""Frames: a header and named arrays <-> a list of byte strings, as SPEC.md ("Frames") lays them out.

    frame 0      b"LOOM/1"
    frame 1      msgpack map, at most MAX_HEADER_BYTES:
                 {type, ..., arrays: [{name, dtype, shape}], spilled: [{name, bytes}]}
    frames 2..   one for each entry of `arrays`: raw little-endian bytes in C order, exactly as many as the shape says
    last frames  one for each entry of `spilled`: the msgpack value of a header field that did not fit into frame 1

`decode` is for bytes from anywhere and raises nothing but RemoteProtocolError; `encode` raises LocalProtocolError for
what we should not have tried to send. This module does not know any message; messages.py does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgpack
import numpy as np

from .errors import LocalProtocolError, RemoteProtocolError, TooLargeToSend
from .limits import (
    MAGIC,
    MAX_ARRAYS,
    MAX_DIMENSIONS,
    MAX_FRAME_BYTES,
    MAX_HEADER_BYTES,
    MAX_ITEMS,
    MAX_MESSAGE_BYTES,
    MAX_NESTING,
    MAX_SPILLED_BYTES,
    MAX_TEXT,
)

DTYPES: dict[str, np.dtype] = {
    "uint8": np.dtype("u1"),
    "uint16": np.dtype("<u2"),
    "int32": np.dtype("<i4"),
    "int64": np.dtype("<i8"),
    "float16": np.dtype("<f2"),
    "float32": np.dtype("<f4"),
}
"""What an array may be made of. Never objects, never pickles."""

_NAMES = {dtype: name for name, dtype in DTYPES.items()}

RESERVED = ("arrays", "spilled")
"""Header fields that belong to the frames and to no message."""

Frame = bytes | memoryview
Frames = list[Frame]
Header = dict[str, Any]
Arrays = dict[str, np.ndarray]


def encode(header: Mapping[str, Any], arrays: Mapping[str, np.ndarray] | None = None, *, copy: bool = True) -> Frames:
    """Frames for a header of plain values and its arrays.

    header  str keys; None, bool, int, float, str, list, map inside; tuples become lists, numpy scalars numbers
    arrays  name -> array of a dtype in DTYPES, any memory order
    copy    False: the frames are views where that can be, and the arrays must not change until they have left
    Raises  LocalProtocolError, TooLargeToSend
    """
    arrays = arrays or {}
    if len(arrays) > MAX_ARRAYS:
        raise TooLargeToSend(f"A message holds at most {MAX_ARRAYS} arrays, not {len(arrays)}.")
    for name in RESERVED:
        if name in header:
            raise LocalProtocolError(f"The header field {name!r} belongs to the frames.")
    fields = {key: plain(value, key) for key, value in header.items()}
    if arrays:
        fields["arrays"] = [_describe(name, array) for name, array in arrays.items()]
    raw = [_raw(array, copy) for array in arrays.values()]
    packed, spilled = _pack_header(fields)
    if spilled and _count(fields) > MAX_ITEMS:  # a header alone has no room for so many
        raise TooLargeToSend(f"A message holds at most {MAX_ITEMS:,} values; split the request into smaller ones.")
    frames: Frames = [MAGIC, packed, *raw, *spilled]
    if max(map(len, frames)) > MAX_FRAME_BYTES or sum(map(len, frames)) > MAX_MESSAGE_BYTES:
        mib = sum(map(len, frames)) / 2**20
        raise TooLargeToSend(
            f"A message of {mib:.0f} MiB is over the limit of {MAX_FRAME_BYTES >> 20} MiB an array and"
            f" {MAX_MESSAGE_BYTES >> 20} MiB in all; ask for fewer or smaller pictures, or write them to a folder."
        )
    return frames


def decode(frames: Sequence[Frame]) -> tuple[Header, Arrays]:
    """Header and arrays (read-only views of the frames) of a message from the other end.

    Raises  RemoteProtocolError, and nothing else, whatever the bytes are
    """
    if len(frames) < 2 or bytes(frames[0]) != MAGIC:
        raise RemoteProtocolError(f"A message starts with {MAGIC!r} and a header.")
    if sum(map(len, frames)) > MAX_MESSAGE_BYTES:
        raise RemoteProtocolError(f"A message has at most {MAX_MESSAGE_BYTES} bytes.")
    if len(frames[1]) > MAX_HEADER_BYTES:
        raise RemoteProtocolError(f"A header has at most {MAX_HEADER_BYTES} bytes, not {len(frames[1])}.")
    header = _unpack(frames[1])
    if not isinstance(header, dict):
        raise RemoteProtocolError("A header is a map.")
    entries = _entries(header.pop("arrays", []), "arrays")
    spilled = _entries(header.pop("spilled", []), "spilled")
    if len(frames) != 2 + len(entries) + len(spilled):
        announced = len(entries) + len(spilled)
        raise RemoteProtocolError(f"The header announces {announced} frames, {len(frames) - 2} came.")
    arrays: Arrays = {}
    for entry, frame in zip(entries, frames[2 : 2 + len(entries)], strict=True):
        name = _name(entry, arrays)
        arrays[name] = _array(name, entry, frame)
    _restore(header, spilled, frames[2 + len(entries) :])
    return header, arrays


def plain(value: Any, where: str = "value", depth: int = 1) -> Any:
    """`value` as msgpack carries it, or LocalProtocolError naming the place that cannot travel."""
    if type(value) in _LEAVES:
        return value
    if isinstance(value, np.generic):
        return plain(value.item(), where, depth)
    for kind in (str, int, float):
        if isinstance(value, kind):  # of a kind of its own, as an enum's member is
            return kind(value)
    if not isinstance(value, list | tuple | Mapping):
        raise LocalProtocolError(f"{where} is a {type(value).__name__}, which cannot travel in a header.")
    if depth >= MAX_NESTING:
        raise LocalProtocolError(f"{where} is nested more than {MAX_NESTING} levels deep.")
    # Leaves are taken as they are here, since most values are, and spelling out where each stands takes time.
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise LocalProtocolError(f"{where} has a key that is not text: {key!r}.")
        return {
            str(key): item if type(item) in _LEAVES else plain(item, f"{where}.{key}", depth + 1)
            for key, item in value.items()
        }
    return [item if type(item) in _LEAVES else plain(item, f"{where}[{n}]", depth + 1) for n, item in enumerate(value)]


_LEAVES = {type(None), bool, int, float, str}


def _count(value: Any) -> int:
    """How many values the other end will count in a plain value."""
    if isinstance(value, dict):
        return 1 + len(value) + sum(_count(item) for item in value.values())
    return 1 + len(value) + sum(map(_count, value)) if isinstance(value, list) else 0


def _raw(array: np.ndarray, copy: bool) -> Frame:
    whole = np.ascontiguousarray(array).astype(DTYPES[_dtype_name(array)], copy=False)
    return whole.tobytes() if copy or whole.size == 0 else whole.reshape(-1).view(np.uint8).data


def _dtype_name(array: np.ndarray) -> str:
    if not isinstance(array, np.ndarray):
        raise LocalProtocolError(f"{type(array).__name__} is no array.")
    name = _NAMES.get(array.dtype) or array.dtype.newbyteorder("=").name
    if name not in DTYPES:
        raise LocalProtocolError(f"An array of {name} cannot travel; the wire knows {', '.join(DTYPES)}.")
    return name


def _describe(name: str, array: np.ndarray) -> dict[str, Any]:
    if not isinstance(name, str) or not 0 < len(name) <= MAX_TEXT:
        raise LocalProtocolError(f"An array's name is a short text, not {name!r}.")
    dtype = _dtype_name(array)
    if array.ndim > MAX_DIMENSIONS:
        raise LocalProtocolError(f"The array {name!r} has more than {MAX_DIMENSIONS} dimensions.")
    return {"name": name, "dtype": dtype, "shape": [int(n) for n in array.shape]}


def _pack(value: Any) -> bytes:
    try:
        return msgpack.packb(value, use_bin_type=True)
    except (ValueError, OverflowError, UnicodeEncodeError) as error:
        raise LocalProtocolError(f"The header cannot be packed: {error}.") from None


def _pack_header(fields: Header) -> tuple[bytes, list[bytes]]:
    """The packed header, and the packed values of its largest fields where all together are too many bytes."""
    packed = _pack(fields)
    if len(packed) <= MAX_HEADER_BYTES:
        return packed, []
    fields = dict(fields)
    sizes = sorted(((len(_pack(v)), k) for k, v in fields.items() if k not in (*RESERVED, "type", "id")), reverse=True)
    spilled: list[bytes] = []
    fields["spilled"] = []
    for size, name in sizes:
        spilled.append(_pack(fields.pop(name)))
        fields["spilled"].append({"name": name, "bytes": size})
        packed = _pack(fields)
        if len(packed) <= MAX_HEADER_BYTES:
            break
    if len(packed) > MAX_HEADER_BYTES or sum(map(len, spilled)) > MAX_SPILLED_BYTES:
        raise TooLargeToSend(
            f"A message's text is over the limit of {MAX_SPILLED_BYTES >> 20} MiB; split the request into smaller ones."
        )
    return packed, spilled


def _unpack(frame: Frame) -> Any:
    """The value in `frame`. Its values are counted while they are unpacked: a few bytes can say millions of them."""
    count = 0

    def counted(container: Any) -> Any:
        nonlocal count
        count += 1 + len(container)
        if count > MAX_ITEMS:
            raise ValueError(f"more than {MAX_ITEMS} values")
        return container

    try:
        value = msgpack.unpackb(
            frame, raw=False, strict_map_key=True, use_list=True, list_hook=counted, object_hook=counted,
            max_array_len=MAX_ITEMS, max_map_len=MAX_ITEMS,
        )  # fmt: skip
        _check_plain(value)
    except (ValueError, TypeError, OverflowError, RecursionError, msgpack.UnpackException) as error:
        raise RemoteProtocolError(f"A header is not valid msgpack: {error or type(error).__name__}.") from None
    return value


def _check_plain(value: Any, depth: int = 0) -> None:
    """Raise ValueError for what msgpack can carry and a header must not: bytes, extension types, bytes as keys."""
    if type(value) in _LEAVES:
        return
    if depth >= MAX_NESTING:
        raise ValueError(f"nested more than {MAX_NESTING} levels deep")
    if isinstance(value, dict):
        if not set(map(type, value)) <= {str}:
            raise ValueError("a key is not text")
        value = list(value.values())
    elif not isinstance(value, list):
        raise ValueError(f"a {type(value).__name__} may not stand in a header")
    if not set(map(type, value)) <= _LEAVES:  # a long list of numbers is through here at once
        for item in value:
            if type(item) not in _LEAVES:
                _check_plain(item, depth + 1)


def _entries(value: Any, field: str) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise RemoteProtocolError(f"`{field}` is a list of maps.")
    if len(value) > MAX_ARRAYS:
        raise RemoteProtocolError(f"`{field}` has at most {MAX_ARRAYS} entries.")
    return value


def _name(entry: dict[str, Any], taken: Mapping[str, Any]) -> str:
    name = entry.get("name")
    if not isinstance(name, str) or not 0 < len(name) <= MAX_TEXT or name in taken:
        raise RemoteProtocolError("The name of an array or field is a short text and stands once.")
    return name


def _array(name: str, entry: dict[str, Any], frame: Frame) -> np.ndarray:
    dtype_name, shape = entry.get("dtype"), entry.get("shape")
    dtype = DTYPES.get(dtype_name) if isinstance(dtype_name, str) else None
    if dtype is None:
        raise RemoteProtocolError(f"The array {name!r} has a dtype outside {', '.join(DTYPES)}.")
    if not isinstance(shape, list) or len(shape) > MAX_DIMENSIONS:
        raise RemoteProtocolError(f"The shape of {name!r} is a list of at most {MAX_DIMENSIONS} sizes.")
    if not all(type(n) is int and 0 <= n <= MAX_FRAME_BYTES for n in shape):
        raise RemoteProtocolError(f"The shape of {name!r} holds something that is no size.")
    count = math.prod(shape)
    if len(frame) != count * dtype.itemsize:
        raise RemoteProtocolError(f"The array {name!r} has {len(frame)} bytes, not {count * dtype.itemsize}.")
    if count == 0:
        # frombuffer refuses an empty buffer on older numpy; sizes of 0 x 2**28 must not overflow either
        return _empty(name, shape, dtype)
    return np.frombuffer(frame, dtype=dtype).reshape(shape)


def _empty(name: str, shape: list[int], dtype: np.dtype) -> np.ndarray:
    try:
        return np.zeros(shape, dtype=dtype)
    except ValueError:
        raise RemoteProtocolError(f"The shape of {name!r} is too large.") from None


def _restore(header: Header, spilled: list[dict[str, Any]], frames: Sequence[Frame]) -> None:
    """Put the fields that travelled in frames of their own back into the header."""
    if sum(map(len, frames)) > MAX_SPILLED_BYTES:
        raise RemoteProtocolError(f"Header fields in frames of their own have at most {MAX_SPILLED_BYTES} bytes.")
    for entry, frame in zip(spilled, frames, strict=True):
        name = _name(entry, header)
        if entry.get("bytes") != len(frame) or name in ("type", "id", *RESERVED):
            raise RemoteProtocolError(f"The field {name!r} has another size than announced, or may not travel so.")
        header[name] = _unpack(frame)
