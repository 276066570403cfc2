"""Tensors as PyTorch pickles them, described first and read later; and the table of what a checkpoint may name.

A pickled tensor is a storage (a flat run of numbers, in the pickle itself or beside it) with an offset, sizes and
strides. Nothing is taken from memory until `PendingTensor.load`, and no tensor is larger than its storage.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..errors import CorruptTensors
from .assemble import PendingTensor
from .numpy_arrays import numpy_buffer, numpy_scalar
from .pickle_machine import Builder, Record, make_dict, make_list

STORAGE_DTYPES: dict[str, torch.dtype] = {
    "torch.FloatStorage": torch.float32,
    "torch.DoubleStorage": torch.float64,
    "torch.HalfStorage": torch.float16,
    "torch.BFloat16Storage": torch.bfloat16,
    "torch.LongStorage": torch.int64,
    "torch.IntStorage": torch.int32,
    "torch.ShortStorage": torch.int16,
    "torch.CharStorage": torch.int8,
    "torch.ByteStorage": torch.uint8,
    "torch.BoolStorage": torch.bool,
}


@dataclass(eq=False)
class Storage:
    """A flat run of `count` numbers; `read()` gives their bytes, exactly count * itemsize of them."""

    dtype: torch.dtype
    count: int
    read: Callable[[], bytes | bytearray]


def rebuild_tensor(storage: Any, offset: Any, size: Any, stride: Any, *ignored: Any) -> PendingTensor:
    """What `torch._utils._rebuild_tensor_v2` stands for; (requires_grad, hooks) are ignored.

    Raises  CorruptTensors if the tensor reaches beyond its storage, or repeats it
    """
    numbers = [offset, *size, *stride] if isinstance(size, tuple) and isinstance(stride, tuple) else [None]
    sound = isinstance(storage, Storage) and all(type(n) is int and n >= 0 for n in numbers)
    if not sound or len(size) != len(stride) or len(size) > 8:
        raise CorruptTensors("A tensor of the file has no sound description; get the file again.")
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if math.prod(size) > storage.count or (math.prod(size) > 0 and last >= storage.count):
        raise CorruptTensors("A tensor of the file is larger than its data; the file is damaged: get it again.")

    def load() -> Tensor:
        if math.prod(size) == 0:
            return torch.empty(size, dtype=storage.dtype)
        width = storage.dtype.itemsize
        data = bytearray(memoryview(storage.read())[offset * width : (last + 1) * width])
        flat = torch.frombuffer(data, dtype=storage.dtype)
        return flat.as_strided(size, stride).clone(memory_format=torch.contiguous_format)

    return PendingTensor(tuple(size), load)


def _rebuild_parameter(data: Any, *ignored: Any) -> Any:
    return data


def _encode(text: Any, encoding: Any = "latin1") -> bytes:
    """`_codecs.encode`: how protocol 2 writes bytes."""
    if not isinstance(text, str) or encoding != "latin1":
        raise CorruptTensors("The file holds bytes in an unknown encoding; get the file again.")
    return text.encode("latin1")


def _bytes(*args: Any) -> bytes:
    """`bytes()`, and nothing else: `bytes(10**12)` would take that much memory."""
    if args:
        raise CorruptTensors("The file holds bytes in an unknown form; get the file again.")
    return b""


def _size(*args: Any) -> tuple:
    return tuple(args[0]) if args and isinstance(args[0], tuple | list) else args


# What any checkpoint of PyTorch may name. None = kept as an inert record.
PLAIN: dict[str, Builder | None] = {
    "collections.OrderedDict": make_dict,
    "collections.defaultdict": None,
    "collections.Counter": None,
    "argparse.Namespace": None,
    "types.SimpleNamespace": None,
    "dnnlib.util.EasyDict": make_dict,
    "_codecs.encode": _encode,
    "torch.Size": _size,
    "torch.device": None,
    "torch._utils._rebuild_tensor": rebuild_tensor,
    "torch._utils._rebuild_tensor_v2": rebuild_tensor,
    "torch._utils._rebuild_parameter": _rebuild_parameter,
    "torch._utils._rebuild_parameter_with_state": _rebuild_parameter,
    "numpy.dtype": None,
    "numpy.ndarray": None,
    **{f"numpy.{core}.multiarray._reconstruct": None for core in ("core", "_core")},
    **{f"numpy.{core}.multiarray.scalar": numpy_scalar for core in ("core", "_core")},
    **{f"numpy.{core}.numeric._frombuffer": numpy_buffer for core in ("core", "_core")},
    **{f"pathlib.{name}": None for name in ("Path", "PurePath", "PosixPath", "WindowsPath", "PurePosixPath")},
    **{f"{b}.{name}": make_list for b in ("builtins", "__builtin__") for name in ("set", "frozenset", "list")},
    **{f"{b}.{name}": None for b in ("builtins", "__builtin__") for name in ("object", "complex", "slice", "range")},
    **{f"{b}.bytes": _bytes for b in ("builtins", "__builtin__")},
    **{f"{module}._reconstructor": None for module in ("copyreg", "copy_reg")},
    **dict.fromkeys(STORAGE_DTYPES),
    **{str(dtype): None for dtype in STORAGE_DTYPES.values()},
}


def plain_state(value: Any) -> dict:
    """The attributes of an inert record as a dictionary, or of a dictionary itself; {} for anything else."""
    if isinstance(value, Record):
        value = value.state
    return value if isinstance(value, dict) else {}
