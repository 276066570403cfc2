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
from .nvlabs import build_nvlabs, read_nvlabs
from .rosinality import build_rosinality
from .torch_files import LEGACY_MAGIC, read_legacy, read_zip

HEAD = 512


def import_checkpoint(path: Path | str) -> Generator:
    """The generator of a file: our own safetensors, rosinality's or NADA's `.pt`, NVlabs' ADA `.pkl`.

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
        return build_nvlabs(read_nvlabs(path), path.name)
    raise ForeignCheckpoint(
        f"{path.name} is no model file that can be read; give a .pkl of StyleGAN2-ADA, a .pt of rosinality's or "
        "NADA's, or a .safetensors of Latent Loom."
    )


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
    """Protocols 0 and 1 have no signature: several instructions must parse."""
    try:
        for count, (_, _, _) in enumerate(pickletools.genops(io.BytesIO(head))):
            if count >= 3:
                return True
        return True
    except (ValueError, struct.error, OverflowError):
        return False
