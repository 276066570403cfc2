"""The library of styles: show, rename, delete, choose a snapshot, files in and out, differences of generators."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from ...errors import BadRequest, CannotWrite, NotFound
from ...job import Job
from ..parameters import parse
from .context import Answer, Context, absolute
from .entries import plain, style_value


@dataclass(frozen=True, kw_only=True)
class StyleName:
    name: str


@dataclass(frozen=True, kw_only=True)
class ListRequest:
    """generator  says of each style how it goes together with this one; None = nothing is said"""

    generator: str | None = None


@dataclass(frozen=True, kw_only=True)
class RenameRequest:
    name: str
    new_name: str


@dataclass(frozen=True, kw_only=True)
class ChooseRequest:
    name: str
    iterations: float


@dataclass(frozen=True, kw_only=True)
class ImportStyleRequest:
    """name  None = the one in the file"""

    file: Path
    name: str | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        absolute("file", self.file)


@dataclass(frozen=True, kw_only=True)
class ExportStyleRequest:
    name: str
    file: Path

    def __post_init__(self) -> None:
        absolute("file", self.file)


@dataclass(frozen=True, kw_only=True)
class DeriveRequest:
    generator: str
    parent: str
    name: str
    overwrite: bool = False


def styles(context: Context, params: Mapping, arrays: Mapping, job: Job) -> Answer:
    (asked,) = parse("styles", params, ListRequest)
    entries = context.store.styles()
    values = [style_value(entry) for entry in entries]
    if asked.generator is not None:
        from ...models.relatives import fit

        for value in values:
            if "broken" not in value:
                value |= asdict(fit(context.store, value["name"], asked.generator))
    return Answer(value={"styles": values})


def show_style(context: Context, params: Mapping, arrays: Mapping, job: Job) -> Answer:
    """Everything that is known of one style: also its settings, its snapshots' measures and what it fits."""
    from ...models.relatives import fit

    (asked,) = parse("show_style", params, StyleName)
    store, library = context.store, context.store.library
    entry = library.entry(asked.name)
    value = style_value(entry)
    if entry.info is None:
        return Answer(value={"style": value})
    value["settings"] = plain(entry.info.settings)
    value["points"] = [asdict(point) for point in library.snapshots(asked.name).points] if entry.snapshots else []
    whole = [generator.name for generator in store.generators() if generator.broken is None]
    value["fits"] = [{"generator": name, **asdict(fit(store, asked.name, name))} for name in whole]
    thumbnail = library.style(asked.name).thumbnail
    return Answer(value={"style": value}, arrays={} if thumbnail is None else {"thumbnail": thumbnail[None]})


def rename_style(context: Context, params: Mapping, arrays: Mapping, job: Job) -> Answer:
    (asked,) = parse("rename_style", params, RenameRequest)
    context.store.rename_style(asked.name, asked.new_name)
    return Answer(value={"style": style_value(context.store.library.entry(asked.new_name))})


def delete_style(context: Context, params: Mapping, arrays: Mapping, job: Job) -> Answer:
    (asked,) = parse("delete_style", params, StyleName)
    context.store.delete_style(asked.name)
    return Answer()


def choose_snapshot(context: Context, params: Mapping, arrays: Mapping, job: Job) -> Answer:
    """Make a style what it was at another position of its run; its picture too, where its generator is here."""
    from ...adaptation.showing import thumbnail
    from ...models.reference import join

    (asked,) = parse("choose_snapshot", params, ChooseRequest)
    store, picture = context.store, None
    if not 0 <= asked.iterations <= 1e6:
        raise BadRequest(f"There is no state after {asked.iterations:g} iterations; give a number from 0 up.")
    reference = join(asked.name, asked.iterations)
    info = store.style(reference).info
    if any(g.name == info.generator and g.hash == info.generator_hash for g in store.generators()):
        styled = store.styled(info.generator, [(reference, 1.0)])
        picture = thumbnail(styled, info.settings.get("tile"), info.class_index)
    store.library.choose(asked.name, asked.iterations, picture)
    return Answer(value={"style": style_value(store.library.entry(asked.name))})


def import_style(context: Context, params: Mapping, arrays: Mapping, job: Job) -> Answer:
    """Take a style file in. It is somebody else's, so everything in it is checked first (`Style.load`)."""
    from ...adaptation.style import Style
    from ...models.files import check_name

    (asked,) = parse("import_style", params, ImportStyleRequest)
    if not asked.file.is_file():
        raise NotFound(f"There is no file {str(asked.file)!r}; check the path.")
    style = Style.load(asked.file)
    style = style.renamed(check_name(asked.name if asked.name is not None else style.info.name))
    context.store.add_style(style, overwrite=asked.overwrite)
    return Answer(value={"style": style_value(context.store.library.entry(style.info.name))})


def export_style(context: Context, params: Mapping, arrays: Mapping, job: Job) -> Answer:
    """Write the style alone; `export` writes an ordinary checkpoint with it folded in."""
    from ...models.files import writing
    from ...textures.files import open_folder

    (asked,) = parse("export_style", params, ExportStyleRequest)
    if asked.file.is_dir():
        raise CannotWrite(f"{str(asked.file)!r} is a folder; give the name of a file to write.")
    style = context.store.style(asked.name)
    open_folder(asked.file.parent)
    writing(asked.file, lambda: style.save(asked.file), elsewhere="folder")
    return Answer(value={"file": str(asked.file), "bytes": asked.file.stat().st_size})


def derive_style(context: Context, params: Mapping, arrays: Mapping, job: Job) -> Answer:
    """A style from two generators: what was changed in a child of a parent (`adaptation.difference`)."""
    from ...adaptation.difference import difference
    from ...adaptation.showing import thumbnail
    from ...adaptation.style import Style

    (asked,) = parse("derive_style", params, DeriveRequest)
    store = context.store
    parent, child = store.generator(asked.parent), store.generator(asked.generator)
    style = difference(parent, child, name=asked.name, parent_name=asked.parent, child_name=asked.generator)
    style = Style(info=style.info, tensors=style.tensors, thumbnail=thumbnail(child, None))
    store.add_style(style, overwrite=asked.overwrite)
    return Answer(value={"style": style_value(store.library.entry(asked.name))})
