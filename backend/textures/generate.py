"""Textures from seeds: any size, seamless on the axes asked for, with PBR maps.

A picture depends on its own settings alone. Everything is computed one picture at a time, since the bits of a matrix
product can change with the batch, and its noise and input map are drawn on the CPU from its own seed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ...stylegan2.config import GeneratorConfig
from ...stylegan2.inputs import SynthesisInputs, draw_inputs
from ...stylegan2.networks import Generator
from ..errors import BadRequest
from ..job import Job, Progress
from .canvas import Canvas, plan_canvas
from .deep import check_library, eight_bit
from .files import check_stem, open_folder, picture_name, sweep_parts, write_picture
from .filters import resample, wrap_of
from .look import Look, StyleList, check_seeds, check_size, check_styles
from .memory import check_memory, predicted_mib
from .pbr import halvings_for, pbr_maps
from .repeat import repeat_score
from .variation import Source
from .varied import Varied, seed_to_ws
from .windows import synthesize

if TYPE_CHECKING:
    from ..models.store import Store


@dataclass(frozen=True, kw_only=True)
class GenerateSettings(Look):
    """seeds      one texture each: a seed, or the name of a kept texture
    strengths  one factor for each texture, of all the styles' strengths; () = 1. With them a seed may be given again,
               at another strength: seeds 3,3,3 at 0,0.5,1 are a strip
    name       what the files' names begin with; None = the styles' names, or the generator's
    """

    seeds: tuple[Source, ...] = (0,)
    strengths: tuple[float, ...] = ()
    name: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_seeds(self.seeds)
        self._check_strengths()
        if len(set(self.textures)) < len(self.textures):
            twice = next(seed for seed, strength in self.textures if self.textures.count((seed, strength)) > 1)
            raise BadRequest(f"The seed {twice} is given twice; give each once, or with different strengths.")
        if self.noise == "animated":
            raise BadRequest("Only a walk has animated noise; choose fixed or none, or make a walk.")
        check_stem(self.stem)

    def _check_strengths(self) -> None:
        if not self.strengths:
            return
        if len(self.strengths) != len(self.seeds):
            raise BadRequest(
                f"There are {len(self.strengths)} strengths for {len(self.seeds)} seeds; give one for each texture."
            )
        if not self.styles:
            raise BadRequest("Strengths are those of styles; name at least one style.")
        for strength in self.strengths:
            check_styles(self.at(strength))

    @property
    def textures(self) -> tuple[tuple[Source, float | None], ...]:
        """(seed, strength) of each texture; None = no strength was given."""
        return tuple(zip(self.seeds, self.strengths or (None,) * len(self.seeds), strict=True))

    def at(self, strength: float | None) -> StyleList:
        """The styles with all their strengths multiplied."""
        return self.styles if strength is None else tuple((name, s * strength) for name, s in self.styles)

    @property
    def stem(self) -> str:
        return (
            self.name
            if self.name is not None
            else "-".join(n.replace("@", "-") for n, _ in self.styles)[:80] or self.generator
        )


@dataclass(frozen=True, kw_only=True)
class GenerateResult:
    """files       {"seed", "map", "path"} for each file written; "strength" where strengths were given; "repeat", the
                repeat score, with the colour of a texture that is at least twice as large as those of the training
    images      map -> [N, H, W, 3] (height, roughness, ao: [N, H, W]) where no folder was given
    memory_mib  what one texture was predicted to take
    """

    files: list[dict[str, Any]] = field(default_factory=list)
    images: dict[str, np.ndarray] = field(default_factory=dict)
    memory_mib: int = 0


def generate(
    store: Store, settings: GenerateSettings, out: Path | None = None, job: Job | None = None
) -> GenerateResult:
    """Make the textures of `settings`, into files under `out` or, without it, into arrays.

    Raises  NotFound (generator, style), OutOfMemory (before anything is made), CannotWrite, Cancelled; files written by
            then stay
    """
    job = job or Job()
    folder = None if out is None else open_folder(out)
    files: list[dict[str, Any]] = []
    arrays: dict[str, list[np.ndarray]] = {which: [] for which in settings.maps}
    total, memory_mib = len(settings.textures), announce(store, settings, len(settings.textures), job)
    if folder is not None:
        sweep_parts(folder, settings.stem, {name for names in file_names(settings) for name in names.values()})
    for done, ((seed, strength), names) in enumerate(zip(settings.textures, file_names(settings), strict=True)):
        job.check()
        color = make_texture(store, settings, seed, strength)
        if folder is None:
            color = eight_bit(color)
        config = store.generator(settings.generator).config
        repeat = repetition(config, eight_bit(color), settings)
        origin = picture_origin(store, settings, seed, strength) if folder else {}
        for which, image in picture_set(config, color, settings).items():
            if folder is None:
                arrays[which].append(image)
                continue
            path = folder / names[which]
            write_picture(path, image, about=picture_record(settings, origin, seed, which))
            about = {} if strength is None else {"strength": strength}
            about |= {} if repeat is None or which != "color" else {"repeat": repeat}
            files.append({"seed": seed, "map": which, "path": str(path)} | about)
        numbers = {} if repeat is None else {"repeat": repeat}
        job.report(Progress(done=done + 1, total=total, stage="generate", numbers=numbers, preview=eight_bit(color)))
    images = {which: np.stack(stack) for which, stack in arrays.items()} if folder is None else {}
    return GenerateResult(files=files, images=images, memory_mib=memory_mib)


def file_names(settings: GenerateSettings) -> Iterator[dict[str, str]]:
    """Of each texture, map -> file name."""
    for seed, strength in settings.textures:
        yield {which: picture_name(settings.stem, seed, which, settings.format, strength) for which in settings.maps}


def announce(store: Store, look: Look, total: int, job: Job) -> int:
    """Say what memory a texture takes before it is taken: MiB. Raises OutOfMemory where there is not as much."""
    check_library(look.format)
    memory_mib = predicted_mib(store.generator(look.generator).config, look.size, look.tile, look.maps, store.device)
    check_memory(memory_mib, store.device, look.size)
    job.report(
        Progress(done=0, total=total, stage=f"about {memory_mib} MiB", numbers={"memory_mib": float(memory_mib)})
    )
    return memory_mib


def make_texture(store: Store, settings: GenerateSettings, seed: Source, strength: float | None = None) -> np.ndarray:
    """One colour picture of `settings`: uint8 [H, W, 3]; float32 where its format is deep."""
    generator = store.styled(settings.generator, settings.at(strength), settings.mine)
    if isinstance(seed, str):
        generator = store.kept_texture(seed, settings.generator).on(generator)
    varied = Varied(store, settings.generator, generator, settings)
    canvas = plan_canvas(generator.config, settings.size, settings.tile)
    return render(generator, varied.seed(seed), varied.inputs(seed, canvas.grid), canvas, deep=settings.deep)


def picture_origin(store: Store, settings: GenerateSettings, seed: Source, strength: float | None) -> dict[str, Any]:
    """`Store.origin`'s account of the models, and of the kept texture where there is one."""
    origin = store.origin(settings.generator, settings.at(strength))
    return origin | ({"texture_hash": store.textures.hash(seed)} if isinstance(seed, str) else {})


