"""The manifest of a batch: `manifest.jsonl`, one JSON object for each file, with everything needed to repeat it.

    {"file": "moss-3_normal.png", "item": "moss", "bytes": ..., "sha256": "...", "version": 1,
     "generator": ..., "generator_hash": ..., "styles": [[name, strength, hash]], "seed": 3, "map": "normal", ...}

While a batch runs, lines are appended as files are finished, so that after a kill at most the files that were being
written are missing from it and at most the last line is broken. At the end it is put into the batch's order: an
interrupted and resumed batch leaves the same manifest, byte for byte, as one that ran through. In memory a line is its
place in the file and a digest, so that a hundred thousand of them take some 30 MB.

A file counts as whole when its size is the manifest's and it is older than the manifest itself: nobody wrote to it
since. One that is newer (a copied folder, an edited picture) is read and compared by its hash.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from ..errors import BadRequest, CannotWrite
from .files import canonical_json, writing_atomic

VERSION = 1
FILE = "manifest.jsonl"
FAILURES = "failed.jsonl"
_ABOUT_THE_FILE = ("file", "item", "bytes", "sha256", "version", "repeat")
_ORIGIN = ("generator_hash", "texture_hash")


class _Line(NamedTuple):
    """Where a file's record stands in the manifest, and the digest of what it was made from."""

    start: int
    length: int
    digest: bytes


class Manifest:
    """The records of the files in one folder, by file name. Make it with `open`."""

    def __init__(self, folder: Path, lines: Iterable[bytes] = ()) -> None:
        self.folder, self.path = folder, folder / FILE
        self._places: dict[str, _Line] = {}
        self._end = 0
        # A broken last line must not swallow the next record: begin from whole lines.
        with writing_atomic(self.path) as file:
            for line in lines:
                file.write(line)
                self._note(json.loads(line), line)
        self._file = self.path.open("ab")

    @classmethod
    def open(cls, folder: Path, *, keep: bool, verify: bool = False) -> Manifest:
        """The manifest of `folder`; with `keep`, the records of the files that are whole. `verify` hashes them all.

        Raises  BadRequest where another version wrote it, or it is no manifest at all
        """
        return cls(folder, _whole(folder, verify) if keep else ())

    def has(self, file: str, record: dict[str, Any]) -> bool:
        """Whether `file` was made from exactly the settings of `record`."""
        known = self._places.get(file)
        return known is not None and known.digest == self.digest(record)

    def add(
        self, file: str, item: str, record: dict[str, Any], written: tuple[int, str], measured: dict[str, float]
    ) -> None:
        """Note that `file` now holds `written` (bytes, sha256), made from `record`; `measured` may hold its score."""
        about = {"file": file, "item": item, "bytes": written[0], "sha256": written[1], "version": VERSION}
        entry = about | measured | record
        line = f"{canonical_json(entry)}\n".encode()
        try:
            self._file.write(line)
            self._file.flush()
        except OSError as error:
            raise CannotWrite(
                f"Cannot write {FILE!r} in {str(self.folder)!r} ({error.strerror or error}); free space and resume."
            ) from error
        self._note(entry, line)

    def close(self, *, order: Iterable[str]) -> None:
        """Rewrite the file with the records of `order` first, then the others by name."""
        with contextlib.suppress(OSError):  # a full disk: what was flushed is there, and the rewrite below tells
            self._file.close()
        rest = dict(self._places)
        with self.path.open("rb") as old, writing_atomic(self.path) as new:
            for file in order:
                if file in rest:
                    new.write(_read(old, rest.pop(file)))
            for file in sorted(rest):
                new.write(_read(old, rest[file]))

    @staticmethod
    def digest(record: Mapping[str, Any]) -> bytes:
        """Of what a file was made from: equal for equal settings and models."""
        return hashlib.sha256(canonical_json(record).encode()).digest()[:16]

    def _note(self, entry: dict[str, Any], line: bytes) -> None:
        self._places[entry["file"]] = _Line(self._end, len(line), self.digest(_made_from(entry)))
        self._end += len(line)


