"""What a batch makes: its items, checked as a whole before the first of them is made.

`batch_file` tells how a file is written; `naming` what the files are called; `batch_run` makes them.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import BadRequest, NotFound
from . import naming, spelling
from .batch_file import BatchFileError, read_batch_file
from .generate import GenerateSettings
from .look import check_keys
from .variation import Source

SPELLINGS = {
    "generator": spelling.text,
    "style": spelling.styles,
    "seeds": spelling.seeds,
    "kind": spelling.text,
    "textures": spelling.names,
    "size": spelling.size,
    "tile": spelling.text,
    "psi": spelling.number,
    "cutoff": spelling.whole,
    "mix": spelling.mixes,
    "directions": spelling.directions,
    "class_index": spelling.whole,
    "noise": spelling.text,
    "noise_seed": spelling.whole,
    "noise_strength": spelling.numbers,
    "strengths": spelling.numbers,
    "maps": spelling.maps,
    "format": spelling.text,
    "mine": spelling.number,
    "material": spelling.text,
    "relief": spelling.number,
    "normal": spelling.text,
    "roughness": spelling.number,
}
SeedsOf = Callable[[str, str, Sequence[int]], tuple[int, ...]]
"""(generator, kind, numbers) -> of the seeds that show a kind of picture, those with these numbers, from 0 on."""
SEVERAL = {"generators": "generator", "sizes": "size", "formats": "format", "each": "style"}
"""Keys with a list, of which an item is made once with each: `sizes = ["512x512", "1024x1024"]`."""
SYNONYMS = {
    **{"texture": "textures", "styles": "style", "seed": "seeds", "direction": "directions"},
    "class": "class_index",
}
DEFAULT_KEYS = (*SPELLINGS, *SEVERAL, "naming")
ITEM_KEYS = (*DEFAULT_KEYS, "name", "record")


@dataclass(frozen=True, kw_only=True)
class BatchItem:
    """settings  what is made
    naming    template of the files' paths (`naming.file_name`); None = NAME-SEED_MAP
    record    of a manifest's line that is to be repeated: what its picture was made from
    entry     number of the [[items]] that it comes from; several may come from one
    """

    settings: GenerateSettings
    naming: str | None = None
    record: Mapping[str, Any] | None = None
    entry: int = 1

    def files(self, seed: Source, strength: float | None) -> dict[str, str]:
        """Map -> path of one texture, below the output folder."""
        s = self.settings
        return {which: naming.file_name(self.naming, s, seed, strength, which) for which in s.maps}


@dataclass(frozen=True, kw_only=True)
class BatchSettings:
    """items  with file names that do not collide, on file systems without capitals either
    adapt  parameters of `adapt`, for the styles that are made first
    """

    items: tuple[BatchItem, ...]
    adapt: tuple[Mapping[str, Any], ...] = ()

    def __post_init__(self) -> None:
        if not self.items:
            raise BadRequest("The batch has no items; add at least one [[items]] with style, seeds and name.")
        taken: dict[str, int] = {}
        for number, (item, seed, strength) in enumerate(self.textures(), start=1):
            for file in item.files(seed, strength).values():
                if taken.setdefault(file.casefold(), number) != number:
                    raise self._collision(file)
        folders = {f"{path}/" for file in taken for path in itertools.accumulate(file.split("/")[:-1], "{}/{}".format)}
        for folder in folders:
            if folder[:-1] in taken:
                raise BadRequest(f"{folder[:-1]!r} would be a file and a folder; give them different names.")

    def _collision(self, file: str) -> BatchFileError:
        writers = [
            item.entry
            for item in self.items
            for seed, strength in item.settings.textures
            if file.casefold() in (name.casefold() for name in item.files(seed, strength).values())
        ]
        entries = sorted(set(writers))
        if len(entries) == 1:
            told = (
                f"Item {entries[0]} would write {file!r} for more than one texture or map; tell them apart in its "
                "naming, like {name}-{style}-{size}-{strength}-{seed}_{map}."
            )
        else:
            told = (
                f"Items {entries[0]} and {entries[1]} would both write {file!r}; give them different names or seeds, "
                "or tell them apart in the naming, like {name}-{size}-{seed}_{map}."
            )
        return BatchFileError(told, "items", entries[-1])

    def textures(self) -> Iterator[tuple[BatchItem, Source, float | None]]:
        """(item, seed, strength) of every texture, in order."""
        for item in self.items:
            for seed, strength in item.settings.textures:
                yield item, seed, strength

    @property
    def pictures(self) -> int:
        return sum(len(item.settings.seeds) for item in self.items)

    @property
    def files(self) -> Iterator[str]:
        """The paths of all files, in order."""
        return (file for texture in self.textures() for file in texture[0].files(*texture[1:]).values())

    @classmethod
    def from_mapping(cls, jobs: Mapping[str, Any], seeds_of: SeedsOf | None = None) -> BatchSettings:
        """From {"defaults": {...}, "adapt": [{...}], "items": [{...}]}. Raises BatchFileError.

        seeds_of  for items with a `kind`, whose seeds count those that show it; None = such items are refused
        """
        for key in jobs:
            with _blamed(str(key)):
                check_keys("The batch", [key], ("defaults", "adapt", "items"))
        defaults, adapt, items = jobs.get("defaults", {}), jobs.get("adapt", []), jobs.get("items", [])
        if not isinstance(defaults, Mapping):
            raise BatchFileError(
                "The batch's defaults must be a table: write [defaults] and keys below it.", "defaults"
            )
        for table, entries in (("adapt", adapt), ("items", items)):
            if not isinstance(entries, list | tuple) or not all(isinstance(entry, Mapping) for entry in entries):
                raise BatchFileError(
                    f"The batch's {table} must be a list of tables: write [[{table}]] before each.", table
                )
        _check_names(adapt)
        common = _values("defaults", 1, defaults, DEFAULT_KEYS)
        made = [one for number, item in enumerate(items, start=1) for one in _items(number, common, item, seeds_of)]
        return cls(items=tuple(made), adapt=tuple(dict(entry) for entry in adapt))

    @classmethod
    def from_file(cls, path: Path | str) -> BatchSettings:
        """Raises NotFound, or BadRequest with file, line, key and what to write there."""
        file = read_batch_file(path)
        with file.telling():
            return cls.from_mapping(file.jobs)


def _check_names(adapt: Sequence[Mapping[str, Any]]) -> None:
    """Before the first is trained: the second style of a name would be refused when it is written."""
    names = [entry.get("name") for entry in adapt]
    for number, name in enumerate(names, start=1):
        if name is not None and name in names[: number - 1]:
            raise BatchFileError(
                f"[[adapt]] {number} would make the style {name!r} a second time; give it another name.",
                "adapt", number, "name",
            )  # fmt: skip


class _blamed:  # noqa: N801  used as a statement
    """BadRequest inside becomes BatchFileError of this entry and key, with `where` before its sentence."""

    def __init__(self, table: str, number: int = 1, key: str | None = None, where: str = "") -> None:
        self.at, self.where = (table, number, key), where

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, BadRequest) and not isinstance(error, BatchFileError):
            raise BatchFileError(f"{self.where}{error}", *self.at) from error


def _values(table: str, number: int, entry: Mapping[str, Any], known: tuple[str, ...]) -> dict[str, Any]:
    """The entry's values as the settings have them; those of `SEVERAL` as lists."""
    where = "[defaults]" if table == "defaults" else f"[[items]] {number}"
    values: dict[str, Any] = {}
    for written, value in entry.items():
        key = SYNONYMS.get(written, written)
        with _blamed(table, number, written):
            check_keys(where, [key], tuple(name for name in known if name != "record"))
        with _blamed(table, number, written, f"{where}, {written}: "):
            values[key] = _value(key, value)
    return values


