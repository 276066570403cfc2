"""Where the randomness of a material comes from: random numbers as they fall (`RandomDraw`), or read off what a
generator is given anyway, its latent, noise and input map (`LatentDraw`), so that it can be told exactly what to make.

Families are written against `Draw` alone.
"""

from __future__ import annotations

import functools
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from ....stylegan2.inputs import SynthesisInputs
from ....stylegan2.ops.padding import pad
from . import fields
from .surface import colour


class Draw(Protocol):
    """The random numbers of n surfaces of one family; S = `size` is the side of their fields.

    uniform     [n, 1, 1] numbers in [low, high): one for each surface
    choice      one of some whole numbers, for all of them
    colour      [n, 3, 1, 1], one of some sRGB colours for each, jittered
    noise       [n, S, S], as `fields.noise`
    cells       F1, F2, id, each [n, S, S], as `fields.cells`
    course_ids  [n, rows * columns] in [0, 1): a number for each brick
    exposure    [n, 1, 1, 1], a standard normal number for each photograph
    grain       of n photographs, [n, 3, S, S], unit variance, or one that broadcasts to it
    """

    n: int
    size: int

    @property
    def device(self) -> torch.device: ...

    def uniform(self, low: float, high: float) -> Tensor: ...

    def choice(self, *options: int) -> int: ...

    def colour(self, *choices: tuple[float, float, float], spread: float = 0.06) -> Tensor: ...

    def noise(
        self,
        *,
        beta: float = 1.0,
        low: float = 1.0,
        high: float = 1e9,
        stretch: float = 1.0,
        angle: Tensor | float = 0.0,
    ) -> Tensor: ...

    def cells(self, *, count: int, jitter: float = 0.9) -> tuple[Tensor, Tensor, Tensor]: ...

    def course_ids(self, rows: int, columns: int) -> Tensor: ...

    def exposure(self) -> Tensor: ...

    def grain(self) -> Tensor: ...


class RandomDraw:
    """Random numbers as they fall from a torch.Generator, one after the other."""

    def __init__(self, rng: Generator, n: int, size: int) -> None:
        self.rng, self.n, self.size = rng, n, size

    @property
    def device(self) -> torch.device:
        return self.rng.device

    def uniform(self, low: float, high: float) -> Tensor:
        return fields.uniform(self.rng, self.n, low, high)

    def choice(self, *options: int) -> int:
        return options[int(torch.randint(len(options), (1,), generator=self.rng, device=self.device))]

    def colour(self, *choices: tuple[float, float, float], spread: float = 0.06) -> Tensor:
        return colour(self.rng, self.n, *choices, spread=spread)

    def noise(self, **spectrum: Any) -> Tensor:
        return fields.noise(self.rng, self.n, self.size, **spectrum)

    def cells(self, *, count: int, jitter: float = 0.9) -> tuple[Tensor, Tensor, Tensor]:
        return fields.cells(self.rng, self.n, self.size, count=count, jitter=jitter)

    def course_ids(self, rows: int, columns: int) -> Tensor:
        return torch.rand(self.n, rows * columns, generator=self.rng, device=self.device)

    def exposure(self) -> Tensor:
        return torch.randn(self.n, 1, 1, 1, generator=self.rng, device=self.device)

    def grain(self) -> Tensor:
        return torch.randn(self.n, 3, self.size, self.size, generator=self.rng, device=self.device)


FIRST_FIELD = 8
"""The first channel of the input map that fields take; cells take the ones before it."""
MAP_CHANNELS = 24
"""Channels of the input map that cells and fields take in all."""
SHIFTS = ((0, 0), (1, 0), (0, 1), (-1, 0), (0, -1), (1, 1))
"""A noise map moved by so many of its own pixels is another one, and a 3x3 convolution can follow."""
LONGEST = 5.0
"""Greatest stretch of a field, in lengths of its own grain: what lies further is out of a generator's sight."""


