"""Latent walks: image sequences that go smoothly from seed to seed, and round in a loop if wanted.

Only w moves. The noise and the input map of the first seed are held: they say *where* things lie, so holding them makes
one surface change its material in place, where following each key's own would slide and dissolve the whole layout (and
noise drawn anew for every frame would boil; `noise="animated"` turns it smoothly instead). Frame 1 is therefore exactly
the texture of the first seed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields, replace
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
from .deep import eight_bit
from .files import canonical_json, frame_name, is_picture, open_folder, sweep_parts, write_atomic, write_picture
from .generate import announce, picture_record, picture_set, render
from .keys import Key
from .look import Look, StyleList, check_choice, check_seeds
from .movies import MOVIES, PREVIEWS, encoder, write_movie, write_preview
from .pace import STRAIGHT, Arc, even_times, measure_arc, place_frames
from .stations import generator_along
from .variation import Source, Variation
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
    key_directions, key_psi, key_hold, key_ease   what else each key has of its own (see `keys.Key`); () = nothing
    frames         pictures in all; in a loop the frame after the last is the first
    loop           come back to the first key
    interpolation  w = a smooth curve (Catmull-Rom) through the keys in w; linear = straight lines in w;
                   z = great circles in z, which stay where the generator was trained but change speed more
    speed          linear = equal steps along the curve; visual = equal steps for the eye, measured on small frames
    overwrite      replace another walk's frames in the folder; otherwise they are an error
    preview        none | webp | gif: a small animation of the colour under `out`/previews
    movie          none | mp4 | webm: all of it under `out`, where an encoder is present (see `movies`)
    fps            frames a second, of both
    """

    seeds: tuple[Source, ...] = (0, 1, 2)
    key_styles: tuple[StyleList, ...] = ()
    key_directions: tuple[tuple[tuple[str, float], ...], ...] = ()
    key_psi: tuple[float | None, ...] = ()
    key_hold: tuple[int, ...] = ()
    key_ease: tuple[str, ...] = ()
    frames: int = 120
    loop: bool = False
    interpolation: str = "w"
    speed: str = "linear"
    overwrite: bool = False
    preview: str = "none"
    movie: str = "none"
    fps: int = 24

    def __post_init__(self) -> None:
        super().__post_init__()
        check_seeds(self.seeds)
        check_choice("interpolation", self.interpolation, ("w", "linear", "z"))
        check_choice("speed", self.speed, ("linear", "visual"))
        check_choice("preview", self.preview, ("none", *PREVIEWS))
        check_choice("movie", self.movie, ("none", *MOVIES))
        if not 1 <= self.fps <= 240:
            raise BadRequest(f"A movie of {self.fps} frames a second cannot be made; give a number from 1 to 240.")
        if {self.preview, self.movie} != {"none"} and "color" not in self.maps:
            raise BadRequest("Previews and movies are made of the colour; ask for the map color too.")
        for name in _OF_KEYS:
            if (values := getattr(self, name)) and len(values) != len(self.seeds):
                raise BadRequest(f"There are {len(self.seeds)} keys and {len(values)} of {name}; give one for each.")
        if any(self.key_styles) and self.mine:
            raise BadRequest(
                "A walk whose styles change cannot be mined; give the styles to the whole walk, or no mine."
            )
        if len({(k.seed, k.styles, k.directions, k.psi) for k in self.keys}) < 2:
            raise BadRequest("A walk needs at least two different seeds to go between; give more, like 3,7,12.")
        if self.interpolation == "z" and any(isinstance(seed, str) for seed in self.seeds):
            raise BadRequest("A kept texture has no z; walk in w, or give seeds alone.")
        if not 1 <= self.frames <= MOST_FRAMES:
            raise BadRequest(f"A walk of {self.frames} frames cannot be made; give a number from 1 to {MOST_FRAMES}.")
        self.place()  # says where there are too few frames for the holds

    @property
    def keys(self) -> tuple[Key, ...]:
        """Each checks itself."""
        given = {name.removeprefix("key_"): getattr(self, name) for name in _OF_KEYS}
        return tuple(
            Key(seed=seed, **{name: values[number] for name, values in given.items() if values})
            for number, seed in enumerate(self.seeds)
        )

    @property
    def spans(self) -> int:
        return len(self.seeds) if self.loop else len(self.seeds) - 1

    def place(self, arc: Arc = STRAIGHT) -> list[float]:
        """Where along the curve each frame lies."""
        if self.spans < 1:
            return even_times(self.frames, self.loop)
        return place_frames(self.frames, self.spans, loop=self.loop, arc=arc, holds=self.key_hold, eases=self.key_ease)

    def of_key(self, key: Key) -> Variation:
        """The variation at a key: the walk's, with what the key has of its own."""
        own = {f.name: getattr(self, f.name) for f in fields(Variation)}
        own["directions"] = self.directions + key.directions
        return Variation(**(own if key.psi is None else own | {"psi": key.psi}))


