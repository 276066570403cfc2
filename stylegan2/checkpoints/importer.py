"""What a model file is, by its bytes and not by its name, and the generator in it."""

from __future__ import annotations

import io
import itertools
import pickletools
import struct
from pathlib import Path

from ..errors import ForeignCheckpoint, TruncatedCheckpoint
from ..networks import Generator
from .native import load_generator
from .nvlabs import MODULES, build_nvlabs
from .pickle_machine import Builder, LimitedReader, PickleMachine
from .rosinality import build_rosinality
from .stored_tensors import PLAIN
from .tensorflow import NETWORK, build_tensorflow, is_tensorflow
from .torch_files import LEGACY_MAGIC, load_from_bytes, read_legacy, read_zip

HEAD = 512
TEXTS = {
    b"version https://git-lfs": "a Git LFS pointer, a note of where the model lies; download the model itself",
    b"<!doctype html": "a web page; open the address in a browser and take the address of the file itself",
    b"<html": "a web page; open the address in a browser and take the address of the file itself",
}


def import_checkpoint(path: Path | str) -> Generator:
    """The generator of a file: our own safetensors, rosinality's or NADA's `.pt`, NVlabs' `.pkl` (PyTorch, TensorFlow).

    Nothing in the file is executed, whatever it says. float32, on the CPU, without gradients.
    Raises  CheckpointError (one sentence), FileNotFoundError
    """
    path = Path(path)
    if path.is_dir():
        raise ForeignCheckpoint(f"{path.name} is a folder; give the model file itself (.pkl, .pt or .safetensors).")
    with path.open("rb") as file:
        head = file.read(HEAD)
    size = path.stat().st_size
    if not head:
        raise TruncatedCheckpoint(f"{path.name} is empty; download it again.")
    if head.startswith(b"PK\x03\x04"):
        return build_rosinality(read_zip(path), path.name)
    if _is_legacy_torch(head):
        with path.open("rb") as file:
            return build_rosinality(read_legacy(path.name, file, size), path.name)
    if _is_safetensors(head, size):
        return load_generator(path)
    if head[257:262] == b"ustar":
        raise ForeignCheckpoint(
            f"{path.name} is a tar archive (PyTorch saved such files before 2017); save it again with a newer PyTorch."
        )
    if head[:1] == b"\x80" or _looks_like_old_pickle(head):
        return _build_pickle(path, size)
    raise ForeignCheckpoint(
        f"{path.name} is {_what_else(head)}; give a .pkl of StyleGAN2 or StyleGAN2-ADA, a .pt of rosinality's or "
        "NADA's, or a .safetensors of Latent Loom."
    )


def _build_pickle(path: Path, size: int) -> Generator:
    builders: dict[str, Builder | None] = {
        **PLAIN,
        **MODULES,
        NETWORK: None,
        "torch.storage._load_from_bytes": load_from_bytes(path.name),
    }
    with path.open("rb") as file:
        value = PickleMachine(path.name, builders).load(LimitedReader(file, size))
    return (build_tensorflow if is_tensorflow(value) else build_nvlabs)(value, path.name)


def _what_else(head: bytes) -> str:
    """What a file is that is no model: a text in the place of a model is what failed downloads leave."""
    start = head.lstrip().lower()
    for mark, description in TEXTS.items():
        if start.startswith(mark):
            return description
    printable = all(byte >= 32 or byte in b"\t\n\r\f" for byte in head)
    return "a text file and no model" if printable else "no model file that can be read"


def _is_legacy_torch(head: bytes) -> bool:
    """Whether the first pickle is the number that the older `torch.save` starts with."""
    try:
        start = itertools.islice(pickletools.genops(io.BytesIO(head)), 3)
        return any(arg == LEGACY_MAGIC for _, arg, _ in start)
    except (ValueError, struct.error, OverflowError):
        return False


def _is_safetensors(head: bytes, size: int) -> bool:
    """An 8-byte length, then that much JSON. Half a file still counts: its reader says that it is cut off."""
    return len(head) > 8 and head[8:9] == b"{" and 0 < struct.unpack("<Q", head[:8])[0] < 100_000_000


def _looks_like_old_pickle(head: bytes) -> bool:
    """Protocols 0 and 1 have no signature: every instruction that `head` holds must parse; its end may cut one off."""
    file = io.BytesIO(head)
    try:
        for _ in pickletools.genops(file):
            pass
    except (ValueError, struct.error, OverflowError):
        return len(head) == HEAD and file.tell() == HEAD
    return True
