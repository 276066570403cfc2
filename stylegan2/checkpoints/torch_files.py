"""The two containers of `torch.save`: a zip archive (since PyTorch 1.6) and the older chain of pickles.

zip     NAME/data.pkl, the storages as NAME/data/0, NAME/data/1, ... stored uncompressed, NAME/byteorder
legacy  pickles of a magic number, a version, the machine's properties, the object and the storages' keys;
        then for each key a count (int64) and the numbers, little endian
"""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import CorruptTensors, ForeignCheckpoint, TruncatedCheckpoint, UnsafeCheckpoint
from .pickle_machine import Builder, Global, LimitedReader, PickleMachine
from .stored_tensors import PLAIN, STORAGE_DTYPES, Storage

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_VERSION = 1001


def read_zip(path: Path) -> Any:
    """The object that a zip of `torch.save` holds, tensors pending. Raises CheckpointError."""
    try:
        archive = zipfile.ZipFile(path)  # open as long as pending tensors refer to it
        entries = {info.filename: info for info in archive.infolist()}
    except (zipfile.BadZipFile, ValueError, OSError, EOFError, NotImplementedError) as error:
        raise TruncatedCheckpoint(f"{path.name} is no whole PyTorch file: it was cut off; get it again.") from error
    pickles = [name for name in entries if name.endswith("/data.pkl") and name.count("/") == 1]
    if len(pickles) != 1:
        raise ForeignCheckpoint(f"{path.name} is a zip archive, but not one that PyTorch saved; import a .pt or .pkl.")
    prefix = pickles[0].removesuffix("data.pkl")
    reader = _ZipReader(path.name, archive, entries, prefix)
    if entries.get(prefix + "byteorder") and reader.bytes(prefix + "byteorder", limit=16) != b"little":
        raise ForeignCheckpoint(f"{path.name} was saved on a big-endian machine, which is not supported.")
    data = reader.bytes(pickles[0], limit=1 << 30)
    machine = PickleMachine(path.name, PLAIN, reader.storage)
    return machine.load(LimitedReader(io.BytesIO(data), len(data)))


class _ZipReader:
    def __init__(self, source: str, archive: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo], prefix: str) -> None:
        self.source, self.archive, self.entries, self.prefix = source, archive, entries, prefix

    def bytes(self, name: str, limit: int) -> bytes:
        """An entry, which must be stored as it is: so it cannot be larger than the file, however small that is."""
        info = self.entries.get(name)
        if info is None:
            raise TruncatedCheckpoint(f"{self.source} lacks its entry {name[:60]!r}: it is damaged; get it again.")
        if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size or info.file_size > limit:
            raise UnsafeCheckpoint(
                f"{self.source} holds compressed or oversized entries, as PyTorch never writes them; it was not "
                "unpacked: get the model from its publisher."
            )
        try:
            return self.archive.read(info)
        except (zipfile.BadZipFile, EOFError, OSError, ValueError, RuntimeError, NotImplementedError) as error:
            raise TruncatedCheckpoint(f"{self.source} is damaged at {name[:60]!r}; get it again.") from error

    def storage(self, pid: Any) -> Storage:
        dtype, key, count = parse_storage_id(self.source, pid)
        name, size = f"{self.prefix}data/{key}", count * dtype.itemsize
        info = self.entries.get(name)
        if info is None or info.file_size != size:
            raise TruncatedCheckpoint(f"{self.source} lacks the data of a tensor: it is damaged; get it again.")
        return Storage(dtype, count, lambda: self.bytes(name, limit=size))


def parse_storage_id(source: str, pid: Any) -> tuple[Any, str, int]:
    """('storage', type, key, location, count, ...) -> (dtype, key, count)."""
    if isinstance(pid, tuple) and len(pid) >= 5 and pid[0] == "storage" and isinstance(pid[1], Global):
        dtype, key, count = STORAGE_DTYPES.get(pid[1].name), pid[2], pid[4]
        if dtype is not None and isinstance(key, str) and type(count) is int and count >= 0:
            return dtype, key, count
    raise ForeignCheckpoint(f"{source} describes its tensors in an unknown way; it was not written by PyTorch's save.")


def read_legacy(source: str, file: BinaryIO, size: int, builders: dict[str, Builder | None] = PLAIN) -> Any:
    """The object that the older `torch.save` wrote at the file's position. Raises CheckpointError."""
    reader = LimitedReader(file, size)
    storages: dict[str, Storage] = {}

    def persistent(pid: Any) -> Storage:
        dtype, key, count = parse_storage_id(source, pid)
        if len(pid) > 5 and pid[5] is not None:
            raise ForeignCheckpoint(f"{source} uses views of storages, which PyTorch wrote only before 2017.")
        if count * dtype.itemsize > size:
            raise TruncatedCheckpoint(f"{source} promises more data than it has: it was cut off; get it again.")
        return storages.setdefault(key, Storage(dtype, count, lambda: b""))

    def load(machine: PickleMachine) -> Any:
        return machine.load(reader)

    plain = PickleMachine(source, {})
    if load(plain) != LEGACY_MAGIC or load(plain) != LEGACY_VERSION:
        raise ForeignCheckpoint(f"{source} is a pickle, but not one of PyTorch; import a .pt or .pkl.")
    load(plain)  # byte order and integer sizes of the machine: always the same by now
    value = load(PickleMachine(source, builders, persistent))
    keys = load(plain)
    if not isinstance(keys, list) or {k for k in keys if isinstance(k, str)} != storages.keys():
        raise CorruptTensors(f"{source} lists other tensors than it uses; it is damaged: get it again.")
    for key in keys:
        _read_storage(source, reader, storages[key])
    return value


def _read_storage(source: str, reader: LimitedReader, storage: Storage) -> None:
    head = reader.read(8)
    size = storage.count * storage.dtype.itemsize
    data = reader.read(size) if len(head) == 8 and struct.unpack("<q", head)[0] == storage.count else b""
    if len(head) < 8 or len(data) != size:
        raise TruncatedCheckpoint(f"{source} ends within its tensors: it was cut off or damaged; get it again.")
    storage.read = lambda: data


def load_from_bytes(source: str):
    """A builder for `torch.storage._load_from_bytes`: a whole legacy file inside a pickle, holding one storage."""

    def build(data: Any) -> Storage:
        if not isinstance(data, bytes | bytearray):
            raise ForeignCheckpoint(f"{source} describes its tensors in an unknown way; import a .pt or .pkl.")
        value = read_legacy(source, io.BytesIO(data), len(data), {**PLAIN})
        if not isinstance(value, Storage):
            raise ForeignCheckpoint(f"{source} holds something else where the data of a tensor belong.")
        return value

    return build
