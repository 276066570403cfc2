"""A style: a small set of changes to a generator's parameters, in one safetensors file, with its provenance.

A style is linear: at strength a, parameter p becomes p + a * delta(p). So styles are sliders, add to one another, and
fold into an ordinary checkpoint. In the file a tensor named "P" is delta(P) itself; a pair "P.lora_up" [O, r] and
"P.lora_down" [r, I, k, k] is a low-rank delta: their product, summed over r.
"""

from __future__ import annotations

import copy
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from ...stylegan2.checkpoints.atomic import check_ordinary
from ...stylegan2.networks import Generator
from ...stylegan2.ops.low_rank import dense
from ..errors import BadCheckpoint, BadRequest, Damaged
from ..models.headers import FileHeader, Shapes, check_digest, read_header, with_digest
from ..models.style_info import METADATA_KEY, StyleInfo, info_of, read_info

UP, DOWN = ".lora_up", ".lora_down"
THUMBNAIL = "thumbnail"
MAPPER = "mapper."
"""Prefix of the tensors of a style's mapper (`mapper.Mapper`) in the file."""
MAX_THUMBNAIL_PX = 1024
MAX_DENSE = 2**29
"""Numbers in all deltas of a style, written out: no generator has as many, while two thin hostile factors may."""
_TENSOR_NAME = re.compile(r"[A-Za-z0-9_.]{1,200}")


@dataclass(frozen=True, kw_only=True)
class Style:
    """tensors as described above; thumbnail uint8 [h, w, 3] or None; mapper {} or the tensors of a `mapper.Mapper`."""

    info: StyleInfo
    tensors: dict[str, Tensor]
    thumbnail: np.ndarray | None = None
    mapper: dict[str, Tensor] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        return sum(t.numel() * t.element_size() for t in self.tensors.values())

    def deltas(self) -> dict[str, Tensor]:
        """Parameter name -> what is added to it at strength 1, float32, in the parameter's shape."""
        return expand(self.tensors)

    def renamed(self, name: str) -> Style:
        return replace(self, info=replace(self.info, name=name))

    def save(self, path: Path | str) -> None:
        """Write the file, whole or not at all."""
        with self.saving(Path(path)):
            pass

    def saving(self, path: Path) -> AbstractContextManager[None]:
        """The file is written at the beginning of the block and appears at its end (`writing_tensors`)."""
        tensors = self.tensors | {MAPPER + name: tensor for name, tensor in self.mapper.items()}
        if self.thumbnail is not None:
            tensors[THUMBNAIL] = torch.from_numpy(np.ascontiguousarray(self.thumbnail))
        return writing_tensors(path, tensors, METADATA_KEY, self.info.to_json())

    @classmethod
    def load(cls, path: Path | str) -> Style:
        """Raises `BadCheckpoint` for a file that is truncated, foreign, unlike a style's or not finite."""
        path = Path(path)
        header = read_header(path)
        info = info_of(header, path.name)
        check_layout(header, path.name)
        try:
            raw = path.read_bytes()
            tensors = load(raw)
        except (SafetensorError, ValueError) as error:
            raise Damaged(f"The style file {path.name} is damaged; get it again or train the style again.") from error
        check_digest(raw, METADATA_KEY, path.name)
        thumbnail = tensors.pop(THUMBNAIL, None)
        check_finite(tensors, path.name)
        mapper = {name.removeprefix(MAPPER): tensors.pop(name) for name in list(tensors) if name.startswith(MAPPER)}
        picture = None if thumbnail is None else thumbnail.numpy()
        return cls(info=info, tensors=tensors, thumbnail=picture, mapper=mapper)

    @staticmethod
    def read_info(path: Path | str) -> StyleInfo:
        """The provenance alone, from the file's header: cheap for a long list of styles."""
        return read_info(Path(path))


