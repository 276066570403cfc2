"""A kept texture: a point of a generator under a name, in one safetensors file, to be made again, restyled, walked to.

    ws                [L, w_dim] float32
    input_map         [C0, h0, w0] float16   } the arrangement that a projection found; absent where the seed says it
    noise.I           [h, w] float16         } for convolution I
    offset.LAYER      [C_in] float32, added to that layer's style; of projections to StyleSpace
    thumbnail         [H, W, 3] uint8
    metadata          latent_loom_texture: provenance as JSON

At the size it was found at, the stored arrangement is the whole picture. On a larger grid it lies in the first rows and
columns, and around it the material goes on with the noise of the texture's seed; a smaller grid shows a part of it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from ...stylegan2.config import GeneratorConfig
from ...stylegan2.inputs import Grid, SynthesisInputs, draw_inputs
from ...stylegan2.networks import Generator
from ...stylegan2.seeds import SEED_LIMIT
from ..adaptation.style import Style, StyleInfo, blend
from ..errors import BadCheckpoint, BadRequest, Damaged
from ..models.headers import check_digest, read_header, with_digest
from .files import write_atomic

METADATA_KEY = "latent_loom_texture"
FORMAT = 1
THUMBNAIL, OFFSET, NOISE = "thumbnail", "offset.", "noise."
LARGEST_BYTES = 2**30
"""A kept texture of 4096 px with its noise has under a quarter of it."""


@dataclass(frozen=True, kw_only=True)
class KeptInfo:
    """Where a kept texture comes from. No clock time and no path: the same settings give the same file.

    generator_hash  of the generator that it is a point of
    seed            of the noise and the input map, where none are stored
    grid            (h0, w0) of the stored arrangement; None where none is stored
    origin          "seed" or "projection"
    measures        of a projection: psnr_db, likeness
    settings        every setting of what made it
    """

    name: str
    generator: str
    generator_hash: str
    seed: int
    origin: str
    grid: tuple[int, int] | None = None
    measures: dict[str, float] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        texts = (self.name, self.generator, self.generator_hash, self.origin)
        grid = self.grid is None or (len(self.grid) == 2 and all(type(n) is int and 1 <= n <= 8192 for n in self.grid))
        if not (all(isinstance(text, str) for text in texts) and type(self.seed) is int and grid):
            raise ValueError("not the provenance of a texture")
        if not 0 <= self.seed < SEED_LIMIT or not isinstance(self.measures, dict):
            raise ValueError("not the provenance of a texture")

    @classmethod
    def from_json(cls, text: str) -> KeptInfo:
        found = json.loads(text)
        if found["format"] > FORMAT:
            raise BadCheckpoint("A kept texture was written by a newer Latent Loom; update this one to read it.")
        values = {f.name: found[f.name] for f in fields(cls) if f.name in found}
        values["grid"] = tuple(values["grid"]) if values.get("grid") else None
        return cls(**values)


@dataclass(frozen=True, kw_only=True)
class KeptTexture:
    """ws [1, L, w_dim]; arrangement = the stored inputs of one picture, or None; offsets by layer; thumbnail uint8."""

    info: KeptInfo
    ws: Tensor
    arrangement: SynthesisInputs | None = None
    offsets: dict[str, Tensor] = field(default_factory=dict)
    thumbnail: np.ndarray | None = None

    def renamed(self, name: str) -> KeptTexture:
        return replace(self, info=replace(self.info, name=name))

    def inputs(self, config: GeneratorConfig, grid: Grid) -> SynthesisInputs:
        """The inputs of a picture on `grid`: the seed's, with the stored arrangement in the first rows and columns."""
        drawn = draw_inputs(config, [self.info.seed], grid)
        if self.arrangement is None:
            return drawn
        if drawn.input_map is not None and self.arrangement.input_map is not None:
            _lay(self.arrangement.input_map, drawn.input_map)
        for stored, noise in zip(self.arrangement.noise, drawn.noise, strict=True):
            _lay(stored, noise)
        return drawn

    def check_fits(self, generator: Generator, generator_hash: str) -> None:
        """Raise BadRequest unless this is a point of that very generator (before any style)."""
        if generator_hash != self.info.generator_hash:
            raise BadRequest(
                f"The texture {self.info.name!r} was kept from the generator {self.info.generator!r} and is none of "
                f"this one; use it with --generator {self.info.generator}, or project it again on this one."
            )
        if not self._shaped_for(generator):
            raise BadCheckpoint(f"The kept texture {self.info.name!r} is damaged; keep or project it again.")

    def _shaped_for(self, generator: Generator) -> bool:
        config, channels = generator.config, {layer.name: layer.c_in for layer in generator.layers()}
        fits = self.ws.shape == (1, config.num_ws, config.w_dim)
        fits &= all(offset.shape == (channels.get(layer),) for layer, offset in self.offsets.items())
        if self.arrangement is None:
            return fits
        input_map = self.arrangement.input_map
        if config.input_map > 0:
            fits &= input_map is not None and input_map.shape[1] == config.channels[0]
        return fits and len(self.arrangement.noise) == config.num_convs

    def on(self, generator: Generator) -> Generator:
        """The generator, perhaps styled, with this texture's offsets in StyleSpace folded in."""
        if not self.offsets:
            return generator
        deltas = {f"synthesis.{layer}.affine.bias": offset for layer, offset in self.offsets.items()}
        info = StyleInfo(
            name=self.info.name, generator=self.info.generator, generator_hash=self.info.generator_hash,
            source="", target="", method="style", iterations=0, seed=0, clips=(),
        )  # fmt: skip
        return blend(generator, [(Style(info=info, tensors=deltas), 1.0)])

    # The file

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all. Raises CannotWrite."""
        tensors = {"ws": self.ws[0].float()}
        if self.arrangement is not None:
            if self.arrangement.input_map is not None:
                tensors["input_map"] = self.arrangement.input_map[0].half()
            tensors |= {f"{NOISE}{i}": noise[0, 0].half() for i, noise in enumerate(self.arrangement.noise)}
        tensors |= {f"{OFFSET}{layer}": offset.float() for layer, offset in self.offsets.items()}
        if self.thumbnail is not None:
            tensors[THUMBNAIL] = torch.from_numpy(np.array(self.thumbnail))
        about = json.dumps({"format": FORMAT} | asdict(self.info), sort_keys=True)
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        write_atomic(path, with_digest(save(tensors, {METADATA_KEY: about}), METADATA_KEY))

    @classmethod
    def load(cls, path: Path) -> KeptTexture:
        """Raises BadCheckpoint for a file that is truncated, foreign, too large or not finite; OSError."""
        info = read_kept_info(path)
        if path.stat().st_size > LARGEST_BYTES:
            raise damaged(path)
        try:
            raw = path.read_bytes()
            tensors = load(raw)
            check_digest(raw, METADATA_KEY, path.name)
            thumbnail = tensors.pop(THUMBNAIL, None)
            if any(not t.is_floating_point() or not torch.isfinite(t).all() for t in tensors.values()):
                raise ValueError("not numbers")
            ws = tensors.pop("ws")[None].float()
            arrangement = None if info.grid is None else _arrangement(tensors, info.grid)
            offsets = {n.removeprefix(OFFSET): tensors.pop(n).float() for n in list(tensors) if n.startswith(OFFSET)}
            if tensors or ws.ndim != 3 or any(offset.ndim != 1 for offset in offsets.values()):
                raise ValueError("other tensors than a texture's")
        except (SafetensorError, KeyError, ValueError) as error:
            raise damaged(path) from error
        return cls(
            info=info, ws=ws, arrangement=arrangement, offsets=offsets,
            thumbnail=None if thumbnail is None else thumbnail.numpy(),
        )  # fmt: skip


def halved(inputs: SynthesisInputs) -> SynthesisInputs:
    """The inputs as a file holds them: rounded to float16, back in float32."""
    input_map = None if inputs.input_map is None else inputs.input_map.half().float()
    return replace(inputs, input_map=input_map, noise=tuple(noise.half().float() for noise in inputs.noise))


def read_kept_info(path: Path) -> KeptInfo:
    """The provenance alone, from the file's header. Raises BadCheckpoint, OSError."""
    try:
        metadata = read_header(path).metadata
    except BadCheckpoint as error:
        raise damaged(path) from error
    if METADATA_KEY not in metadata:
        raise BadCheckpoint(f"{path.name} is no kept texture; they are made by latent-loom project and keep.")
    try:
        return KeptInfo.from_json(metadata[METADATA_KEY])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise damaged(path) from error


