"""A style: a small set of changes to a generator's parameters, in one safetensors file, with its provenance.

A style is linear: at strength a, parameter p becomes p + a * delta(p). So styles are sliders, add to one another, and
fold into an ordinary checkpoint. In the file a tensor named "P" is delta(P) itself; a pair "P.lora_up" [O, r] and
"P.lora_down" [r, I, k, k] is a low-rank delta: their product, summed over r.
"""

from __future__ import annotations

import copy
import json
import os
import struct
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from ...stylegan2.networks import Generator
from ..errors import BadCheckpoint, BadRequest

METADATA_KEY = "latent_loom_style"
"""One metadata entry and no more: safetensors writes several in an order that changes from run to run."""
FORMAT = 1
UP, DOWN = ".lora_up", ".lora_down"
THUMBNAIL = "thumbnail"
MAX_HEADER_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class StyleInfo:
    """Where a style comes from. No clock time and no path: the same settings give the same file.

    generator_hash  of the generator that it was trained on (stylegan2's `generator_hash`)
    measures        direction, quality, retention, pinned, structure, as `measures.Measures` names them
    settings        every setting of the run
    """

    name: str
    generator: str
    generator_hash: str
    source: str
    target: str
    method: str
    iterations: int
    seed: int
    clips: tuple[str, ...]
    measures: dict[str, float] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    licence: str = "as the generator and the CLIP that made it"

    @classmethod
    def from_json(cls, text: str) -> StyleInfo:
        found = json.loads(text)
        if found["format"] > FORMAT:
            raise BadCheckpoint("A style file was written by a newer Latent Loom; update this one to read it.")
        known = {f.name for f in fields(cls)}
        values = {k: v for k, v in found.items() if k in known}
        values["clips"] = tuple(values.get("clips", ()))
        return cls(**values)


@dataclass(frozen=True, kw_only=True)
class Style:
    """tensors as described above; thumbnail uint8 [h, w, 3] or None."""

    info: StyleInfo
    tensors: dict[str, Tensor]
    thumbnail: np.ndarray | None = None

    @property
    def nbytes(self) -> int:
        return sum(t.numel() * t.element_size() for t in self.tensors.values())

    def deltas(self) -> dict[str, Tensor]:
        """Parameter name -> what is added to it at strength 1, float32, in the parameter's shape."""
        return expand(self.tensors)

    def renamed(self, name: str) -> Style:
        info = StyleInfo(**{**asdict(self.info), "name": name})
        return Style(info=info, tensors=self.tensors, thumbnail=self.thumbnail)

    def save(self, path: Path | str) -> None:
        """Write the file, whole or not at all."""
        path = Path(path)
        tensors = {name: t.detach().cpu().contiguous() for name, t in self.tensors.items()}
        if self.thumbnail is not None:
            tensors[THUMBNAIL] = torch.from_numpy(np.ascontiguousarray(self.thumbnail))
        metadata = {METADATA_KEY: json.dumps({"format": FORMAT} | asdict(self.info), sort_keys=True)}
        partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
        try:
            partial.write_bytes(save(tensors, metadata))
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: Path | str) -> Style:
        """Raises `BadCheckpoint` for a file that is truncated, foreign or not finite."""
        path = Path(path)
        info = cls.read_info(path)
        try:
            tensors = load(path.read_bytes())
        except (SafetensorError, ValueError) as error:
            raise BadCheckpoint(
                f"The style file {path.name} is damaged; get it again or train the style again."
            ) from error
        thumbnail = tensors.pop(THUMBNAIL, None)
        for name, tensor in tensors.items():
            if not torch.isfinite(tensor).all():
                raise BadCheckpoint(
                    f"The style file {path.name} holds numbers that are not finite ({name}); train it again."
                )
        try:
            expand(tensors)
        except (KeyError, RuntimeError) as error:
            raise BadCheckpoint(f"The style file {path.name} holds half a low-rank change; train it again.") from error
        return cls(info=info, tensors=tensors, thumbnail=None if thumbnail is None else thumbnail.numpy())

    @staticmethod
    def read_info(path: Path | str) -> StyleInfo:
        """The provenance alone, from the file's header: cheap for a long list of styles."""
        path = Path(path)
        try:
            with path.open("rb") as file:
                (length,) = struct.unpack("<Q", file.read(8))
                if length > MAX_HEADER_BYTES:
                    raise ValueError("header too long")
                metadata = json.loads(file.read(length)).get("__metadata__", {})
            if METADATA_KEY not in metadata:
                raise BadCheckpoint(f"{path.name} is not a Latent Loom style; styles are made by latent-loom adapt.")
            return StyleInfo.from_json(metadata[METADATA_KEY])
        except (struct.error, ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadCheckpoint(
                f"The style file {path.name} is damaged; get it again or train the style again."
            ) from error


def expand(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The compact tensors of a style as dense deltas, differentiable."""
    deltas: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if name.endswith(UP):
            parameter = name.removesuffix(UP)
            deltas[parameter] = torch.einsum("or,r...->o...", tensor.float(), tensors[parameter + DOWN].float())
        elif not name.endswith(DOWN):
            deltas[name] = tensor.float()
    return deltas


def check_fits(generator: Generator, style: Style) -> None:
    """Raise `BadRequest` if the style's changes are not shaped like this generator's parameters."""
    parameters = dict(generator.named_parameters())
    for name, delta in style.deltas().items():
        if name not in parameters or parameters[name].shape != delta.shape:
            raise BadRequest(
                f"The style {style.info.name!r} was made for the generator {style.info.generator!r} and does not fit "
                "this one; use it with that generator, or train it again on this one."
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