def read_manifest(folder: Path) -> Iterator[dict[str, Any]]:
    """The records of the manifest in `folder`, one at a time; none where there is no manifest. Broken lines, and
    those of files outside the folder, are left out; of two for one file the later counts, and both come.

    Raises  BadRequest where another version wrote it, or it is no manifest at all
    """
    path = folder / FILE
    if not path.exists():
        return
    lines = found = 0
    with path.open("rb") as file:
        for line in file:
            lines += 1
            try:
                record = json.loads(line)
                version, name, size = record["version"], record["file"], record.get("bytes")
            except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
                continue
            if version != VERSION:
                raise BadRequest(
                    f"The {FILE} in {str(folder)!r} was written by another version of Latent Loom (format {version!r},"
                    f" not {VERSION}): a newer version is needed, or another folder."
                )
            if is_below(name) and isinstance(size, int) and isinstance(record.get("sha256"), str):
                found += 1
                yield record
    if lines > 1 and not found:
        raise BadRequest(f"The {FILE} in {str(folder)!r} is not a batch's manifest; choose another folder.")


def is_below(name: Any) -> bool:
    """Whether a manifest's file name stays in the manifest's folder: it may have come from somebody else."""
    if not isinstance(name, str) or "\0" in name:
        return False
    parts = PurePosixPath(name.replace("\\", "/")).parts
    return bool(parts) and not {"..", "/"} & set(parts) and ":" not in parts[0]


def _whole(folder: Path, verify: bool) -> Iterator[bytes]:
    """The lines of the files that are there, whole and unchanged."""
    try:
        written_ns = (folder / FILE).stat().st_mtime_ns
    except FileNotFoundError:
        return
    for record in read_manifest(folder):
        path = folder / record["file"]
        try:
            status = path.stat()
            if status.st_size != record["bytes"]:
                continue
            if (verify or status.st_mtime_ns >= written_ns) and sha256(path.read_bytes()) != record["sha256"]:
                continue
        except OSError:
            continue
        yield f"{canonical_json(record)}\n".encode()


def whole_files(folder: Path, *, verify: bool = False) -> dict[str, bytes]:
    """File -> digest of what it was made from, of the files of the manifest in `folder` that are whole."""
    entries = (json.loads(line) for line in _whole(folder, verify))
    return {entry["file"]: Manifest.digest(_made_from(entry)) for entry in entries}


def item_of_record(record: dict[str, Any]) -> dict[str, Any]:
    """The item of a batch that makes the file of a manifest's line again. Raises BadRequest."""
    try:
        if record["version"] != VERSION:
            raise BadRequest(
                f"This line is of another version (format {record['version']!r}, not {VERSION}); use that version."
            )
        made_from = _made_from(record)
        values = {key: value for key, value in made_from.items() if key not in _ORIGIN}
        seed, path = values.pop("seed"), Path(record["file"])
        values["textures" if isinstance(seed, str) else "seeds"] = [seed]
        values["styles"] = [[name, strength] for name, strength, _ in values["styles"]]
        values["maps"] = [values.pop("map")]
        values["format"] = {".jpg": "jpeg"}.get(path.suffix, path.suffix.removeprefix("."))
        values["naming"] = path.with_suffix("").as_posix()
        return values | {"name": record["item"], "record": made_from}
    except (KeyError, TypeError, ValueError) as error:
        raise BadRequest("This line is not a manifest's record of a file; take it from the manifest anew.") from error


def write_failures(folder: Path, failed: list[dict[str, Any]]) -> None:
    """`failed.jsonl` beside the manifest says what failed in the last run; it is removed when nothing did."""
    path = folder / FAILURES
    if not failed:
        path.unlink(missing_ok=True)
        return
    with writing_atomic(path) as file:
        file.writelines(f"{canonical_json(entry)}\n".encode() for entry in failed)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _made_from(entry: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key not in _ABOUT_THE_FILE}


def _read(file: Any, line: _Line) -> bytes:
    file.seek(line.start)
    return file.read(line.length)
