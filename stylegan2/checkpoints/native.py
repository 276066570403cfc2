"""The library's own format: one safetensors file.

    metadata  format          "latent-loom generator"
              format_version  "1"; a reader refuses higher ones
              config          GeneratorConfig as JSON
              ...             anything else is the writer's (licence, provenance)
    tensors   the generator's state, float32, names as in `networks.py`

The same generator gives the same bytes: tensors and metadata are sorted, and there is no clock in it.
"""

from __future__ import annotations

import dataclasses
import json
import struct
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..config import GeneratorConfig
from ..errors import ConfigError, ForeignCheckpoint, TruncatedCheckpoint
from ..networks import Generator
from .assemble import PendingTensor, assemble
from .atomic import replacing

FORMAT = "latent-loom generator"
FORMAT_VERSION = 1
RESERVED = ("format", "format_version", "config")


@dataclass(frozen=True, kw_only=True)
class Header:
    """What a file says about itself, read without its tensors. `metadata` is the writer's own part."""

    config: GeneratorConfig
    metadata: dict[str, str]
    parameters: int


def save_generator(generator: Generator, path: Path | str, *, metadata: dict[str, str] | None = None) -> None:
    """Write `generator`; an existing file is replaced when the new one is whole.

    metadata  further strings to keep; not the three reserved names
    Raises    OSError
    """
    clash = sorted(set(metadata or {}) & set(RESERVED))
    if clash:
        raise ValueError(f"the metadata names {', '.join(clash)} are reserved for the format")
    config = json.dumps(dataclasses.asdict(generator.config), sort_keys=True)
    about = {**(metadata or {}), "format": FORMAT, "format_version": str(FORMAT_VERSION), "config": config}
    arrays = {
        name: tensor.detach().to("cpu", torch.float32).contiguous().numpy().astype("<f4", copy=False)
        for name, tensor in sorted(generator.state_dict().items())
    }
    header: dict[str, object] = {"__metadata__": dict(sorted(about.items()))}
    end = 0
    for name, array in arrays.items():
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": [end, end + array.nbytes]}
        end += array.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the format asks for data aligned to 8 bytes
    with replacing(Path(path)) as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for array in arrays.values():
            file.write(array.tobytes())


def load_generator(path: Path | str) -> Generator:
    """Read a file of `save_generator`: float32, on the CPU, no gradients.

    Raises  CheckpointError (its subclasses say which), FileNotFoundError
    """
    path = Path(path)
    with _opened(path) as file:
        header = _header(path, file)
        tensors = {}
        for name in file.keys():  # noqa: SIM118 (not a mapping)
            shape = tuple(file.get_slice(name).get_shape())
            tensors[name] = PendingTensor(shape, partial(_read, file, name))
        return assemble(header.config, tensors, source=path.name)


def read_header(path: Path | str) -> Header:
    """Config and metadata of a file of `save_generator`, without reading its tensors. Raises as `load_generator`."""
    path = Path(path)
    with _opened(path) as file:
        return _header(path, file)


def _read(file, name: str) -> Tensor:
    return file.get_tensor(name).clone()  # the file's own memory map must not outlive it


def _opened(path: Path):
    if not path.exists():
        raise FileNotFoundError(2, "No such file", str(path))
    try:
        return safe_open(path, framework="pt")
    except (SafetensorError, OSError) as error:
        raise TruncatedCheckpoint(
            f"{path.name} is no whole safetensors file ({_reason(error)}): it was cut off or damaged; get it again."
        ) from error


def _header(path: Path, file) -> Header:
    about = dict(file.metadata() or {})
    if about.get("format") != FORMAT:
        raise ForeignCheckpoint(
            f"{path.name} is a safetensors file, but no generator of Latent Loom; import the .pkl or .pt instead."
        )
    version = about.get("format_version", "")
    if version != str(FORMAT_VERSION):
        raise ForeignCheckpoint(
            f"{path.name} has format version {version[:20]!r} and this program reads {FORMAT_VERSION}; "
            "update Latent Loom."
        )
    config = _parse_config(path, about.get("config", ""))
    shapes = [file.get_slice(name).get_shape() for name in file.keys()]  # noqa: SIM118
    count = sum(int(np.prod(shape, dtype=np.int64)) for shape in shapes)
    return Header(config=config, metadata={k: v for k, v in about.items() if k not in RESERVED}, parameters=count)


def _parse_config(path: Path, text: str) -> GeneratorConfig:
    """Unknown settings are refused, since they change what the tensors mean."""
    try:
        settings = json.loads(text)
        for name in ("channels", "fir"):
            settings[name] = tuple(settings[name])
        return GeneratorConfig(**settings)
    except ConfigError as error:
        raise ForeignCheckpoint(f"{path.name} describes a generator that cannot be built: {error}") from error
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ForeignCheckpoint(
            f"{path.name} has no readable generator settings; it was damaged or written by another program."
        ) from error


def _reason(error: Exception) -> str:
    return str(error).removeprefix("Error while deserializing header: ").splitlines()[0][:120].rstrip(". ")
