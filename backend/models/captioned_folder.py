"""Captions of a folder's pictures: NAME.txt beside NAME.png (a caption a line), captions.csv, or captions.jsonl."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from ..adaptation.clip import WordTokenizer
from ..errors import BadRequest

FILE_KEYS = ("file", "file_name", "filename", "image", "name")
CAPTION_KEYS = ("caption", "text", "captions")
MOST_CAPTION_WORDS = 60


def read_captions(root: Path, names: list[str]) -> dict[str, list[str]]:
    """Captions of the pictures `names` (relative to `root`), each picture's in the order found; {} for one without.

    captions.csv has a line of headings (file, caption), captions.jsonl an object a line ("file", "caption" or a list).
    Raises  BadRequest for a file that cannot be understood
    """
    found: dict[str, list[str]] = defaultdict(list)
    for name in names:
        beside = (root / name).with_suffix(".txt")
        if beside.is_file():
            found[name] += _lines(beside)
    for path, rows in ((root / "captions.csv", _csv), (root / "captions.jsonl", _jsonl)):
        if path.is_file():
            for name, captions in rows(path):
                found[name] += captions
    known = {name: [c for c in captions if WordTokenizer.split(c)] for name, captions in found.items() if name in names}
    return {name: captions for name, captions in known.items() if captions}


def _lines(path: Path) -> list[str]:
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise BadRequest(f"The captions in {path.name} cannot be read; save them as UTF-8 text.") from error


def _csv(path: Path) -> list[tuple[str, list[str]]]:
    rows = list(csv.DictReader(_lines(path)))
    return [_entry(path, number + 2, row) for number, row in enumerate(rows)]


def _jsonl(path: Path) -> list[tuple[str, list[str]]]:
    entries = []
    for number, line in enumerate(_lines(path)):
        try:
            entries.append(_entry(path, number + 1, json.loads(line)))
        except ValueError as error:
            raise BadRequest(f"Line {number + 1} of {path.name} is no JSON; write one object a line.") from error
    return entries


def _entry(path: Path, line: int, row: Any) -> tuple[str, list[str]]:
    if isinstance(row, dict):
        name = next((row[key] for key in FILE_KEYS if row.get(key)), None)
        said: Any = next((row[key] for key in CAPTION_KEYS if row.get(key)), [])
        captions = [said] if isinstance(said, str) else said
        if isinstance(name, str) and isinstance(captions, list) and all(isinstance(c, str) for c in captions):
            return Path(name).as_posix(), captions
    raise BadRequest(f'Line {line} of {path.name} names no picture; give "file" and "caption".')


def check_words(captions: dict[str, list[str]]) -> None:
    for name, several in captions.items():
        for caption in several:
            if len(WordTokenizer.split(caption)) > MOST_CAPTION_WORDS:
                raise BadRequest(f"A caption of {name} has more than {MOST_CAPTION_WORDS} words; make it shorter.")