def damaged(path: Path) -> Damaged:
    return Damaged(f"The kept texture {path.name} is damaged; keep or project it again.")


def _arrangement(tensors: dict[str, Tensor], grid: Grid) -> SynthesisInputs:
    """The stored inputs, taken out of `tensors`. Raises KeyError, ValueError."""
    input_map = tensors.pop("input_map", None)
    names = [f"{NOISE}{i}" for i in range(sum(name.startswith(NOISE) for name in tensors))]
    noise = tuple(tensors.pop(name).float()[None, None] for name in names)
    if input_map is not None:
        input_map = input_map.float()[None]
        if input_map.ndim != 4 or input_map.shape[2:] != grid:
            raise ValueError("an input map of another grid")
    for i, n in enumerate(noise):
        if n.ndim != 4 or n.shape[2:] != tuple(cells << ((i + 1) // 2) for cells in grid):
            raise ValueError("noise of another grid")
    return SynthesisInputs(grid, input_map, noise)


def _lay(stored: Tensor, drawn: Tensor) -> None:
    """Put `stored` over the first rows and columns of `drawn`, in place; [..., h, w] each."""
    height, width = (min(a, b) for a, b in zip(stored.shape[2:], drawn.shape[2:], strict=True))
    drawn[..., :height, :width] = stored[..., :height, :width]