def _value(key: str, value: Any) -> Any:
    if key in SEVERAL:
        value = [value] if isinstance(value, str) else value  # a cell of a CSV file
        if not isinstance(value, list | tuple) or not value:
            raise BadRequest(f'{value!r} is not a list; write several values like ["a", "b"], or use {SEVERAL[key]!r}.')
        return [_value(SEVERAL[key], one) for one in value]
    if key == "naming":
        naming.check_template(spelling.text(value))
        return value
    read = SPELLINGS.get(key, spelling.text)
    if isinstance(value, str) and read in (spelling.number, spelling.whole):
        value = _numeric(value)  # a cell of a CSV file
    return read(value)


def _numeric(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _items(
    number: int, common: Mapping[str, Any], entry: Mapping[str, Any], seeds_of: SeedsOf | None
) -> Iterator[BatchItem]:
    """The entry once with each combination of its lists."""
    entry = dict(entry)
    record = entry.pop("record", None)
    values = dict(common) | _values("items", number, entry, ITEM_KEYS)
    for several, one in SEVERAL.items():
        if any(SYNONYMS.get(key, key) == one for key in entry) and several not in entry:
            values.pop(several, None)  # the item's own value goes before the defaults' list
    lists = {SEVERAL[key]: values.pop(key) for key in SEVERAL if key in values}
    template = values.pop("naming", None)
    for chosen in itertools.product(*lists.values()):
        settled = values | dict(zip(lists, chosen, strict=True))
        try:
            yield _item(number, settled, template, record, seeds_of)
        except (BadRequest, NotFound) as error:
            key = _at_fault(number, settled, template, str(error), seeds_of)
            at = _written(entry, key)
            table = "items" if at or not key else "defaults"
            raise BatchFileError(
                f"[[items]] {number}: {error}", table, number if table == "items" else 1, at or key
            ) from error


def _item(
    number: int,
    values: Mapping[str, Any],
    template: str | None,
    record: Mapping[str, Any] | None,
    seeds_of: SeedsOf | None,
) -> BatchItem:
    item = BatchItem(settings=_settings(dict(values), seeds_of), naming=template, record=record, entry=number)
    item.files(*item.settings.textures[0])  # the naming must suit it
    return item


def _at_fault(
    number: int, values: Mapping[str, Any], template: str | None, said: str, seeds_of: SeedsOf | None
) -> str | None:
    """The key without which `said` would not be; None where none alone is at fault."""
    without = [(key, {k: v for k, v in values.items() if k != key}, template) for key in values]
    for key, rest, naming_too in [*without, ("naming", values, None)]:
        try:
            _item(number, rest, naming_too, None, seeds_of)
        except (BadRequest, NotFound) as error:
            if str(error) == said:
                continue
        return key
    return None


def _written(entry: Mapping[str, Any], key: str | None) -> str | None:
    """How `key` is spelled in an entry: `styles` or `each` for "style"; None where it is not there."""
    return next((one for one in entry if key in (one, SYNONYMS.get(one), SEVERAL.get(one))), None)


def _settings(values: dict[str, Any], seeds_of: SeedsOf | None) -> GenerateSettings:
    values["styles"] = values.pop("style", ())
    kept = values.pop("textures", ())
    kind = values.pop("kind", "")
    if kind and ("seeds" in values or not kept):  # kept textures alone ask for no seeds
        if seeds_of is None:
            raise BadRequest("Here nobody knows which seeds show which kind; give seeds alone.")
        generator, numbers = (values.get(name, getattr(GenerateSettings, name)) for name in ("generator", "seeds"))
        values["seeds"] = seeds_of(generator, kind, numbers)
    if kept:
        values["seeds"] = kept + values.get("seeds", ())
    return GenerateSettings(**values)
