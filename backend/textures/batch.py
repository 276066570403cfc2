"""Batches: many textures from one file, each item on its own, with a manifest that tells how to repeat every one.

[defaults]                      # any of: generator style seeds size tile psi mine maps format relief normal roughness
                                # cutoff mix directions noise noise_seed noise_strength strengths
size = "1024x1024"
maps = ["color", "normal"]

[[items]]                       # the same keys, and name
style = "mossy:0.8"
seeds = "0-15"
name = "moss"
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import BadRequest, Cancelled, CannotWrite, LoomError, NotFound, as_loom_error
from ..job import Job, Progress
from . import spelling
from .files import open_folder, picture_name, sweep_parts, write_picture
from .generate import GenerateSettings, make_texture, picture_origin, picture_record, picture_set, repetition
from .look import check_keys
from .manifest import Manifest, write_failures
from .memory import check_memory, predicted_mib
from .variation import Source

if TYPE_CHECKING:
    from ..models.store import Store

SPELLINGS = {
    "generator": spelling.text,
    "style": spelling.styles,
    "seeds": spelling.seeds,
    "textures": spelling.names,
    "size": spelling.size,
    "tile": spelling.text,
    "psi": spelling.number,
    "cutoff": spelling.whole,
    "mix": spelling.mixes,
    "directions": spelling.directions,
    "noise": spelling.text,
    "noise_seed": spelling.whole,
    "noise_strength": spelling.numbers,
    "strengths": spelling.numbers,
    "maps": spelling.maps,
    "format": spelling.text,
    "mine": spelling.number,
    "relief": spelling.number,
    "normal": spelling.text,
    "roughness": spelling.number,
}
ITEM_KEYS = (*SPELLINGS, "name")
SYNONYMS = {"texture": "textures", "styles": "style", "seed": "seeds", "direction": "directions"}


@dataclass(frozen=True, kw_only=True)
class BatchSettings:
    """items  one `GenerateSettings` each, with file names that do not collide"""

    items: tuple[GenerateSettings, ...]

    def __post_init__(self) -> None:
        if not self.items:
            raise BadRequest("The batch has no items; add at least one [[items]] with style, seeds and name.")
        taken: dict[str, int] = {}
        for number, item in enumerate(self.items, start=1):
            for file in _file_names(item):
                first = taken.setdefault(file.casefold(), number)
                if first != number:
                    raise BadRequest(
                        f"Items {first} and {number} would both write {file!r}; give them different names or seeds."
                    )

    @classmethod
    def from_mapping(cls, jobs: Mapping[str, Any]) -> BatchSettings:
        """From {"defaults": {...}, "items": [{...}]}. Raises BadRequest naming the item and key that is wrong."""
        check_keys("The batch", jobs, ("defaults", "items"))
        defaults, items = jobs.get("defaults", {}), jobs.get("items", [])
        if not isinstance(defaults, Mapping):
            raise BadRequest("The batch's defaults must be a table: write [defaults] and keys below it.")
        if not isinstance(items, list | tuple) or not all(isinstance(item, Mapping) for item in items):
            raise BadRequest("The batch's items must be a list of tables: write [[items]] before each.")
        common = _values("[defaults]", defaults, tuple(SPELLINGS))
        return cls(items=tuple(_item(number, common, item) for number, item in enumerate(items, start=1)))

    @classmethod
    def from_toml(cls, path: Path | str) -> BatchSettings:
        """From a file. Raises NotFound, or BadRequest where it is not TOML or not a batch."""
        path = Path(path).expanduser()
        try:
            return cls.from_mapping(tomllib.loads(path.read_text(encoding="utf-8")))
        except (FileNotFoundError, IsADirectoryError) as error:
            raise NotFound(f"There is no batch file {str(path)!r}; check the path.") from error
        except tomllib.TOMLDecodeError as error:
            raise BadRequest(f"{path.name} is not valid TOML: {error}; correct it there.") from error
        except UnicodeDecodeError as error:
            raise BadRequest(f"{path.name} is not a text file in UTF-8; save it as UTF-8.") from error
        except BadRequest as error:
            raise BadRequest(f"{path.name}: {error}") from error

    @property
    def pictures(self) -> int:
        return sum(len(item.seeds) for item in self.items)


def _values(where: str, table: Mapping[str, Any], known: tuple[str, ...]) -> dict[str, Any]:
    table = {SYNONYMS.get(key, key): value for key, value in table.items()}
    check_keys(where, table, known)
    values = {}
    for key, value in table.items():
        try:
            values[key] = SPELLINGS.get(key, spelling.text)(value)
        except BadRequest as error:
            raise BadRequest(f"{where}, {key}: {error}") from error
    return values


def _item(number: int, common: dict[str, Any], table: Mapping[str, Any]) -> GenerateSettings:
    where = f"[[items]] {number}"
    values = common | _values(where, table, ITEM_KEYS)
    values["styles"] = values.pop("style", ())
    kept = values.pop("textures", ())
    if kept:
        values["seeds"] = kept + values.get("seeds", ())
    try:
        return GenerateSettings(**values)
    except BadRequest as error:
        raise BadRequest(f"{where}: {error}") from error


def _file_names(item: GenerateSettings) -> list[str]:
    return [picture_name(item.stem, seed, which, item.format, at) for seed, at in item.textures for which in item.maps]


@dataclass(frozen=True, kw_only=True)
class BatchResult:
    """written  files written now;  skipped  files that were complete already
    failed   {"name", "message"} of each item that failed, with the first seed that did
    """

    out: Path
    manifest: Path
    written: int
    skipped: int
    failed: list[dict[str, str]] = field(default_factory=list)


def run_batch(
    store: Store, settings: BatchSettings, out: Path, job: Job | None = None, *, resume: bool = False
) -> BatchResult:
    """Make all items under `out`. An item that fails is noted and the next one begins.

    resume  keep files that the manifest there lists with the same settings, size and hash; without it all are made anew
    Raises  CannotWrite, Cancelled, BadRequest (a manifest of a newer version); what was finished stays, and `resume`
            goes on from there
    """
    folder = open_folder(out)
    sweep_parts(folder)
    run = _Run(store, folder, job or Job(), settings.pictures, Manifest.open(folder, keep=resume))
    try:
        for item in settings.items:
            run.item(item)
    finally:
        run.manifest.close(order=[file for item in settings.items for file in _file_names(item)])
        write_failures(folder, run.failed)
    return BatchResult(
        out=folder, manifest=run.manifest.path, written=run.written, skipped=run.skipped, failed=run.failed
    )


class _Run:
    """One pass over a batch: the counters, and what was made."""

    def __init__(self, store: Store, folder: Path, job: Job, total: int, manifest: Manifest) -> None:
        self.store, self.folder, self.job, self.total, self.manifest = store, folder, job, total, manifest
        self.done = self.written = self.skipped = 0
        self.failed: list[dict[str, str]] = []

    def item(self, item: GenerateSettings) -> None:
        """All pictures of one item. Boundary: whatever is wrong with this item must not stop a night's other work."""
        before = self.done
        try:
            config = self.store.generator(item.generator).config
            device = self.store.device
            check_memory(predicted_mib(config, item.size, item.tile, item.maps, device), device, item.size)
            for seed, strength in item.textures:
                self.job.check()
                self.picture(item, seed, strength)
        except (Cancelled, CannotWrite):
            raise  # the next item would fare no better
        except Exception as error:
            known: LoomError | None = as_loom_error(error)
            if isinstance(known, CannotWrite):
                raise known from error
            message = str(known) if known else f"an internal error, please report it: {type(error).__name__}: {error}"
            self.failed.append({"name": item.stem, "message": message})
            self.done = before + len(item.seeds)

    def picture(self, item: GenerateSettings, seed: Source, strength: float | None) -> None:
        """One picture with its maps, unless all its files are there."""
        origin = picture_origin(self.store, item, seed, strength)
        wanted = {}
        for which in item.maps:
            record = picture_record(item, origin, seed, which)
            wanted[which] = picture_name(item.stem, seed, which, item.format, strength), record
        missing = [which for which, (file, record) in wanted.items() if not self.manifest.has(file, record)]
        color = None
        if missing:
            color = make_texture(self.store, item, seed, strength)
            repeat = repetition(self.store.generator(item.generator).config, color, item)
            images = picture_set(color, item)
            for which in missing:
                file, record = wanted[which]
                data = write_picture(self.folder / file, images[which], about=record)
                measured = {} if repeat is None or which != "color" else {"repeat": repeat}
                self.manifest.add(file, item.stem, record, data, measured)
        self.written += len(missing)
        self.skipped += len(wanted) - len(missing)
        self.done += 1
        self.job.report(Progress(done=self.done, total=self.total, stage=item.stem, preview=color))