@dataclass(frozen=True, kw_only=True)
class WalkResult:
    """files   {"frame", "map", "path"} of every file of the walk, kept ones included
    kept    how many frames were there already
    animations  path of the "preview" and of the "movie", where they were asked for
    """

    out: Path
    frames: int
    kept: int
    files: list[dict[str, Any]] = field(default_factory=list)
    animations: dict[str, str] = field(default_factory=dict)


def walk(store: Store, settings: WalkSettings, out: Path, job: Job | None = None) -> WalkResult:
    """Write the frames of `settings` under `out`; those that a stopped run of the same walk left are kept.

    Raises  AlreadyExists (another walk's frames), NotFound, CannotWrite, Cancelled; frames written by then stay
    """
    job = job or Job()
    folder = open_folder(out)
    if settings.movie != "none":
        encoder()  # says before the work where there is none
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
    sweep_parts(folder, "frame-")
    sweep_parts(folder, "walk.")
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
            moment = (number - 1) / settings.frames
            color = render(styled_at(t), curve(t), inputs(moment), canvas, deep=settings.deep)
            for which, image in picture_set(generator.config, color, settings).items():
                record = picture_record(settings, origin, settings.seeds[0], which) | about | {"frame": number}
                write_picture(paths[which], image, about=record)
        files.extend({"frame": number, "map": which, "path": str(path)} for which, path in paths.items())
        preview = None if color is None else eight_bit(color)
        job.report(Progress(done=number, total=settings.frames, stage="walk", preview=preview))
    animations = animate(folder, [f["path"] for f in files if f["map"] == "color"], settings, job)
    return WalkResult(out=folder, frames=settings.frames, kept=kept, files=files, animations=animations)


def animate(folder: Path, frames: list[str], settings: WalkSettings, job: Job) -> dict[str, str]:
    """The preview and the movie that `settings` ask for, from the frames on disk: {"preview" or "movie": path}."""
    made = {}
    paths = [Path(frame) for frame in frames]
    if settings.preview != "none":
        made["preview"] = str(write_preview(paths, folder / "previews" / f"walk.{settings.preview}", settings.fps, job))
    if settings.movie != "none":
        made["movie"] = str(write_movie(paths, folder / f"walk.{settings.movie}", settings.fps, job))
    return made


_OF_KEYS = ("key_styles", "key_directions", "key_psi", "key_hold", "key_ease")
_OWN = ("seeds", "frames", "loop", "interpolation", "speed", *_OF_KEYS[1:])
_NOT_FRAMES = ("overwrite", "preview", "movie", "fps")
"""Settings that no frame depends on."""


def latent_curve(varied: Varied, settings: WalkSettings) -> Callable[[float], Tensor]:
    """The path as a function of t in 0..1 that gives ws [1, L, w_dim]; in a loop t = 1 is t = 0 exactly."""
    generator, count, spans = varied.generator, len(settings.seeds), settings.spans
    at_keys = [Varied(varied.store, varied.generator_name, generator, settings.of_key(key)) for key in settings.keys]
    if settings.interpolation == "w":
        points = torch.stack([at.seed(seed) for at, seed in zip(at_keys, settings.seeds, strict=True)])
        return lambda t: catmull_rom(points, t, closed=settings.loop)

    def ends(t: float) -> tuple[int, int, float]:
        """The keys before and after t, and the way between them."""
        position = (t % 1.0 if settings.loop else t) * spans
        first = min(int(position), spans - 1)
        return first, (first + 1) % count, position - first

    if settings.interpolation == "linear":
        corners = [at.seed(seed) for at, seed in zip(at_keys, settings.seeds, strict=True)]

        def along_w(t: float) -> Tensor:
            a, b, u = ends(t)
            return lerp(corners[a], corners[b], u)

        return along_w
    seeds = [seed for seed in settings.seeds if isinstance(seed, int)]
    z = torch.stack([z_from_seed(seed, generator.config.z_dim) for seed in seeds])[:, None]

    def along_z(t: float) -> Tensor:
        a, b, u = ends(t)
        psi = at_keys[a].variation.psi * (1 - u) + at_keys[b].variation.psi * u
        ws = z_to_ws(generator, slerp(z[a], z[b], u), psi=psi, cutoff=settings.cutoff, class_index=settings.class_index)
        ws = varied.latents(ws)
        if settings.key_directions:
            ws = ws + (lerp(at_keys[a].step, at_keys[b].step, u) - varied.step).to(ws)
        return ws

    return along_z


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
        return settings.place()
    cell = generator.config.resolution // 4
    side = min(4, max(1, 128 // max(cell, 1))) * max(cell, 16)
    canvas = plan_canvas(generator.config, (side, side), settings.tile)
    inputs = varied.inputs(settings.seeds[0], canvas.grid)
    samples = min(max(settings.frames, 16 * settings.spans), 720)
    return settings.place(measure_arc(lambda t: render(styled_at(t), curve(t), inputs, canvas), samples, job))


def _claim(folder: Path, settings: WalkSettings, origin: dict[str, Any]) -> None:
    """Mark `folder` as this walk's. Another walk's frames are an error or, with `overwrite`, removed."""
    ours = {k: v for k, v in asdict(settings).items() if k not in _NOT_FRAMES} | {"origin": origin}
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
