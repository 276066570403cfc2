"""The manifest of a batch: `manifest.jsonl`, one JSON object for each file, with everything needed to repeat it.

    {"file": "moss-3_normal.png", "item": "moss", "bytes": ..., "sha256": "...", "version": 1,
     "generator": ..., "generator_hash": ..., "styles": [[name, strength, hash]], "seed": 3, "map": "normal", ...}

While a batch runs, lines are appended as files are finished, so that after a kill at most one finished file is missing
from it and at most the last line is broken. At the end it is rewritten in the batch's order: an interrupted and resumed
batch leaves the same manifest, byte for byte, as one that ran through.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..errors import BadRequest, CannotWrite
from .files import canonical_json, write_atomic

VERSION = 1
FILE = "manifest.jsonl"
FAILURES = "failed.jsonl"
_ABOUT_THE_FILE = ("file", "item", "bytes", "sha256", "version", "repeat")


class Manifest:
    """The records of the files in one folder, by file name. Make it with `open`."""

    def __init__(self, folder: Path, records: dict[str, dict[str, Any]]) -> None:
        self.folder, self.path, self.records = folder, folder / FILE, records
        # A broken last line must not swallow the next record: begin from whole lines.
        write_atomic(self.path, _lines(records.values()))
        self._file = self.path.open("ab")

    @classmethod
    def open(cls, folder: Path, *, keep: bool) -> Manifest:
        """The manifest of `folder`; its records count only with `keep`."""
        return cls(folder, read_manifest(folder) if keep else {})

    def has(self, file: str, record: dict[str, Any]) -> bool:
        """Whether `file` was made from exactly the settings of `record` and is still whole, by size and sha256."""
        known = self.records.get(file)
        if known is None or {k: v for k, v in known.items() if k not in _ABOUT_THE_FILE} != record:
            return False
        try:
            path = self.folder / file
            return path.stat().st_size == known["bytes"] and _sha256(path.read_bytes()) == known["sha256"]
        except OSError:
            return False

    def add(
        self, file: str, item: str, record: dict[str, Any], data: bytes, measured: dict[str, float] | None = None
    ) -> None:
        """Note that `file` now holds `data`, made from `record`; `measured` may hold its repeat score."""
        about = {"file": file, "item": item, "bytes": len(data), "sha256": _sha256(data), "version": VERSION}
        self.records[file] = about | (measured or {}) | record
        try:
            self._file.write(_lines([self.records[file]]))
            self._file.flush()
        except OSError as error:
            raise CannotWrite(
                f"Cannot write {FILE!r} in {str(self.folder)!r} ({error.strerror or error}); free space and resume."
            ) from error

    def close(self, *, order: Iterable[str]) -> None:
        """Rewrite the file with the records of `order` first, then the others by name."""
        with contextlib.suppress(OSError):  # a full disk: what was flushed is there, and the rewrite below tells
            self._file.close()
        place = {file: number for number, file in enumerate(order)}
        names = sorted(self.records, key=lambda file: (place.get(file, len(place)), file))
        write_atomic(self.path, _lines(self.records[file] for file in names))


def read_manifest(folder: Path) -> dict[str, dict[str, Any]]:
    """File name -> record, of the manifest in `folder`; {} where there is none. Broken lines are left out.

    Raises  BadRequest where a newer version wrote it, or it is no manifest at all
    """
    try:
        text = (folder / FILE).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return {}
    records: dict[str, dict[str, Any]] = {}
    lines = text.split("\n")
    for line in lines:
        try:
            record = json.loads(line)
            version, file = record["version"], record["file"]
        except (ValueError, TypeError, KeyError):
            continue
        if not isinstance(version, int) or version > VERSION:
            raise BadRequest(
                f"The {FILE} in {str(folder)!r} was written by a newer version (format {version}); update Latent Loom "
                "or choose another folder."
            )
        if isinstance(file, str) and isinstance(record.get("bytes"), int):
            records[file] = record
    if any(lines) and len(lines) > 2 and not records:
        raise BadRequest(f"The {FILE} in {str(folder)!r} is not a batch's manifest; choose another folder.")
    return records


def write_failures(folder: Path, failed: list[dict[str, str]]) -> None:
    """`failed.jsonl` beside the manifest says what failed in the last run; it is removed when nothing did."""
    path = folder / FAILURES
    if failed:
        write_atomic(path, _lines(failed))
    else:
        path.unlink(missing_ok=True)


def _lines(records: Iterable[dict[str, Any]]) -> bytes:
    return "".join(canonical_json(record) + "\n" for record in records).encode()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
