"""Generators in from, and out to, the files of other programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ...errors import BadRequest, CannotWrite, NotFound
from ...job import Job
from ..parameters import parse
from .context import Answer, Context, absolute
from .entries import generator_value, style_warnings


@dataclass(frozen=True, kw_only=True)
class ImportRequest:
    file: Path
    name: str
    overwrite: bool = False

    def __post_init__(self) -> None:
        absolute("file", self.file)


@dataclass(frozen=True, kw_only=True)
class ExportRequest:
    file: Path
    generator: str | None = None
    style: str | None = None
    strength: float = 1.0
    format: str = "safetensors"

    def __post_init__(self) -> None:
        absolute("file", self.file)
        if self.format not in ("safetensors", "rosinality"):
            raise BadRequest(f"There is no export format {self.format!r}; choose safetensors or rosinality.")


def import_(context: Context, params: Mapping, arrays: Mapping, job: Job) -> Answer:
    from ....stylegan2.checkpoints import import_checkpoint

    (asked,) = parse("import", params, ImportRequest)
    if not asked.file.exists():
        raise NotFound(f"There is no file {str(asked.file)!r}; check the path.")
    generator = import_checkpoint(asked.file)
    entry = context.store.add_generator(generator, asked.name, overwrite=asked.overwrite)
    return Answer(value={"generator": generator_value(entry)})


def export(context: Context, params: Mapping, arrays: Mapping, job: Job) -> Answer:
    from ....stylegan2.checkpoints import export_rosinality, save_generator
    from ...textures.files import open_folder

    (asked,) = parse("export", params, ExportRequest)
    if asked.file.is_dir():
        raise CannotWrite(f"{str(asked.file)!r} is a folder; give the name of a file to write.")
    open_folder(asked.file.parent)  # refused before the work, in a sentence that names no temporary file
    store = context.store
    chosen = [(asked.style, asked.strength)] if asked.style is not None else []
    name = asked.generator or (store.style(asked.style).info.generator if asked.style is not None else "builtin")
    write = export_rosinality if asked.format == "rosinality" else save_generator
    write(store.styled(name, chosen), asked.file)
    value = {"file": str(asked.file), "bytes": asked.file.stat().st_size}
    return Answer(value=value | {"warnings": style_warnings(context, name, chosen)})
