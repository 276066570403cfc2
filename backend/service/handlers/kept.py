"""Projection of pictures, and the textures that are kept under a name."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import BadRequest, Cancelled
from ...job import Job
from ..parameters import parse
from .adaptation import partial_name
from .context import Answer, Context, Nothing, OptionalFolder, absolute
from .entries import class_warnings, style_warnings, texture_value

if TYPE_CHECKING:
    from ...textures.kept import KeptTexture
    from ...textures.project import ProjectResult

PICTURE = "picture"
"""The array of a `project` that sends its picture along."""


@dataclass(frozen=True, kw_only=True)
class ProjectRequest(OptionalFolder):
    name: str
    file: Path | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        absolute("file", self.file)


@dataclass(frozen=True, kw_only=True)
class TextureName:
    name: str


def project(context: Context, params: Mapping, arrays: Mapping, job: Job) -> Answer:
    """Project a picture and keep the texture. A cancel keeps what there is as NAME-partial."""
    from ...textures import project as projection
    from ...textures.files import no_empty_folder, open_folder
    from ...textures.pictures import as_picture, read_picture

    asked, settings = parse("project", params, ProjectRequest, projection.ProjectSettings)
    if (asked.file is None) == (PICTURE not in arrays):
        raise BadRequest(f"project needs either `file` (a picture's path) or the array {PICTURE!r}.")
    store, began_s = context.store, time.monotonic()
    store.textures.check_free(asked.name, asked.overwrite)
    picture = as_picture(arrays[PICTURE]) if asked.file is None else read_picture(asked.file)
    partial = partial_name(asked.name)
    kept: list[str] = []

    def keep(texture: KeptTexture) -> None:
        store.keep(texture.renamed(partial), overwrite=True)
        kept.append(partial)

    try:
        with no_empty_folder(asked.out):
            if asked.out is not None:
                open_folder(asked.out)  # that it cannot be written is told before the work
            made = projection.project(store, settings, picture, name=asked.name, job=job, keep=keep)
    except Cancelled:
        if not kept:
            raise Cancelled("Cancelled while it looked for a start; no texture was made.") from None
        raise Cancelled(f"Cancelled; what there was by then is kept as the texture {partial!r}.") from None
    store.keep(made.texture, overwrite=asked.overwrite)
    told = style_warnings(context, settings.generator, settings.styles)
    told += class_warnings(context, settings.generator, settings.class_index)
    value: dict[str, Any] = {"texture": texture_value(store.textures.entry(asked.name)), "warnings": told}
    value["seconds"] = time.monotonic() - began_s
    value["size"] = [made.picture.shape[1], made.picture.shape[0]]
    if asked.out is None:
        return Answer(value=value | {"files": []}, arrays={"sheet": made.sheet})
    return Answer(value=value | {"files": _write(asked.out, asked.name, made)})


def written_files(out: Path, name: str) -> dict[str, Path]:
    """What a projection writes in the folder `out`, by what it is. Raises BadRequest"""
    from ...textures.files import check_stem

    return {"color": out / f"{check_stem(name)}_color.png", "sheet": out / "previews" / f"{name}.png"}


def _write(out: Path, name: str, made: ProjectResult) -> list[dict[str, str]]:
    """The picture, and the sheet beside other previews; lists what was written."""
    from ...textures.files import open_folder, write_picture

    paths = written_files(out, name)
    open_folder(paths["sheet"].parent)
    for which, image in (("color", made.picture), ("sheet", made.sheet)):
        write_picture(paths[which], np.asarray(image))
    return [{"texture": name, "map": which, "path": str(path)} for which, path in paths.items()]


def keep(context: Context, params: Mapping, arrays: Mapping, job: Job) -> Answer:
    """Give the texture of a seed a name."""
    from ...textures.keep import KeepSettings, keep_seed

    (asked,) = parse("keep", params, KeepSettings)
    keep_seed(context.store, asked)
    return Answer(value={"texture": texture_value(context.store.textures.entry(asked.name))})


def kept_textures(context: Context, params: Mapping, arrays: Mapping, job: Job) -> Answer:
    parse("textures", params, Nothing)
    return Answer(value={"textures": [texture_value(entry) for entry in context.store.kept()]})


def delete_texture(context: Context, params: Mapping, arrays: Mapping, job: Job) -> Answer:
    (asked,) = parse("delete_texture", params, TextureName)
    context.store.textures.delete(asked.name)
    return Answer()
