"""Textures from seeds: any size, seamless on the axes asked for, with PBR maps.

A picture depends on its own settings alone. Everything is computed one picture at a time, since the bits of a matrix
product can change with the batch, and its noise and input map are drawn on the CPU from its own seed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ...stylegan2.config import GeneratorConfig
from ...stylegan2.inputs import SynthesisInputs, draw_inputs
from ...stylegan2.latents import z_from_seed
from ...stylegan2.networks import Generator
from ..errors import BadRequest
from ..job import Job, Progress
from .files import check_stem, open_folder, picture_name, write_picture
from .filters import resample, wrap_of
from .look import Look, check_seeds, check_size
from .pbr import pbr_maps
from .windows import synthesize

if TYPE_CHECKING:
    from ..models.store import Store

MARGIN_CELLS = 2
"""Cells of the constant's grid that are rendered and cut away where a circular generator must *not* tile."""


@dataclass(frozen=True, kw_only=True)
class GenerateSettings(Look):
    """seeds  one texture each
    name   what the files' names begin with; None = the styles' names, or the generator's
    """

    seeds: tuple[int, ...] = (0,)
    name: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_seeds(self.seeds)
        if len(set(self.seeds)) < len(self.seeds):
            twice = next(seed for seed in self.seeds if self.seeds.count(seed) > 1)
            raise BadRequest(f"The seed {twice} is given twice; give each once.")
        check_stem(self.stem)

    @property
    def stem(self) -> str:
        return (
            self.name
            if self.name is not None
            else "-".join(n.replace("@", "-") for n, _ in self.styles)[:80] or self.generator
        )


@dataclass(frozen=True, kw_only=True)
class GenerateResult:
    """files   {"seed", "map", "path"} for each file written
    images  map -> [N, H, W, 3] (height, roughness, ao: [N, H, W]) where no folder was given
    """

    files: list[dict[str, Any]] = field(default_factory=list)
    images: dict[str, np.ndarray] = field(default_factory=dict)


def generate(
    store: Store, settings: GenerateSettings, out: Path | None = None, job: Job | None = None
) -> GenerateResult:
    """Make the textures of `settings`, into files under `out` or, without it, into arrays.

    Raises  NotFound (generator, style), CannotWrite, Cancelled; files written by then stay
    """
    job = job or Job()
    folder = None if out is None else open_folder(out)
    generator = store.styled(settings.generator, settings.styles, settings.mine)
    origin = store.origin(settings.generator, settings.styles) if folder else {}
    files: list[dict[str, Any]] = []
    arrays: dict[str, list[np.ndarray]] = {which: [] for which in settings.maps}
    for done, seed in enumerate(settings.seeds):
        job.check()
        color = texture(generator, seed, size=settings.size, tile=settings.tile, psi=settings.psi)
        for which, image in picture_set(color, settings).items():
            if folder is None:
                arrays[which].append(image)
                continue
            path = folder / picture_name(settings.stem, seed, which, settings.format)
            write_picture(path, image, about=picture_record(settings, origin, seed, which))
            files.append({"seed": seed, "map": which, "path": str(path)})
        job.report(Progress(done=done + 1, total=len(settings.seeds), stage="generate", preview=color))
    images = {which: np.stack(stack) for which, stack in arrays.items()} if folder is None else {}
    return GenerateResult(files=files, images=images)


def picture_set(color: np.ndarray, look: Look) -> dict[str, np.ndarray]:
    """The maps that `look` asks for, in its order, from one colour picture."""
    made = pbr_maps(color, tile=look.tile, which=look.maps, settings=look.pbr) if look.maps != ("color",) else {}
    return {which: color if which == "color" else made[which] for which in look.maps}


def picture_record(look: Look, origin: dict[str, Any], seed: int, which: str) -> dict[str, Any]:
    """Everything that decides the pixels of one map, JSON-able. `origin` is `Store.origin`'s account of the models."""
    record = origin | {"seed": seed, "map": which, "size": list(look.size), "tile": look.tile, "psi": look.psi}
    if look.mine:
        record["mine"] = look.mine
    if which in ("height", "normal", "ao", "orm"):
        record["relief"] = look.relief
    if which == "normal":
        record["normal"] = look.normal
    if which in ("roughness", "orm"):
        record["roughness"] = look.roughness
    return record


