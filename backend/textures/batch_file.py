"""Batch files: TOML, CSV or JSON lines, by their suffix, all to one mapping {"defaults", "adapt", "items"}.

[defaults]                      # jobs.toml: the keys are those of `batch.SPELLINGS`
size = "1024x1024"
maps = ["color", "normal"]

[[adapt]]                       # a style to make first: the parameters of `latent-loom adapt`
name = "mossy"
source = "stone"
target = "mossy stone"

[[items]]
style = "mossy:0.8"
seeds = "0-15"
name = "moss"

A CSV file has the keys in its first line and one item in each other; a cell with several values has ';' between them.
In JSON lines every line is an item, {"defaults": {...}} or {"adapt": {...}}. The manifest of a batch is such a file
too: each of its lines makes its file again.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import AlreadyExists, BadRequest, LoomError, NotFound
from .manifest import item_of_record

SUFFIXES = (".toml", ".csv", ".jsonl")
Lines = Callable[[str, int, str | None], int | None]


class BatchFileError(BadRequest):
    """What is wrong stands in an entry: `table` (defaults, adapt, items, or a key of the file itself), its number from
    1 on, and the key where it is one key's fault.
    """

    def __init__(self, sentence: str, table: str, number: int = 1, key: str | None = None) -> None:
        super().__init__(sentence)
        self.table, self.number, self.key = table, number, key


@dataclass(frozen=True)
class BatchFile:
    """jobs   {"defaults": {...}, "adapt": [...], "items": [...]}
    line   (table, number, key) -> the line in the file where that stands, or None
    """

    path: Path
    jobs: dict[str, Any]
    line: Lines = field(repr=False)

    def told(self, error: BadRequest | AlreadyExists) -> LoomError:
        """The error with the file's name, and the line where that is known."""
        at = self.line(error.table, error.number, error.key) if isinstance(error, BatchFileError) else None
        kind = AlreadyExists if isinstance(error, AlreadyExists) else BadRequest
        return kind(f"{self.path.name}{f', line {at}' if at else ''}: {error}")

    @contextlib.contextmanager
    def telling(self) -> Iterator[None]:
        """What is refused inside is told with the file's name, and the line where that is known."""
        try:
            yield
        except (BadRequest, AlreadyExists) as error:
            raise self.told(error) from error


def read_batch_file(path: Path | str) -> BatchFile:
    """Raises NotFound, or BadRequest where the file is not of its suffix's form."""
    path = Path(path).expanduser()
    read = {".toml": _toml, ".csv": _csv, ".jsonl": _json_lines}.get(path.suffix.lower())
    try:
        data = path.read_bytes()
    except (FileNotFoundError, IsADirectoryError) as error:
        raise NotFound(f"There is no batch file {str(path)!r}; check the path.") from error
    if read is None:
        raise BadRequest(f"{path.name} is no batch file by its name; it must end in {', '.join(SUFFIXES)}.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadRequest(f"{path.name} is not a text file in UTF-8; save it as UTF-8.") from error
    jobs, line = read(path.name, text)
    _place_pictures(jobs, path.parent)
    return BatchFile(path, jobs, line)


def _place_pictures(jobs: Mapping[str, Any], folder: Path) -> None:
    """Paths of target pictures are meant from the batch file's own folder."""
    adapt = jobs.get("adapt", ())
    for entry in adapt if isinstance(adapt, list) else ():
        for key in ("images", "source_images"):
            if isinstance(entry, dict) and isinstance(entry.get(key), list):
                entry[key] = [str(folder.absolute() / p) if isinstance(p, str) else p for p in entry[key]]


def _toml(name: str, text: str) -> tuple[dict[str, Any], Lines]:
    try:
        jobs = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise BadRequest(f"{name} is not valid TOML: {error}; correct it there.") from error
    return jobs, lines_of_toml(text)


def lines_of_toml(text: str) -> Lines:
    """Where the entries of TOML text stand: see `BatchFile`."""
    rows = text.split("\n")

    def line(table: str, number: int, key: str | None) -> int | None:
        header = re.compile(rf"\s*\[\[?\s*{re.escape(table)}\s*\]\]?")
        starts = [at for at, row in enumerate(rows) if header.match(row)]
        if len(starts) < number:  # a plain key, or a list in one line
            return next((at + 1 for at, row in enumerate(rows) if re.match(rf"\s*{re.escape(table)}\s*=", row)), None)
        start = starts[number - 1]
        for at in range(start + 1, len(rows)):
            if key is None or re.match(r"\s*\[\[?\s*[A-Za-z]", rows[at]):
                break
            if re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=", rows[at]):
                return at + 1
        return start + 1

    return line


def _csv(name: str, text: str) -> tuple[dict[str, Any], Lines]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    items: list[dict[str, Any]] = []
    lines: list[int] = []
    keys: list[str] = []
    try:
        for row in reader:
            if not any(cell.strip() for cell in row):
                continue
            if not keys:
                keys = [cell.strip() for cell in row]
                if len(set(keys)) < len(keys):
                    raise BadRequest(f"{name}, line {reader.line_num}: a key stands twice in the first line.")
                continue
            if len(row) > len(keys):
                raise BadRequest(
                    f"{name}, line {reader.line_num}: there are {len(row)} cells and {len(keys)} keys; put cells that "
                    'hold a comma in "quotation marks".'
                )
            items.append({key: _cell(cell) for key, cell in zip(keys, row, strict=False) if cell.strip()})
            lines.append(reader.line_num)
    except csv.Error as error:
        raise BadRequest(f"{name}, line {reader.line_num}: this is not CSV ({error}); correct it there.") from error
    return {"items": items}, _by_entry({"items": lines})


def _cell(text: str) -> str | list[str]:
    parts = [part.strip() for part in text.split(";")]
    return parts if len(parts) > 1 else parts[0]


def _json_lines(name: str, text: str) -> tuple[dict[str, Any], Lines]:
    jobs: dict[str, Any] = {"defaults": {}, "adapt": [], "items": []}
    lines: dict[str, list[int]] = {table: [] for table in jobs}
    rows = text.split("\n")
    for number, row in enumerate(rows, start=1):
        if not row.strip():
            continue
        try:
            entry = json.loads(row)
        except (ValueError, RecursionError) as error:
            raise BadRequest(f"{name}, line {number}: this is not JSON ({error}); correct it there.") from error
        if not isinstance(entry, dict):
            raise BadRequest(f"{name}, line {number}: every line must be a JSON object.")
        table = next(iter(entry)) if len(entry) == 1 and next(iter(entry)) in ("defaults", "adapt") else "items"
        lines[table].append(number)
        if table == "defaults":
            if len(lines["defaults"]) > 1 or not isinstance(entry[table], dict):
                raise BadRequest(f"{name}, line {number}: defaults must be one object, given once.")
            jobs["defaults"] = entry[table]
        elif table == "adapt":
            jobs["adapt"].append(entry[table])
        else:
            try:
                jobs["items"].append(item_of_record(entry) if "sha256" in entry else entry)
            except BadRequest as error:
                raise BadRequest(f"{name}, line {number}: {error}") from error
    return jobs, _by_entry(lines)


def _by_entry(lines: Mapping[str, list[int]]) -> Lines:
    def line(table: str, number: int, key: str | None) -> int | None:
        known = lines.get(table, [])
        return known[number - 1] if number <= len(known) else None

    return line
