"""Latent walks: image sequences that go smoothly from seed to seed, and round in a loop if wanted.

Only w moves. The noise and the input map of the first seed are held: they say *where* things lie, so holding them makes
one surface change its material in place, where following each key's own would slide and dissolve the whole layout (and
noise drawn anew for every frame would boil; `noise="animated"` turns it smoothly instead). Frame 1 is therefore exactly
the texture of the first seed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ...stylegan2.inputs import Grid, SynthesisInputs, draw_noise
from ...stylegan2.latents import catmull_rom, lerp, slerp, z_from_seed
from ...stylegan2.networks import Generator
from ..errors import AlreadyExists, BadRequest
from ..job import Job, Progress
from .canvas import plan_canvas
from .files import canonical_json, frame_name, is_picture, open_folder, write_atomic, write_picture
from .generate import announce, picture_record, picture_set, render
from .look import Look, StyleList, check_choice, check_seeds, check_styles
from .pace import even_times, visual_times
from .stations import generator_along
from .variation import Source
from .varied import Varied, scaled, z_to_ws

if TYPE_CHECKING:
    from ..models.store import Store

MOST_FRAMES = 100_000
SETTINGS_FILE = "walk.json"
"""Beside the frames: the walk they belong to, so that a later call knows whether it may keep them."""


@dataclass(frozen=True, kw_only=True)
class WalkSettings(Look):
    """seeds          the keys, in order, seeds or names of kept textures; at least two different ones, or one with
                   different styles
    key_styles     the styles of each key, beside `styles`, which hold all along; () = none (see `stations`)
    frames         pictures in all; in a loop the frame after the last is the first
    loop           come back to the first key
    interpolation  w = a smooth curve (Catmull-Rom) through the keys in w; linear = straight lines in w;
                   z = great circles in z, which stay where the generator was trained but change speed more
    speed          linear = equal steps along the curve; visual = equal steps for the eye, measured on small frames
    overwrite      replace another walk's frames in the folder; otherwise they are an error
    """

    seeds: tuple[Source, ...] = (0, 1, 2)
    key_styles: tuple[StyleList, ...] = ()
    frames: int = 120
    loop: bool = False
    interpolation: str = "w"
    speed: str = "linear"
    overwrite: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_seeds(self.seeds)
        check_choice("interpolation", self.interpolation, ("w", "linear", "z"))
        check_choice("speed", self.speed, ("linear", "visual"))
        for styles in self.key_styles:
            check_styles(styles)
        if self.key_styles and len(self.key_styles) != len(self.seeds):
            raise BadRequest(f"{len(self.seeds)} seeds and {len(self.key_styles)} lists of styles; give each key one.")
        if any(self.key_styles) and self.mine:
            raise BadRequest(
                "A walk whose styles change cannot be mined; give the styles to the whole walk, or no mine."
            )
        if len(set(self.seeds)) < 2 and len(set(self.key_styles)) < 2:
            raise BadRequest("A walk needs at least two different seeds to go between; give more, like 3,7,12.")
        if self.interpolation == "z" and any(isinstance(seed, str) for seed in self.seeds):
            raise BadRequest("A kept texture has no z; walk in w, or give seeds alone.")
        if not 1 <= self.frames <= MOST_FRAMES:
            raise BadRequest(f"A walk of {self.frames} frames cannot be made; give a number from 1 to {MOST_FRAMES}.")


@dataclass(frozen=True, kw_only=True)
class WalkResult:
    """files   {"frame", "map", "path"} of every file of the walk, kept ones included
    kept    how many frames were there already
    """

    out: Path
    frames: int
    kept: int
    files: list[dict[str, Any]] = field(default_factory=list)


def walk(store: Store, settings: WalkSettings, out: Path, job: Job | None = None) -> WalkResult:
    """Write the frames of `settings` under `out`; those that a stopped run of the same walk left are kept.

    Raises  AlreadyExists (another walk's frames), NotFound, CannotWrite, Cancelled; frames written by then stay
    """
    job = job or Job()
    folder = open_folder(out)
    announce(store, settings, settings.frames, job)
    generator = store.styled(settings.generator, settings.styles, settings.mine)
    origin = store.origin(settings.generator, settings.styles)
    if any(settings.key_styles):
        origin["key_styles"] = [store.origin(settings.generator, key)["styles"] for key in settings.key_styles]
    varied = Varied(store, settings.generator, generator, settings)
    for seed in settings.seeds:
        if isinstance(seed, str) and varied.kept(seed).offsets:
            raise BadRequest(f"The texture {seed!r} lies in StyleSpace, where no walk goes; project it to w or w+.")
    _claim(folder, settings, origin)
    curve = latent_curve(varied, settings)
    styled_at = generator_along(store, generator, settings.key_styles, loop=settings.loop)
    times = frame_times(varied, curve, styled_at, settings, job)
    canvas = plan_canvas(generator.config, settings.size, settings.tile)
    inputs = noise_at(varied, settings, canvas.grid)
    about = {"walk": {k: v for k, v in asdict(settings).items() if k in _OWN}}
    files: list[dict[str, Any]] = []
    kept = 0
    for number, t in enumerate(times, start=1):
        job.check()
        paths = {which: folder / frame_name(number, which, settings.format) for which in settings.maps}
        color = None
        if all(is_picture(path, settings.size) for path in paths.values()):
            kept += 1
        else:
            color = render(styled_at(t), curve(t), inputs((number - 1) / settings.frames), canvas)
            for which, image in picture_set(color, settings).items():
                record = picture_record(settings, origin, settings.seeds[0], which) | about | {"frame": number}
                write_picture(paths[which], image, about=record)
        files.extend({"frame": number, "map": which, "path": str(path)} for which, path in paths.items())
        job.report(Progress(done=number, total=settings.frames, stage="walk", preview=color))
    return WalkResult(out=folder, frames=settings.frames, kept=kept, files=files)


_OWN = ("seeds", "frames", "loop", "interpolation", "speed")


def latent_curve(varied: Varied, settings: WalkSettings) -> Callable[[float], Tensor]:
    """The path as a function of t in 0..1 that gives ws [1, L, w_dim]; in a loop t = 1 is t = 0 exactly."""
    generator = varied.generator
    count = len(settings.seeds)
    spans = count if settings.loop else count - 1

    def ends(t: float) -> tuple[int, int, float]:
        """The keys before and after t, and the way between them."""
        position = (t % 1.0 if settings.loop else t) * spans
        first = min(int(position), spans - 1)
        return first, (first + 1) % count, position - first

    if settings.interpolation == "z":
        seeds = [seed for seed in settings.seeds if isinstance(seed, int)]
        z = torch.stack([z_from_seed(seed, generator.config.z_dim) for seed in seeds])[:, None]

        def along_z(t: float) -> Tensor:
            a, b, u = ends(t)
            ws = z_to_ws(generator, slerp(z[a], z[b], u), psi=settings.psi, cutoff=settings.cutoff)
            return varied.latents(ws)

        return along_z
    keys = torch.stack([varied.seed(seed) for seed in settings.seeds])
    if settings.interpolation == "linear":

        def along_w(t: float) -> Tensor:
            a, b, u = ends(t)
            return lerp(keys[a], keys[b], u)

        return along_w
    return lambda t: catmull_rom(keys, t, closed=settings.loop)


def noise_at(varied: Varied, settings: WalkSettings, grid: Grid) -> Callable[[float], SynthesisInputs]:
    """The inputs at each moment of the walk, 0..1: those of the first seed or, animated, noise that turns round once.

    cos(a) n + sin(a) m of two draws n and m is as normal as they are at every angle a, begins with n and comes back.
    """
    still = varied.inputs(settings.seeds[0], grid)
    if settings.noise != "animated":
        return lambda moment: still
    seed = settings.seeds[0] if settings.noise_seed is None else settings.noise_seed
    seed = varied.kept(seed).info.seed if isinstance(seed, str) else seed
    other = scaled(draw_noise(varied.generator.config, [seed], grid, take=1), settings)

    def turned(moment: float) -> SynthesisInputs:
        cos, sin = math.cos(2 * math.pi * moment), math.sin(2 * math.pi * moment)
        return replace(still, noise=tuple(n * cos + m * sin for n, m in zip(still.noise, other, strict=True)))

    return turned


def frame_times(
    varied: Varied,
    curve: Callable[[float], Tensor],
    styled_at: Callable[[float], Generator],
    settings: WalkSettings,
    job: Job,
) -> list[float]:
    """Where along the curve each frame lies. Moving noise is no way forward: it is held still."""
    generator = varied.generator
    if settings.speed == "linear" or settings.frames < 3:
        return even_times(settings.frames, settings.loop)
    cell = generator.config.resolution // 4
    side = min(4, max(1, 128 // max(cell, 1))) * max(cell, 16)
    canvas = plan_canvas(generator.config, (side, side), settings.tile)
    inputs = varied.inputs(settings.seeds[0], canvas.grid)
    spans = len(settings.seeds) if settings.loop else len(settings.seeds) - 1
    return visual_times(
        lambda t: render(styled_at(t), curve(t), inputs, canvas),
        frames=settings.frames,
        loop=settings.loop,
        samples=min(max(settings.frames, 16 * spans), 720),
        job=job,
    )


def _claim(folder: Path, settings: WalkSettings, origin: dict[str, Any]) -> None:
    """Mark `folder` as this walk's. Another walk's frames are an error or, with `overwrite`, removed."""
    ours = {k: v for k, v in asdict(settings).items() if k != "overwrite"} | {"origin": origin}
    text = (canonical_json(ours) + "\n").encode()
    marker = folder / SETTINGS_FILE
    if marker.is_file() and marker.read_bytes() == text:
        return
    there = sorted(p for p in folder.glob("frame-*") if p.is_file())
    if there and not settings.overwrite:
        raise AlreadyExists(
            f"The folder {str(folder)!r} already holds frames of another walk ({there[0].name}); choose another folder "
            "or ask to overwrite them."
        )
    for path in there:
        path.unlink()
    write_atomic(marker, text)
