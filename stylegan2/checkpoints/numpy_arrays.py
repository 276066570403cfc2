"""Numpy's arrays as pickles hold them: described first, read later, and never larger than their bytes.

numpy.core.multiarray._reconstruct(ndarray, (0,), b"b")     then a state (version, shape, dtype, by column?, bytes)
numpy.core.numeric._frombuffer(bytes, dtype, shape, order)  protocol 5
numpy.core.multiarray.scalar(dtype, bytes)                  a single number
"""

from __future__ import annotations

import math
import struct
from typing import Any

import torch
from torch import Tensor

from ..errors import CorruptTensors
from .assemble import PendingTensor
from .pickle_machine import Record

NUMBER_CODES = {"f8": "<d", "f4": "<f", "f2": "<e", "i8": "<q", "i4": "<i", "u8": "<Q", "u4": "<I", "b1": "?"}
ARRAY_DTYPES = {"f8": torch.float64, "f4": torch.float32, "f2": torch.float16}
DIMENSIONS = 8


def numpy_scalar(dtype: Any, data: Any = None) -> int | float | None:
    """A numpy number; None for kinds that no checkpoint needs."""
    code = NUMBER_CODES.get(_type_name(dtype) or "")
    if code is None or not isinstance(data, bytes) or len(data) != struct.calcsize(code):
        return None
    return struct.unpack(code, data)[0]


def numpy_buffer(data: Any, dtype: Any, shape: Any, order: Any = "C") -> Record:
    """What `_frombuffer` stands for, in the form that `_reconstruct` and its state leave."""
    return Record("numpy.ndarray", state=(1, shape, dtype, order == "F", data))


def array_tensor(value: Any) -> PendingTensor | None:
    """A tensor of a pickled array or number of floating point; None for anything else.

    Raises  CorruptTensors if the array claims another size than its bytes have
    """
    if isinstance(value, float):
        return PendingTensor.of(torch.tensor(value))
    state = value.state if isinstance(value, Record) else None
    if not isinstance(state, tuple) or len(state) != 5:
        return None
    _, shape, dtype, by_column, data = state
    kind = ARRAY_DTYPES.get(_type_name(dtype) or "")
    if kind is None or not isinstance(data, bytes | bytearray):
        return None
    if not isinstance(shape, tuple) or len(shape) > DIMENSIONS or any(type(n) is not int or n < 0 for n in shape):
        raise CorruptTensors("An array of the file has no sound shape; get the file again.")
    if math.prod(shape) * kind.itemsize != len(data):
        raise CorruptTensors("An array of the file has another size than its data; the file is damaged: get it again.")

    def load() -> Tensor:
        if not data:
            return torch.empty(shape, dtype=kind)
        flat = torch.frombuffer(bytearray(data), dtype=kind)
        if not by_column:
            return flat.reshape(shape)
        return flat.reshape(shape[::-1]).permute(*reversed(range(len(shape)))).contiguous()

    return PendingTensor(shape, load)


def _type_name(dtype: Any) -> str | None:
    """ "f4", ...: a dtype is a record of its name, with its byte order in the state; None unless little endian."""
    if not isinstance(dtype, Record) or not dtype.args or not isinstance(dtype.args[0], str):
        return None
    little = isinstance(dtype.state, tuple) and dtype.state[1:2] != (">",)
    return dtype.args[0] if little else None
