"""Generators in from, and out to, the files of other programs."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import BadCheckpoint, BadRequest, CannotWrite, NotFound
from ...job import Job
from ...models.download import check_sha256, different, download, file_hash
from ...textures.look import StyleList, check_styles
from ..parameters import parse
from .context import Answer, Context, absolute
from .entries import generator_value, style_warnings

if TYPE_CHECKING:
    from ....stylegan2.networks import Generator


@dataclass(frozen=True, kw_only=True)
class ImportRequest:
    """Either `file` or `url`; sha256 of the file, hex, if it is known."""

    name: str
    file: Path | None = None
    url: str | None = None
    sha256: str | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        absolute("file", self.file)
        if (self.file is None) == (self.url is None):
            raise BadRequest("import takes either a file or the address (url) of one.")
        if self.sha256 is not None:
            check_sha256(self.sha256)


@dataclass(frozen=True, kw_only=True)
class ExportRequest:
    """generator  None = that of the first style, or the built-in one
    styles     (name, strength) pairs, all folded in
    """

    file: Path
    generator: str | None = None
    styles: StyleList = ()
    format: str = "safetensors"

    def __post_init__(self) -> None:
        absolute("file", self.file)
        check_styles(self.styles)
        if self.format not in ("safetensors", "rosinality"):
            raise BadRequest(f"There is no export format {self.format!r}; choose safetensors or rosinality.")


def import_(context: Context, params: Mapping, arrays: Mapping, job: Job) -> Answer:
    from ....stylegan2.checkpoints import import_checkpoint
    from ....stylegan2.errors import CheckpointError

    (asked,) = parse("import", params, ImportRequest)
    context.store.check_new_generator(asked.name, overwrite=asked.overwrite)  # before minutes of a download
    wanted = None if asked.sha256 is None else asked.sha256.lower()
    if asked.file is not None:
        if not asked.file.exists():
            raise NotFound(f"There is no file {str(asked.file)!r}; check the path.")
        if wanted is not None and asked.file.is_file() and (found := file_hash(asked.file, job)) != wanted:
            raise BadCheckpoint(different(asked.file.name, found, wanted))
        return _take_in(context, import_checkpoint(asked.file), asked)
    assert asked.url is not None
    fetched = download(asked.url, context.store.root / "downloads", sha256=wanted, job=job)
    try:
        answer = _take_in(context, import_checkpoint(fetched), asked)
    except CheckpointError:
        shutil.rmtree(fetched.parent, ignore_errors=True)  # fetching it again would bring the same
        raise
    shutil.rmtree(fetched.parent, ignore_errors=True)
    return answer


def _take_in(context: Context, generator: Generator, asked: ImportRequest) -> Answer:
    entry = context.store.add_generator(generator, asked.name, overwrite=asked.overwrite)
    return Answer(value={"generator": generator_value(entry)})


def export(context: Context, params: Mapping, arrays: Mapping, job: Job) -> Answer:
    from ....stylegan2.checkpoints import export_rosinality, save_generator
    from ...models.files import writing
    from ...textures.files import open_folder

    (asked,) = parse("export", params, ExportRequest)
    if asked.file.is_dir():
        raise CannotWrite(f"{str(asked.file)!r} is a folder; give the name of a file to write.")
    open_folder(asked.file.parent)  # refused before the work, in a sentence that names no temporary file
    store = context.store
    name = asked.generator or (store.style(asked.styles[0][0]).info.generator if asked.styles else "builtin")
    generator, warnings = store.styled(name, asked.styles), list(style_warnings(context, name, asked.styles))
    save = export_rosinality if asked.format == "rosinality" else save_generator
    warnings += writing(asked.file, lambda: save(generator, asked.file), elsewhere="folder") or []
    value = {"file": str(asked.file), "bytes": asked.file.stat().st_size}
    return Answer(value=value | {"warnings": warnings})
