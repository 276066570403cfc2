"""Where a style comes from: the provenance in its file, checked when it is read. Needs no PyTorch."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from ..errors import BadCheckpoint, Damaged
from .headers import FileHeader, read_header

METADATA_KEY = "latent_loom_style"
"""One metadata entry and no more: safetensors writes several in an order that changes from run to run."""
FORMAT = 1
MAX_TEXT = 4096
ADDED_LATER = ("mine",)
"""Settings that come to a style after its run: its snapshots stay its own."""
TEXTS = ("name", "generator", "generator_hash", "source", "target", "method", "licence")


@dataclass(frozen=True, kw_only=True)
class StyleInfo:
    """Where a style comes from. No clock time and no path: the same settings give the same file.

    generator_hash  of the generator that it was trained on (stylegan2's `generator_hash`)
    iterations      after which it was taken; with a fraction between two snapshots (`snapshots.between`)
    measures        direction, quality, retention, pinned, structure, as `measures.Measures` names them
    settings        every setting of the run
    """

    name: str
    generator: str
    generator_hash: str
    source: str
    target: str
    method: str
    iterations: float
    seed: int
    clips: tuple[str, ...]
    measures: dict[str, float] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    licence: str = "as the generator and the CLIP that made it"

    @classmethod
    def from_json(cls, text: str) -> StyleInfo:
        """Raises BadCheckpoint for a newer format; ValueError, TypeError, KeyError for what is no provenance."""
        found = json.loads(text)
        if found["format"] > FORMAT:
            raise BadCheckpoint("A style file was written by a newer Latent Loom; update this one to read it.")
        known = {f.name for f in fields(cls)}
        values = {k: v for k, v in found.items() if k in known}
        values["clips"] = tuple(values.get("clips", ()))
        info = cls(**values)
        _check(info)
        return info

    def to_json(self) -> str:
        return json.dumps({"format": FORMAT} | asdict(self), sort_keys=True)

    @property
    def class_index(self) -> int | None:
        """The class that it was trained on, where its generator has classes; None = all of them."""
        found = self.settings.get("class_index")
        return found if type(found) is int else None

    @property
    def run(self) -> str:
        """Names the run that made it, sha256 hex: the same for all its snapshots, whatever the style is called."""
        settings = {name: value for name, value in self.settings.items() if name not in ADDED_LATER}
        what = [self.generator_hash, self.source, self.target, self.method, self.seed, self.clips, settings]
        return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()


def read_info(path: Path) -> StyleInfo:
    """The provenance alone, from the file's header: cheap for a long list of styles."""
    return info_of(read_header(path), path.name)


def info_of(header: FileHeader, file_name: str) -> StyleInfo:
    """Raises BadCheckpoint where the header is not a style's."""
    if METADATA_KEY not in header.metadata:
        raise BadCheckpoint(f"{file_name} is not a Latent Loom style; styles are made by latent-loom adapt.")
    try:
        return StyleInfo.from_json(header.metadata[METADATA_KEY])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Damaged(f"The style file {file_name} is damaged; get it again or train the style again.") from error


def _check(info: StyleInfo) -> None:
    """ValueError for what no run of ours writes: it would reach lists, pages and terminals."""
    texts = [getattr(info, name) for name in TEXTS] + list(info.clips)
    if not all(isinstance(text, str) and len(text) <= MAX_TEXT and text.isprintable() for text in texts):
        raise ValueError("a text is too long or not printable")
    if not (_is_number(info.iterations) and _is_number(info.seed)):
        raise ValueError("iterations and seed are numbers")
    if not all(isinstance(name, str) and _is_number(value) for name, value in info.measures.items()):
        raise ValueError("measures are numbers")
    json.dumps(info.settings, allow_nan=False)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