class LatentDraw:
    """Randomness that a generator sees: numbers from its latents, fields from its noise and its input map.

    Every field is a sum of octaves. An octave is the noise of one resolution, up-sampled; the coarsest is a channel of
    the input map. Cells have as many points as a resolution has pixels, bricks and threads lie on its pixels. So all is
    made of what lies near, as convolutions make it, and goes on in the same way on larger planes.

    z       [n, z_dim], the latents; their numbers from `first` on are used up one by one
    inputs  of a square base grid: what the generator will be given
    size    of the fields; at least that of the finest noise
    half    0 or 1: which half of a choice's options these surfaces take (`half_of`)
    """

    def __init__(self, z: Tensor, inputs: SynthesisInputs, size: int, *, first: int, half: int) -> None:
        assert inputs.input_map is not None
        unit = z * z.square().mean(1, keepdim=True).rsqrt()  # what the mapping sees of a latent
        self.n, self.size, self._numbers, self._next = len(z), size, unit, first
        self.half, self._fields, self._map = half, 0, inputs.input_map
        self._noise: dict[int, list[Tensor]] = {}
        for noise in inputs.noise:
            self._noise.setdefault(noise.shape[-1], []).append(noise[:, 0])

    @property
    def device(self) -> torch.device:
        return self._numbers.device

    def _normal(self) -> Tensor:
        self._next += 1
        return self._numbers[:, self._next - 1]

    def uniform(self, low: float, high: float) -> Tensor:
        return (torch.special.ndtr(self._normal()) * (high - low) + low)[:, None, None]

    def choice(self, *options: int) -> int:
        """The power of two nearest to the least or the greatest of the options: cells lie on a resolution's pixels."""
        wanted = options[-1 if self.half else 0]
        return max(4, 1 << round(torch.log2(torch.tensor(float(wanted))).item()))

    def colour(self, *choices: tuple[float, float, float], spread: float = 0.06) -> Tensor:
        """Colours like `choices`, but of a continuum, for walks to pass through: their mean, moved along their axes."""
        middle, axes = (numbers.to(self.device) for numbers in _palette(choices))
        numbers = torch.stack([self._normal() for _ in range(3)], 1)[:, : len(axes)]
        base = middle + numbers @ axes
        light = self._normal()[:, None] * spread * 2
        hue = torch.stack([self._normal() for _ in range(3)], 1) * spread * 0.6
        return (base * (1 + light + hue)).clamp(0.01, 0.98)[:, :, None, None]

    def noise(
        self,
        *,
        beta: float = 1.0,
        low: float = 1.0,
        high: float = 1e9,
        stretch: float = 1.0,
        angle: Tensor | float = 0.0,
    ) -> Tensor:
        index, self._fields = self._fields, self._fields + 1
        sides = octaves(low, high, self.size)
        angles = torch.as_tensor(angle, device=self.device).expand(self.n, 1, 1)
        noise = {side: stretched(self._octave(side, index), stretch, angles) for side in sides}
        return summed(noise, beta, self.size) / _spread(tuple(sides), beta, stretch, self.size)

    def _octave(self, side: int, index: int) -> Tensor:
        """Standard normal noise [n, side, side] for the field of this number."""
        if side == 4:
            return self._map[:, FIRST_FIELD + index]
        pair = self._noise[side]
        # of the finest the second comes after the last convolution, which alone could have moved it
        which = 0 if side == max(self._noise) else index % len(pair)
        return pair[which].roll(SHIFTS[index // 2 % len(SHIFTS)], (1, 2))

    def cells(self, *, count: int, jitter: float = 0.9) -> tuple[Tensor, Tensor, Tensor]:
        if count == 4:
            dy, dx, names = self._map[:, 0], self._map[:, 1], self._map[:, 2]
        else:
            (dy, dx), names = self._noise[count], self._noise[2 * count][0][:, ::2, ::2]
        points = 0.5 + (torch.special.ndtr(torch.stack([dy, dx], -1)) - 0.5) * jitter
        return fields.worley(points, torch.special.ndtr(names), self.size)

    def course_ids(self, rows: int, columns: int) -> Tensor:
        if rows == columns == 4:
            return torch.special.ndtr(self._map[:, 0]).flatten(1)
        row, column = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
        # a brick of every second course begins one pixel of that resolution further left
        found = self._noise[rows][0][:, row, (column * rows // columns - row % 2) % rows]
        return torch.special.ndtr(found).flatten(1)

    def exposure(self) -> Tensor:
        return self._normal()[:, None, None, None]

    def grain(self) -> Tensor:
        """None: what a generator cannot know it should not be asked for."""
        return torch.zeros(1, device=self.device)


def half_of(z: Tensor, number: int) -> Tensor:
    """Which half of a choice's options each latent stands for, [n] bool."""
    return z[:, number] > 0


def octaves(low: float, high: float, size: int) -> list[int]:
    """Sides of the noise whose octaves make a band of `low` to `high` cycles per picture; size = 2 x the finest."""
    sides = [4 << k for k in range((size // 8).bit_length())]
    kept = [side for side in sides if side > low and side / 2 <= high]
    return kept or sides[-1:]


def summed(noise: dict[int, Tensor], beta: float, size: int) -> Tensor:
    """Octaves {side: [n, side, side]}, of standard normal numbers, as one field [n, size, size].

    An octave has four times the waves of the one before, each 2^-beta as high.
    """
    first = min(noise)
    field, side = noise[first], first
    while side < size:
        side *= 2
        field = up(field)
        if side in noise:
            field = field + (side / first) ** (1 - beta) * noise[side]
    return field


def stretched(noise: Tensor, stretch: float, angle: Tensor) -> Tensor:
    """Noise [n, side, side] smeared by a Gaussian along angle [n, 1, 1], its variance kept."""
    if stretch <= 1:
        return noise
    side = noise.shape[-1]
    fy = torch.fft.fftfreq(side, device=noise.device)[:, None]
    fx = torch.fft.rfftfreq(side, device=noise.device)[None]
    along = fx * torch.cos(angle) + fy * torch.sin(angle)
    gain = torch.exp(-2 * (torch.pi * along * min(stretch, LONGEST) / 3) ** 2)
    smeared = torch.fft.irfft2(torch.fft.rfft2(noise) * gain, s=(side, side))
    return smeared / gain.square().mean((1, 2), keepdim=True).sqrt()


def up(field: Tensor) -> Tensor:
    """[n, s, s] -> [n, 2 s, 2 s], cubic and wrapping around."""
    big = F.interpolate(pad(field[:, None], 2, "xy"), scale_factor=2, mode="bicubic", align_corners=False)
    return big[:, 0, 4:-4, 4:-4]


@functools.cache
def _palette(choices: tuple[tuple[float, float, float], ...]) -> tuple[Tensor, Tensor]:
    """The mean [3] of some colours, and their axes [K, 3], each as long as their spread along it."""
    palette = torch.tensor(choices)
    middle = palette.mean(0)
    axes = torch.linalg.svd(palette - middle, full_matrices=False)
    return middle, axes.S[:, None] * axes.Vh / len(choices) ** 0.5


@functools.cache
def _spread(sides: tuple[int, ...], beta: float, stretch: float, size: int) -> float:
    """Standard deviation of a field of those octaves, measured once on random ones."""
    rng, angle = torch.Generator().manual_seed(0), torch.full((1, 1, 1), 0.4)
    noise = {side: stretched(torch.randn(32, side, side, generator=rng), stretch, angle) for side in sides}
    return summed(noise, beta, size).std().item()
