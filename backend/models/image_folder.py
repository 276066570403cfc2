"""A folder of somebody's own pictures as training data: what can be read is kept, small; the rest is listed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...stylegan2.training.trainer import step_rng
from ..errors import BadRequest
from ..job import Job, Progress
from ..textures.filters import resample, wrap_of
from ..textures.pictures import read_picture

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".tga", ".gif", ".ppm"})
MOST_ENLARGED = 2
STRETCH = 1.2
"""A tileable picture must be used whole: to be square it may be stretched by this factor, and repeated."""


@dataclass(frozen=True, kw_only=True)
class Crops:
    """How pictures are cut.

    size      side of what is cut, in pixels
    tileable  whether the pictures are seamless: then each is used whole and rolled, else a square of it is cut out
    smallest  share of a picture's shorter side that a cut shows at least; at most it is all of it
    flips     whether pictures may be mirrored left to right
    """

    size: int
    tileable: bool = False
    smallest: float = 0.6
    flips: bool = True

    def __post_init__(self) -> None:
        if not 0.05 <= self.smallest <= 1:
            raise BadRequest(f"The smallest cut is {self.smallest}; give a share of the shorter side from 0.05 to 1.")


@dataclass(frozen=True, kw_only=True)
class Folder:
    """pictures  uint8 [3, H, W] each, no larger than cuts need
    names     their files, relative to the folder
    skipped   (file, reason) of those that could not be used
    """

    pictures: list[Tensor]
    names: list[str]
    skipped: list[tuple[str, str]] = field(default_factory=list)

    def warnings(self) -> list[str]:
        """What to expect of too few pictures, and what was skipped; [] = nothing to say."""
        found = [f"{name} was skipped: it {reason}" for name, reason in self.skipped[:10]]
        if len(self.skipped) > len(found):
            found.append(f"{len(self.skipped) - len(found)} more files were skipped.")
        for least, expectation in EXPECTATIONS:
            if len(self.pictures) < least:
                count = "1 picture is" if len(self.pictures) == 1 else f"{len(self.pictures)} pictures are"
                return [*found, f"{count} {expectation}"]
        return found


EXPECTATIONS = (
    (10, "very few: expect these same textures with small changes, and sudden steps between them in a walk. Give 100."),
    (100, "few: expect close relatives of these textures; 100 give some variety, 1,000 a generator of its own."),
    (500, "enough to begin with: expect textures like these; 1,000 or more give smoother walks and more variety."),
)


def read_folder(root: Path, crops: Crops, job: Job | None = None) -> Folder:
    """Every picture below `root`, in the order of the names; other kinds of files are passed over.

    Raises  BadRequest where there is no such folder or no usable picture
    """
    job = job or Job()
    if not root.is_dir():
        raise BadRequest(f"There is no folder {str(root)!r}; give the folder that holds your pictures.")
    files = sorted(p for p in root.rglob("*") if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))
    found = Folder(pictures=[], names=[])
    for done, file in enumerate(files):
        job.check()
        name = file.relative_to(root).as_posix()
        try:
            found.pictures.append(fit(torch.from_numpy(np.array(read_picture(file))).permute(2, 0, 1), crops))
            found.names.append(name)
        except BadRequest as refusal:
            found.skipped.append((name, str(refusal).removeprefix(f"{file.name} ")))
        job.report(Progress(done=done + 1, total=len(files), stage="reading pictures"))
    if not found.pictures:
        why = f" {found.skipped[0][1]}" if found.skipped else ""
        raise BadRequest(f"There is no picture to train on in {str(root)!r}; give a folder of PNG or JPEG files.{why}")
    return found


def fit(picture: Tensor, crops: Crops) -> Tensor:
    """A picture uint8 [3, H, W] no larger than its cuts need: the shorter side is `size / smallest`, or as it was.

    A tileable one becomes [3, size, size], the shorter side repeated where the longer is a multiple of it.
    Raises  BadRequest for one that is too small, or tileable and of no usable shape
    """
    height, width = picture.shape[1:]
    short = min(height, width)
    if short * MOST_ENLARGED < crops.size:
        least = -(-crops.size // MOST_ENLARGED)
        raise BadRequest(f"has {width}x{height} px, and {least} on the shorter side are needed; choose a smaller size.")
    if crops.tileable:
        ratio = max(height, width) / short
        times = round(ratio)
        if not 1 / STRETCH <= ratio / times <= STRETCH:
            raise BadRequest(f"has {width}x{height} px; a seamless picture must be square, or a row of squares.")
        picture = picture.repeat(1, times, 1) if width > height else picture.repeat(1, 1, times)
        pixels = resample(picture.permute(1, 2, 0).float().numpy(), crops.size, crops.size, wrap_of("xy"))
        return torch.from_numpy(pixels).permute(2, 0, 1).round().clamp(0, 255).to(torch.uint8)
    wanted = max(crops.size, math.ceil(crops.size / crops.smallest))
    if short > wanted:
        picture = _resize(picture, round(height * wanted / short), round(width * wanted / short))
    return picture


class Cutter:
    """Batches of cuts from a folder's pictures: what is drawn at a step depends on (seed, step, rank) alone."""

    def __init__(self, pictures: Sequence[Tensor], crops: Crops, seed: int) -> None:
        self.pictures, self.crops, self.seed = pictures, crops, seed

    def batch(self, n: int, step: int, rank: int = 0) -> tuple[Tensor, list[int]]:
        """n cuts [n, 3, size, size] in [-1, 1], and whose they are."""
        rng = step_rng(self.seed, step, rank)
        chosen = torch.randint(len(self.pictures), (n,), generator=rng).tolist()
        return torch.stack([self._cut(self.pictures[i], rng) for i in chosen]).float() / 127.5 - 1, chosen

    def batches(self, n: int, *, start: int = 0, rank: int = 0) -> Iterator[tuple[Tensor, None]]:
        """Endless batches from a step on, without classes."""
        step = start
        while True:
            yield self.batch(n, step, rank)[0], None
            step += 1

    def _cut(self, picture: Tensor, rng: torch.Generator) -> Tensor:
        size, crops = self.crops.size, self.crops
        down, right, share, mirror = torch.rand(4, generator=rng).tolist()
        height, width = picture.shape[1:]
        if crops.tileable:
            cut = picture.roll((int(down * height), int(right * width)), (1, 2))
        else:
            short = min(height, width)
            side = max(round((crops.smallest + (1 - crops.smallest) * share) * short), min(size, short))
            top, left = int(down * (height - side + 1)), int(right * (width - side + 1))
            cut = _resize(picture[:, top : top + side, left : left + side], size, size)
        return cut.flip(2) if crops.flips and mirror < 0.5 else cut


def _resize(picture: Tensor, height: int, width: int) -> Tensor:
    """uint8 [3, H, W] -> uint8 [3, height, width], antialiased."""
    if picture.shape[1:] == (height, width):
        return picture
    resized = F.interpolate(picture[None].float(), (height, width), mode="bilinear", antialias=True)[0]
    return resized.round().clamp(0, 255).to(torch.uint8)


Say = Callable[[str], None]
"""Where a recipe's remarks go."""
