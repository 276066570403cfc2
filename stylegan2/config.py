"""The hyper-parameters of a StyleGAN2 generator: everything that its tensors alone do not say."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .errors import ConfigError

TILES = ("none", "x", "y", "xy")
COUNT_LIMIT = 2**20  # no generator comes near; a hostile file does
MAPPING_LIMIT = 64


@dataclass(frozen=True, kw_only=True)
class GeneratorConfig:
    """A StyleGAN2 generator with skip connections (Karras et al. 2020, figure 7b, "skip generator").

    z_dim, w_dim           widths of the two latent spaces
    c_dim                  classes of a conditional generator; 0 = unconditional
    resolution             side of its images at the base grid 4x4, in pixels; a power of two
    channels               feature channels at 4, 8, ..., resolution
    mapping_layers         fully connected layers from z to w
    mapping_width          their width; None = w_dim
    mapping_lr_multiplier  scale of their weights and biases (stored divided by it)
    embed_dim              width of the class embedding; None = w_dim
    image_channels         3 = RGB
    conv_clamp             activations are clamped to +-this; None = not at all
    fir                    taps of the separable resampling filter, before normalisation
    const_size             side of the learned constant: 4, or 1 = one vector for the whole grid (nothing positional)
    constant_noise         whether it carries one fixed noise map for each convolution (`noise_const`)
    demodulation_eps       added to the sum of squares in demodulation
    eps_per_tap            that epsilon counts per weight of a kernel (rosinality) and not per kernel (NVlabs)
    input_map              std of the random Gaussian map added to the constant; 0 = ordinary StyleGAN2
    lattice                whether a learned pattern of 2x2 pixels is added before the second convolution of every
                           resolution but the first: what bricks, tiles and threads hold on to, whatever the grid
    kinds                  kinds of picture that latents fall into (`latents.kind_of`), 0 or 2 to z_dim; 0 = none
    tile                   padding it was trained with: "none" = zeros, "x" = circular along the width, "y", "xy"
    Raises                 ConfigError
    """

    z_dim: int
    w_dim: int
    c_dim: int = 0
    resolution: int
    channels: tuple[int, ...]
    mapping_layers: int = 8
    mapping_width: int | None = None
    mapping_lr_multiplier: float = 0.01
    embed_dim: int | None = None
    image_channels: int = 3
    conv_clamp: float | None = None
    fir: tuple[float, ...] = (1.0, 3.0, 3.0, 1.0)
    const_size: int = 4
    constant_noise: bool = False
    demodulation_eps: float = 1e-8
    eps_per_tap: bool = False
    input_map: float = 0.0
    lattice: bool = False
    kinds: int = 0
    tile: str = "none"

    def __post_init__(self) -> None:
        counts = {
            "z_dim": self.z_dim,
            "w_dim": self.w_dim,
            "c_dim": self.c_dim + 1,  # may be 0
            "mapping_width": 1 if self.mapping_width is None else self.mapping_width,
            "embed_dim": 1 if self.embed_dim is None else self.embed_dim,
            "image_channels": self.image_channels,
            **{f"channels[{i}]": c for i, c in enumerate(self.channels)},
        }
        for name, count in counts.items():
            if type(count) is not int or not 1 <= count <= COUNT_LIMIT:
                raise ConfigError(f"A generator's {name} must be a positive whole number, not {count!r}.")
        if type(self.mapping_layers) is not int or not 1 <= self.mapping_layers <= MAPPING_LIMIT:
            raise ConfigError(f"A generator has 1 to {MAPPING_LIMIT} mapping layers, not {self.mapping_layers!r}.")
        if type(self.kinds) is not int or self.kinds == 1 or not 0 <= self.kinds <= self.z_dim:
            raise ConfigError(f"A generator has 0, or 2 to {self.z_dim}, kinds of latents, not {self.kinds!r}.")
        numbers = {
            "mapping_lr_multiplier": self.mapping_lr_multiplier,
            "demodulation_eps": self.demodulation_eps,
            "input_map": self.input_map + 1e-9,  # may be 0
            "conv_clamp": 1.0 if self.conv_clamp is None else self.conv_clamp,
        }
        for name, number in numbers.items():
            if not (math.isfinite(number) and number > 0):
                raise ConfigError(f"A generator's {name} must be a positive number, not {number!r}.")
        for name in ("constant_noise", "eps_per_tap", "lattice"):
            if type(getattr(self, name)) is not bool:
                raise ConfigError(f"A generator's {name} is true or false, not {getattr(self, name)!r}.")
        r = self.resolution
        if type(r) is not int or r < 4 or r > 65536 or r & (r - 1):
            raise ConfigError(f"A generator's resolution must be a power of two from 4 to 65536, not {r!r}.")
        if len(self.channels) != self.blocks:
            raise ConfigError(
                f"A generator of {r} px needs channel counts for {self.blocks} resolutions, not {len(self.channels)}."
            )
        if self.const_size not in (1, 4):
            raise ConfigError(f"A generator's constant must be 4x4 or 1x1, not {self.const_size}x{self.const_size}.")
        if len(self.fir) != 4 or not all(map(math.isfinite, self.fir)) or sum(self.fir) == 0:
            raise ConfigError(f"The resampling filter must have four taps with a sum other than 0, not {self.fir}.")
        check_tile(self.tile)

    @property
    def blocks(self) -> int:
        """Resolutions from 4 px to the full one."""
        return self.resolution.bit_length() - 2

    @property
    def has_places(self) -> bool:
        """Whether it can tell one place of a picture from another, if its padding is circular."""
        return self.const_size > 1

    @property
    def cells(self) -> int:
        """Cells of the lattice along a side of a picture at the base grid; 1 = it has none."""
        return 4 if self.lattice else 1

    @property
    def num_convs(self) -> int:
        """Modulated 3x3 convolutions: one in the first block, two in every other."""
        return 2 * self.blocks - 1

    @property
    def num_ws(self) -> int:
        """L, the w vectors that drive one image: 2 log2(resolution) - 2."""
        return 2 * self.blocks


def check_tile(tile: str) -> str:
    if tile not in TILES:
        raise ConfigError(f"Tiling is one of {', '.join(TILES)}, not {tile!r}.")
    return tile