def repetition(config: GeneratorConfig, color: np.ndarray, look: Look) -> float | None:
    """The repeat score of a texture, rounded; None where it is too small to show its period twice."""
    canvas = plan_canvas(config, look.size, look.tile)
    period = tuple(config.resolution * n / cut for n, cut in zip(look.size[::-1], canvas.crop, strict=True))
    score = repeat_score(color, (period[0], period[1]), cells=config.cells)
    return None if score is None else round(score, 3)


def picture_set(config: GeneratorConfig, color: np.ndarray, look: Look) -> dict[str, np.ndarray]:
    """The maps that `look` asks for, in its order, from one colour picture of a generator."""
    made = {}
    if look.maps != ("color",):
        halvings = halvings_for(config.resolution)
        made = pbr_maps(eight_bit(color), tile=look.tile, which=look.maps, settings=look.pbr, halvings=halvings)
    return {which: color if which == "color" else made[which] for which in look.maps}


def picture_record(look: Look, origin: dict[str, Any], seed: Source, which: str) -> dict[str, Any]:
    """Everything that decides the pixels of one map, JSON-able. `origin` is `Store.origin`'s account of the models."""
    record = origin | {"seed": seed, "map": which, "size": list(look.size), "tile": look.tile, "psi": look.psi}
    if look.mine:
        record["mine"] = look.mine
    record |= look.varied()
    if which in ("height", "normal", "ao", "orm"):
        record["relief"] = look.relief
    if which == "normal":
        record["normal"] = look.normal
    if which in ("roughness", "orm"):
        record["roughness"] = look.pbr.mean_roughness
    if which != "color" and look.material != "auto":
        record["material"] = look.material
    return record


def texture(
    generator: Generator, seed: int, *, size: tuple[int, int], tile: str, psi: float, class_index: int | None = None
) -> np.ndarray:
    """The texture of `seed`: uint8 [H, W, 3], top row first. `size` is (width, height)."""
    ws = seed_to_ws(generator, seed, psi=psi, class_index=class_index)
    return texture_from_w(generator, ws, seed, size=size, tile=tile)


def texture_from_w(
    generator: Generator, ws: Tensor, noise_seed: int, *, size: tuple[int, int], tile: str
) -> np.ndarray:
    """The texture of latents ws [1, L, w_dim] with the noise and input map of `noise_seed`: uint8 [H, W, 3]."""
    check_size(size)
    canvas = plan_canvas(generator.config, size, tile)
    inputs = draw_inputs(generator.config, [noise_seed], canvas.grid)
    return render(generator, ws, inputs, canvas)


@torch.no_grad()
def render(
    generator: Generator, ws: Tensor, inputs: SynthesisInputs, canvas: Canvas, *, deep: bool = False
) -> np.ndarray:
    """One picture, uint8 [H, W, 3], of ws [1, L, w_dim] and inputs drawn for `canvas.grid`; `deep`: float32, 0..1."""
    pixels = synthesize(generator, ws.to(generator.mapping.w_avg.device), inputs, canvas.padding)
    if pixels.shape[-1] == 1:
        pixels = np.repeat(pixels, 3, axis=-1)
    pixels = resample(pixels[: canvas.crop[0], : canvas.crop[1]], canvas.size[1], canvas.size[0], wrap_of(canvas.tile))
    if deep:
        return (pixels * 0.5 + 0.5).astype(np.float32)
    pixels *= 127.5  # in place, since a large picture in float32 is what takes most memory by now
    pixels += 127.5
    return np.rint(np.clip(pixels, 0, 255, out=pixels), out=pixels).astype(np.uint8)