def texture(generator: Generator, seed: int, *, size: tuple[int, int], tile: str, psi: float) -> np.ndarray:
    """The texture of `seed`: uint8 [H, W, 3], top row first. `size` is (width, height)."""
    return texture_from_w(generator, seed_to_ws(generator, seed, psi=psi), seed, size=size, tile=tile)


def seed_to_ws(generator: Generator, seed: int, *, psi: float) -> Tensor:
    """The truncated latents of `seed`, [1, L, w_dim], on the generator's device. Classes: the first one."""
    z = z_from_seed(seed, generator.config.z_dim)[None]
    return z_to_ws(generator, z, psi=psi)


@torch.no_grad()
def z_to_ws(generator: Generator, z: Tensor, *, psi: float) -> Tensor:
    device = generator.mapping.w_avg.device
    labels = None
    if generator.config.c_dim:
        labels = torch.eye(1, generator.config.c_dim, device=device)
    return generator.map(z.to(device), psi=psi, labels=labels)


def texture_from_w(
    generator: Generator, ws: Tensor, noise_seed: int, *, size: tuple[int, int], tile: str
) -> np.ndarray:
    """The texture of latents ws [1, L, w_dim] with the noise and input map of `noise_seed`: uint8 [H, W, 3]."""
    check_size(size)
    canvas = plan_canvas(generator.config, size, tile)
    inputs = draw_inputs(generator.config, [noise_seed], canvas.grid)
    return render(generator, ws, inputs, canvas)


@dataclass(frozen=True, kw_only=True)
class Canvas:
    """How a size and tile mode are rendered.

    grid     (h0, w0) of the constant
    padding  tile mode handed to synthesis
    crop     (rows, columns) kept of what is rendered, before resampling
    size     (width, height) of the picture
    tile     axes on which it wraps
    """

    grid: tuple[int, int]
    padding: str
    crop: tuple[int, int]
    size: tuple[int, int]
    tile: str


def plan_canvas(config: GeneratorConfig, size: tuple[int, int], tile: str) -> Canvas:
    """Each axis on its own, from the grid's cell of resolution / 4 pixels:

    seamless                          circular padding, the next larger grid resampled to the size (wrapping around)
    not, and trained circular         circular padding too, since borders of zeros would look wrong, on a grid that is
                                      larger by a margin; what is cut out has no seam but does not tile
    not, and trained with zeros       zero padding as trained, the next larger grid resampled to the size
    """
    cell = config.resolution // 4
    padding = ""
    grid, crop = [], []
    for axis, pixels in zip("xy", size, strict=True):
        cells = -(-pixels // cell)
        cut = axis not in tile.replace("none", "") and axis in config.tile.replace("none", "")
        if cut or axis in tile.replace("none", ""):
            padding += axis
        grid.append(cells + MARGIN_CELLS if cut else cells)
        crop.append(pixels if cut else cells * cell)
    return Canvas(grid=(grid[1], grid[0]), padding=padding or "none", crop=(crop[1], crop[0]), size=size, tile=tile)


@torch.no_grad()
def render(generator: Generator, ws: Tensor, inputs: SynthesisInputs, canvas: Canvas) -> np.ndarray:
    """One picture, uint8 [H, W, 3], of ws [1, L, w_dim] and inputs drawn for `canvas.grid`."""
    pixels = synthesize(generator, ws.to(generator.mapping.w_avg.device), inputs, canvas.padding)
    if pixels.shape[-1] == 1:
        pixels = np.repeat(pixels, 3, axis=-1)
    pixels = resample(pixels[: canvas.crop[0], : canvas.crop[1]], canvas.size[1], canvas.size[0], wrap_of(canvas.tile))
    return np.rint(np.clip(pixels * 127.5 + 127.5, 0, 255)).astype(np.uint8)