@contextmanager
def writing_tensors(path: Path, tensors: Mapping[str, Tensor], key: str, about: str) -> Iterator[None]:
    """A safetensors file, whole or not at all: all of it is on the disk, under another name, when the block begins, and
    takes its name at the end. So two files can appear together, or none of them where the disk is full.

    about   JSON, kept under the metadata `key`, with the tensors' digest
    """
    plain = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
    check_ordinary(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            file.write(with_digest(save(plain, {key: about}), key))
            file.flush()
            os.fsync(file.fileno())  # a power cut, too, leaves the old file or the new one
        yield
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def check_layout(header: FileHeader, file_name: str) -> None:
    """Raise BadCheckpoint unless the header's tensors are a thumbnail and changes of parameters, of a sane size."""
    shapes = dict(header.shapes)
    picture = shapes.pop(THUMBNAIL, (1, 1, 3))
    if len(picture) != 3 or picture[2] != 3 or not all(1 <= n <= MAX_THUMBNAIL_PX for n in picture):
        raise BadCheckpoint(f"The style file {file_name} has a thumbnail that is no small picture; train it again.")
    for name in shapes:
        if not _TENSOR_NAME.fullmatch(name) or header.dtypes[name] not in ("F32", "F16", "BF16"):
            raise BadCheckpoint(f"The style file {file_name} holds {name[:80]!r}, which is no change of a parameter.")
    try:
        dense = sum(math.prod(shape) for shape in delta_shapes(without_mapper(shapes)).values())
    except (KeyError, ValueError) as error:
        raise BadCheckpoint(f"The style file {file_name} holds half a low-rank change; train it again.") from error
    if dense > MAX_DENSE:
        raise BadCheckpoint(f"The style file {file_name} changes {dense:,} numbers, more than any generator has.")


def without_mapper(shapes: Shapes) -> Shapes:
    """The changes of parameters alone."""
    return {name: shape for name, shape in shapes.items() if not name.startswith(MAPPER)}


def check_finite(tensors: Mapping[str, Tensor], file_name: str) -> None:
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise BadCheckpoint(
                f"The style file {file_name} holds numbers that are not finite ({name}); train it again."
            )


def expand(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The compact tensors of a style as dense deltas, differentiable."""
    deltas: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if name.endswith(UP):
            parameter = name.removesuffix(UP)
            deltas[parameter] = dense(tensor.float(), tensors[parameter + DOWN].float())
        elif not name.endswith(DOWN):
            deltas[name] = tensor.float()
    return deltas


def delta_shapes(shapes: Shapes) -> Shapes:
    """What `expand` gives, in shapes alone. KeyError, ValueError for half a low-rank change."""
    found: Shapes = {}
    for name, shape in shapes.items():
        if name.endswith(UP):
            (out, rank), down = shape, shapes[name.removesuffix(UP) + DOWN]
            if not down or down[0] != rank:
                raise ValueError("the halves have different ranks")
            found[name.removesuffix(UP)] = (out, *down[1:])
        elif not name.endswith(DOWN):
            found[name] = shape
        elif name.removesuffix(DOWN) + UP not in shapes:
            raise KeyError(name)
    return found


def misfit(deltas: Shapes, parameters: Shapes) -> str | None:
    """Why changes of these shapes cannot be added to parameters of those, in half a sentence; None where they can."""
    for name, shape in deltas.items():
        if name not in parameters:
            return f"it changes {name}, which that generator does not have"
        if parameters[name] != shape:
            changed, there = ("x".join(map(str, s)) or "one number" for s in (shape, parameters[name]))
            return f"it changes {name} of {changed}, which is {there} there"
    return None


def check_fits(generator: Generator, style: Style) -> None:
    """Raise `BadRequest` if the style's changes are not shaped like this generator's parameters."""
    parameters = {name: tuple(p.shape) for name, p in generator.named_parameters()}
    why = misfit(delta_shapes({name: tuple(t.shape) for name, t in style.tensors.items()}), parameters)
    if why:
        raise BadRequest(
            f"The style {style.info.name!r} was made for the generator {style.info.generator!r} and does not fit this "
            f"one ({why}); use it with that generator, or train it again on this one."
        )


@torch.no_grad()
def blend(generator: Generator, styles: Iterable[tuple[Style, float]]) -> Generator:
    """A copy of the generator with styles folded in: every parameter p becomes p + sum of strength * delta(p)."""
    blended = copy.deepcopy(generator)
    parameters = dict(blended.named_parameters())
    for style, strength in styles:
        check_fits(generator, style)
        for name, delta in style.deltas().items():
            parameters[name].add_(delta.to(parameters[name]), alpha=strength)
    return blended
