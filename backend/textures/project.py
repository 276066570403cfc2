"""Projection of a picture: from its pixels to a kept texture, a sheet and measures. See `stylegan2/projection.py`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ...stylegan2.config import GeneratorConfig
from ...stylegan2.inputs import draw_inputs
from ...stylegan2.networks import Generator
from ...stylegan2.projection import SPACES, Latents, Projection, ProjectionSettings
from ...stylegan2.seeds import SEED_LIMIT
from ..adaptation.clip import load_clip
from ..adaptation.likeness import cosine, material_loss
from ..errors import BadRequest, Cancelled
from ..job import Job, Progress
from ..models.clips import find_clip
from .filters import resample, wrap_of
from .generate import Canvas, plan_canvas, render
from .keep import kept_picture
from .kept import KeptInfo, KeptTexture, halved
from .look import SMALLEST_PX, TILES, StyleList, check_choice, check_styles
from .sheets import contact_sheet
from .variation import check_class

if TYPE_CHECKING:
    from ..models.store import Store

LARGEST_TARGET_PX = 1024
"""Beyond the generator's own size: every step makes the whole picture, with its gradient."""
OTHER_NOISE = 1
"""Added to the seed for a picture of the same material in another arrangement."""


@dataclass(frozen=True, kw_only=True)
class ProjectSettings:
    """generator      name of a generator in the store
    space          w | w+ | style: see `stylegan2.projection`
    steps          in all, a third of them for the material; more is nearer
    seed           repeats the result
    class_index    of a generator that has classes, the one that it starts from; None = the first one
    size           (width, height) of the projected picture, multiples of the generator's cell; None = its own size
    tile           axes on which the texture shall be seamless; there the picture's opposite edges should meet
    clip           whose features tell materials apart
    styles         shown on the sheet: the texture restyled
    preview_every  steps between previews; 0 = none
    """

    generator: str = "builtin"
    space: str = "w+"
    steps: int = 600
    seed: int = 0
    class_index: int | None = None
    size: tuple[int, int] | None = None
    tile: str = "xy"
    clip: str = "builtin"
    styles: StyleList = ()
    preview_every: int = 25

    def __post_init__(self) -> None:
        check_choice("space", self.space, SPACES)
        check_choice("tile mode", self.tile, TILES)
        check_styles(self.styles)
        check_class(self.class_index)
        if not 1 <= self.steps <= 100_000:
            raise BadRequest(f"A projection of {self.steps} steps cannot be made; give a number from 1 to 100000.")
        if not 0 <= self.seed < SEED_LIMIT:
            raise BadRequest(f"The seed {self.seed} is out of range; give a whole number from 0 to {SEED_LIMIT - 1}.")
        if self.preview_every < 0:
            raise BadRequest("preview_every is a number of steps; give 0 for no previews.")

    @property
    def projection(self) -> ProjectionSettings:
        material = self.steps // 3
        return ProjectionSettings(
            space=self.space, seed=self.seed, class_index=self.class_index, material=material,
            arrangement=self.steps - material,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ProjectResult:
    """target, picture   uint8 [height, width, 3]: what was asked for, in its size, and what came of it
    sheet             uint8 [H, W, 3]: both, the material in another arrangement, and the texture restyled
    """

    texture: KeptTexture
    target: np.ndarray
    picture: np.ndarray
    sheet: np.ndarray


def project(
    store: Store,
    settings: ProjectSettings,
    picture: np.ndarray,
    *,
    name: str,
    job: Job | None = None,
    keep: Callable[[KeptTexture], None] | None = None,
) -> ProjectResult:
    """The texture whose picture is nearest to `picture`, uint8 [H, W, 3].

    keep    is given the texture as it is when the job is cancelled after the search
    Raises  NotFound, BadRequest (size), Cancelled, StyleGAN2Error (diverged)
    """
    job = job or Job()
    generator = store.generator(settings.generator)
    generator.labels([settings.class_index])  # says where there is no such class, before the work
    if settings.styles:
        store.styled(settings.generator, settings.styles)  # a misspelt style is told before the work
    canvas = _canvas(generator.config, settings)
    target = fit_picture(picture, canvas.size, settings.tile)
    goal = _tensor(target, generator.mapping.w_avg.device)
    clip = find_clip(store.root, settings.clip, str(goal.device))
    run = Projection(
        generator, goal, settings.projection, grid=canvas.grid, tile=canvas.padding, likeness=material_loss(clip, goal)
    )
    about = _about(store, settings, name, picture)
    try:
        _follow(run, settings, target, job)
    except Cancelled:
        if keep is not None and run.done >= run.settings.candidates:
            keep(_finish(generator, run.latents(), about, canvas, target)[0])
        raise
    texture, made, anew = _finish(generator, run.latents(), about, canvas, target)
    pictures, captions = [target, made, anew], ["target", "projection", "the same, arranged anew"]
    if settings.styles:
        styled = store.styled(settings.generator, settings.styles)
        pictures.append(kept_picture(styled, texture, size=canvas.size, tile=settings.tile))
        captions.append(" + ".join(f"{style} {strength:g}" for style, strength in settings.styles))
    m = texture.info.measures
    note = f"{m['psnr_db']:.1f} dB; cosine {m['cosine']:.3f}, arranged anew {m['anew']:.3f}"
    sheet = contact_sheet(pictures, captions, columns=len(pictures), title=name, note=note, cell_px=256)
    return ProjectResult(texture=texture, target=target, picture=made, sheet=sheet)


def fit_picture(picture: np.ndarray, size: tuple[int, int], tile: str) -> np.ndarray:
    """The middle of `picture`, uint8 [H, W, 3], of the shape of `size` (width, height), resampled to it."""
    width, height = size
    scale = min(picture.shape[0] / height, picture.shape[1] / width)
    rows, columns = (max(1, round(n * scale)) for n in (height, width))
    top, left = (picture.shape[0] - rows) // 2, (picture.shape[1] - columns) // 2
    part = picture[top : top + rows, left : left + columns].astype(np.float32)
    return np.rint(np.clip(resample(part, height, width, wrap_of(tile)), 0, 255)).astype(np.uint8)


def psnr_db(a: np.ndarray, b: np.ndarray) -> float:
    """10 log10(255^2 / mean square difference) of two uint8 pictures; 99 where they are the same."""
    error = np.square(a.astype(np.float64) - b).mean()
    return 99.0 if error == 0 else min(99.0, 10 * float(np.log10(255**2 / error)))


def _canvas(config: GeneratorConfig, settings: ProjectSettings) -> Canvas:
    """What is optimised: exactly the pixels of the size, with nothing resampled."""
    cell, own = config.resolution // 4, config.resolution
    size = settings.size or (own, own)
    most = max(own, LARGEST_TARGET_PX)
    if any(n % cell or not cell <= n <= most for n in size) or min(size) < SMALLEST_PX:
        shown = "x".join(str(n) for n in size)
        raise BadRequest(
            f"A projection of {shown} px cannot be made on this generator; give multiples of {cell} px up to {most} "
            f"px, like {own}x{own}."
        )
    return plan_canvas(config, size, settings.tile)


def _follow(run: Projection, settings: ProjectSettings, target: np.ndarray, job: Job) -> None:
    """Run to the end, with reports."""
    while run.done < run.total:
        job.check()
        stage = run.stage
        numbers = run.step()
        show = settings.preview_every and (run.done % settings.preview_every == 0 or run.done == run.total)
        preview = np.concatenate([target, _pixels(run.picture())], axis=1) if show else None
        job.report(Progress(done=run.done, total=run.total, stage=stage, numbers=numbers, preview=preview))


def _about(store: Store, settings: ProjectSettings, name: str, picture: np.ndarray) -> KeptInfo:
    values = asdict(settings) | {"picture_sha256": hashlib.sha256(picture.tobytes()).hexdigest()}
    return KeptInfo(
        name=name,
        generator=settings.generator,
        generator_hash=store.generator_hash(settings.generator),
        seed=settings.seed,
        origin="projection",
        settings={key: value for key, value in values.items() if key not in ("styles", "preview_every")},
    )


def _finish(
    generator: Generator, latents: Latents, about: KeptInfo, canvas: Canvas, target: np.ndarray
) -> tuple[KeptTexture, np.ndarray, np.ndarray]:
    """The texture as its file will hold it, its picture, and its material in another arrangement; uint8 [H, W, 3]."""
    prefix, suffix = "synthesis.", ".affine.bias"
    inputs = latents.inputs.to("cpu")
    texture = KeptTexture(
        info=about,
        ws=latents.ws.cpu(),
        arrangement=halved(inputs),
        offsets={n.removeprefix(prefix).removesuffix(suffix): o.cpu() for n, o in latents.offsets.items()},
    )
    texture = replace(texture, info=replace(about, grid=canvas.grid))
    made = kept_picture(generator, texture, size=canvas.size, tile=canvas.tile)
    other = draw_inputs(generator.config, [(about.seed + OTHER_NOISE) % SEED_LIMIT], canvas.grid)
    anew = render(texture.on(generator), texture.ws, other, canvas)
    judge = load_clip("judge", str(generator.mapping.w_avg.device))
    goal, *pictures = (_tensor(p, judge.device) for p in (target, made, anew))
    cosines = {key: cosine(judge, p, goal) for key, p in zip(("cosine", "anew"), pictures, strict=True)}
    measures = {"psnr_db": psnr_db(made, target), **cosines}
    thumbnail = made if max(made.shape) <= 256 else fit_picture(made, (256, 256), canvas.tile)
    return replace(texture, info=replace(texture.info, measures=measures), thumbnail=thumbnail), made, anew


def _tensor(picture: np.ndarray, device: torch.device) -> Tensor:
    """uint8 [H, W, 3] -> [1, 3, H, W] in [-1, 1]."""
    return torch.from_numpy(picture.astype(np.float32) / 127.5 - 1).permute(2, 0, 1)[None].contiguous().to(device)


def _pixels(image: Tensor) -> np.ndarray:
    """[1, 3, H, W] -> uint8 [H, W, 3]."""
    return ((image[0].clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0).cpu().numpy()
