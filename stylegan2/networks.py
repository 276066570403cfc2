"""The StyleGAN2 generator: a mapping network z -> w and a skip-connected synthesis network w -> image.

Parameter names and layouts are those of NVlabs' ADA checkpoints (`synthesis.b8.conv0.weight`, `mapping.fc0.bias`, ...).
A *style* is a set of deltas on them; `torch.func.functional_call(generator, {name: tensor}, (ws,), {...})` runs
synthesis with some of them replaced, gradients included.

Source  Karras et al. 2019, 2020, 2020b
"""

from __future__ import annotations

import collections.abc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from .config import GeneratorConfig, check_tile
from .errors import ShapeError
from .inputs import SynthesisInputs, conv_sizes
from .latents import truncate
from .ops.activation import GAIN, finish, leaky_relu
from .ops.few_columns import few_columns
from .ops.low_rank import LowRank
from .ops.modulation import convolve, demodulation, modulated_convolve
from .ops.padding import wrap, zero_padding
from .ops.resample import normalise_taps, phases, upsample
from .ops.sparing import Geometry, styled_convolve
from .ops.steady import product
from .ops.strips import by_strips, strip_heights

LATTICE_GAIN = 0.5
"""Standard deviation of a new lattice."""


@dataclass(frozen=True, kw_only=True)
class LayerInfo:
    """One modulated layer of synthesis.

    name        "b8.conv0": its parameters are "synthesis.b8.conv0.weight", ".bias", ".affine.weight", ...
    w_index     which of the L vectors drives it
    resolution  side of its output at the base grid
    """

    name: str
    kind: Literal["conv", "torgb"]
    w_index: int
    c_in: int
    c_out: int
    kernel: int
    resolution: int


class Linear(nn.Module):
    """A fully connected layer whose weight is stored at unit variance and scaled when used (equalized learning rate).

    Source  Karras et al. 2018, section 4.1
    """

    def __init__(self, c_in: int, c_out: int, *, bias: float = 0.0, lr_multiplier: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(c_out, c_in) / lr_multiplier)
        self.bias = nn.Parameter(torch.full([c_out], bias / lr_multiplier))
        self.weight_gain = lr_multiplier / c_in**0.5
        self.bias_gain = lr_multiplier

    def forward(self, x: Tensor, *, activate: bool = False) -> Tensor:
        """[N, c_in] -> [N, c_out], with the leaky ReLU or without."""
        y, bias = product(x, (self.weight * self.weight_gain).t()), self.bias * self.bias_gain
        return leaky_relu(y, bias) if activate else y + bias


class Mapping(nn.Module):
    """z (and a class) -> w, before truncation."""

    w_avg: Tensor

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.z_dim, self.c_dim, self.layers = config.z_dim, config.c_dim, config.mapping_layers
        lr, width = config.mapping_lr_multiplier, config.mapping_width or config.w_dim
        embed_dim = 0
        if config.c_dim > 0:
            embed_dim = config.embed_dim or config.w_dim
            self.embed = Linear(config.c_dim, embed_dim)
        widths = [config.z_dim + embed_dim] + [width] * (config.mapping_layers - 1) + [config.w_dim]
        for i in range(config.mapping_layers):
            setattr(self, f"fc{i}", Linear(widths[i], widths[i + 1], lr_multiplier=lr))
        self.register_buffer("w_avg", torch.zeros(config.w_dim))

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """z [N, z_dim], labels [N, c_dim] (one-hot) where the generator is conditional -> w [N, w_dim]."""
        if z.ndim != 2 or z.shape[1] != self.z_dim:
            raise ShapeError(f"This generator takes z of shape [N, {self.z_dim}], not {list(z.shape)}.")
        x = _unit_moment(z)
        if self.c_dim > 0:
            if labels is None or labels.shape != (len(z), self.c_dim):
                raise ShapeError(f"This generator has {self.c_dim} classes: give labels of shape [N, {self.c_dim}].")
            x = torch.cat([x, _unit_moment(self.embed(labels.to(x.dtype)))], dim=1)
        for i in range(self.layers):
            x = getattr(self, f"fc{i}")(x, activate=True)
        return x


def _unit_moment(x: Tensor) -> Tensor:
    """x / sqrt(mean x^2): a latent on the sphere of radius sqrt(C)."""
    return x * (x.square().mean(dim=1, keepdim=True) + 1e-8).rsqrt()


class StyledConv(nn.Module):
    """A modulated 3x3 convolution, perhaps up-sampling by two, with noise, bias and leaky ReLU."""

    noise_const: Tensor

    def __init__(self, config: GeneratorConfig, c_in: int, c_out: int, *, resolution: int, up: bool) -> None:
        super().__init__()
        self.affine = Linear(config.w_dim, c_in, bias=1.0)
        self.weight = nn.Parameter(torch.randn(c_out, c_in, 3, 3))
        self.noise_strength = nn.Parameter(torch.zeros([]))
        self.bias = nn.Parameter(torch.zeros(c_out))
        if config.constant_noise:
            self.register_buffer("noise_const", torch.randn(resolution, resolution))
        self.up_taps = normalise_taps(config.fir) if up else None
        self.eps = config.demodulation_eps * (9 * c_in if config.eps_per_tap else 1)
        self.clamp = config.conv_clamp

    def forward(
        self,
        x: Tensor,
        w: Tensor,
        noise: Tensor | None,
        tile: str,
        update: LowRank | None = None,
        sparing: bool = False,
    ) -> Tensor:
        """x [N, I, H, W], w [N, w_dim], noise [N or 1, 1, H', W'], a change of the weight -> [N, O, H', W']."""
        s = self.affine(w)
        if sparing and torch.is_grad_enabled():
            geometry = Geometry(tile=tile, up_taps=self.up_taps, eps=self.eps, clamp=self.clamp)
            return styled_convolve(x, s, self.weight, update, self.bias, noise, self.noise_strength, geometry)
        if update is None:
            d = demodulation(self.weight, s, self.eps)
            y = modulated_convolve(x, self.weight, s, tile=tile, up_taps=self.up_taps)
        else:
            weight = update.added_to(self.weight)
            d = demodulation(weight, s, self.eps)
            y = modulated_convolve(x, weight.detach(), s, tile=tile, up_taps=self.up_taps)
            if torch.is_grad_enabled():
                y = update.traced(y, x, s, tile=tile, up_taps=self.up_taps)
        return finish(y, d, self.bias, noise, self.noise_strength, self.clamp)

    def of_one(self, w: Tensor, tile: str, update: LowRank | None) -> Callable[..., Tensor]:
        """The layer for one picture, w [1, w_dim], with the style in its kernel: a function (x, noise, out) -> rows.

        x has the rows above and below already; along the width the layer pads by itself. out: see `finish`.
        """
        s = self.affine(w)
        weight = self.weight if update is None else update.added_to(self.weight)
        d = demodulation(weight, s, self.eps)
        kernel = weight * s[0, :, None, None] * (GAIN * d[0, :, None, None, None])
        kernels = None if self.up_taps is None else phases(kernel)  # once, and not for every strip
        across, padding = tile.replace("y", ""), (0, zero_padding(tile)[1])

        def rows(x: Tensor, noise: Tensor | None, out: Tensor | None = None) -> Tensor:
            y = convolve(wrap(x, 1, across), kernel, self.up_taps, padding, kernels)
            return finish(y, None, self.bias, noise, self.noise_strength, self.clamp, out)

        return rows


class ToRGB(nn.Module):
    """A modulated 1x1 convolution to colour, without demodulation."""

    def __init__(self, config: GeneratorConfig, c_in: int) -> None:
        super().__init__()
        self.affine = Linear(config.w_dim, c_in, bias=1.0)
        self.weight = nn.Parameter(torch.randn(config.image_channels, c_in, 1, 1))
        self.bias = nn.Parameter(torch.zeros(config.image_channels))
        self.gain, self.clamp = c_in**-0.5, config.conv_clamp

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        s = self.affine(w) * self.gain
        # few output channels: a kernel for each item costs nothing and spares a copy of x; pixels are its rows, so that
        # the gradient has the format of x
        kernels = self.weight[None, :, :, 0, 0] * s[:, None, :]
        n, c, height, width = x.shape
        pixels = x.permute(0, 2, 3, 1).reshape(n, height * width, c)
        rgb = few_columns(pixels, kernels).transpose(1, 2).reshape(n, -1, height, width)
        rgb = rgb.contiguous() + self.bias[:, None, None]
        return rgb if self.clamp is None else rgb.clamp(-self.clamp, self.clamp)


class Block(nn.Module):
    """The layers of one resolution."""

    def __init__(self, config: GeneratorConfig, index: int) -> None:
        super().__init__()
        c, r = config.channels[index], 4 << index
        if index == 0:
            self.const = nn.Parameter(torch.randn(c, config.const_size, config.const_size))
        else:
            self.conv0 = StyledConv(config, config.channels[index - 1], c, resolution=r, up=True)
            self.lattice = nn.Parameter(LATTICE_GAIN * torch.randn(c, 2, 2)) if config.lattice else None
        self.conv1 = StyledConv(config, c, c, resolution=r, up=False)
        self.torgb = ToRGB(config, c)

    def forward(
        self,
        x: Tensor,
        ws: Tensor,
        noise: Sequence[Tensor | None],
        tile: str,
        updates: Sequence[LowRank | None],
        *,
        keep: bool = True,
        sparing: bool = False,
    ) -> tuple[Tensor, Tensor]:
        """The features and the colours of this resolution.

        x               [N, I, H, W], the features of the resolution before; of the first block, its constant
        ws              [N, 3, w_dim] of conv0, conv1 and torgb; [N, 2, w_dim] in the first block
        noise, updates  one for each convolution
        keep            False = the features need not be kept; what is returned for them may be empty
        sparing         for training: no strips, whose kernels depend on the style and so would need gradients
        """
        *convs, last = ws.unbind(1)
        if len(convs) == 2:
            heights = None if sparing else strip_heights(x, self.conv1.weight.shape[0])
            if heights is not None:
                return self._by_strips(x, heights, ws, noise, tile, updates, keep)
            x = self._on_lattice(self.conv0(x, convs[0], noise[0], tile, updates[0], sparing))
        x = self.conv1(x, convs[-1], noise[-1], tile, updates[-1], sparing)
        return x, self.torgb(x, last)

    def _on_lattice(self, x: Tensor) -> Tensor:
        """x [N, C, H, W], H and W even and beginning at an even pixel, with the lattice laid over it."""
        if self.lattice is None:
            return x
        return x + self.lattice.repeat(1, x.shape[2] // 2, x.shape[3] // 2)

    def _by_strips(
        self,
        x: Tensor,
        heights: list[int],
        ws: Tensor,
        noise: Sequence[Tensor | None],
        tile: str,
        updates: Sequence[LowRank | None],
        keep: bool,
    ) -> tuple[Tensor, Tensor]:
        n, _, height, width = x.shape
        shape = (n if keep else 0, self.conv1.weight.shape[0], 2 * height, 2 * width)
        out = torch.empty(shape, dtype=x.dtype, memory_format=torch.channels_last)
        features, colours = [], []
        for i in range(n):
            w0, w1, w2 = ws[i : i + 1].unbind(1)
            first, plain = self.conv0.of_one(w0, tile, updates[0]), self.conv1.of_one(w1, tile, updates[1])

            def up(x: Tensor, noise: Tensor | None, first: Callable[..., Tensor] = first) -> Tensor:
                return self._on_lattice(first(x, noise))  # strips begin at even rows

            maps = [m if m is None or len(m) == 1 else m[i : i + 1] for m in noise]
            for strip in by_strips(x[i : i + 1], heights, maps, tile, up, plain, out[i : i + 1]):
                features += [strip] if keep and torch.is_grad_enabled() else []
                colours.append(self.torgb(strip, w2))
        if features:
            out = torch.cat([torch.cat(item, 2) for item in _chunks(features, n)])
        return out, torch.cat([torch.cat(item, 2) for item in _chunks(colours, n)])


def _chunks(strips: list[Tensor], n: int) -> list[list[Tensor]]:
    """The strips of each of n pictures."""
    each = len(strips) // n
    return [strips[i * each : (i + 1) * each] for i in range(n)]


@dataclass(frozen=True, kw_only=True)
class Partway:
    """Synthesis between two blocks.

    block  the one that runs next
    x      [N, C, h, w], the features that it is given
    image  [N, 3, h, w], the colours of all blocks so far: a valid picture of h x w pixels
    """

    block: int
    x: Tensor
    image: Tensor | None


class Synthesis(nn.Module):
    """w -> image: from the constant upward, every resolution adding its colours to the sum so far."""

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        self.taps = normalise_taps(config.fir)
        for index in range(config.blocks):
            setattr(self, f"b{4 << index}", Block(config, index))

    def block(self, index: int) -> Block:
        return getattr(self, f"b{4 << index}")

    def forward(
        self,
        ws: Tensor,
        inputs: SynthesisInputs | None = None,
        *,
        tile: str | None = None,
        start: Partway | None = None,
        stop: int | None = None,
        updates: collections.abc.Mapping[str, LowRank] | None = None,
        sparing: bool = False,
    ) -> Partway:
        """Run the blocks from `start` (None = from the constant) up to, but without, block `stop` (None = all).

        updates  low-rank changes of convolutions by layer name ("b8.conv0"); the rest as in `Generator.synthesize`
        sparing  keep less for the backward pass, which can then be gone through once
        """
        inputs, updates = inputs or SynthesisInputs(), updates or {}
        tile = self.config.tile if tile is None else check_tile(tile)
        self._check(ws, inputs, whole=start is None)
        noise = inputs.noise or [None] * self.config.num_convs
        if start is None:
            start = Partway(block=0, x=self._start(len(ws), inputs), image=None)
        x, image, stop = start.x, start.image, self.config.blocks if stop is None else stop
        for index in range(start.block, stop):
            convs = range(max(2 * index - 1, 0), 2 * index + 1)
            own = [updates.get(f"b{4 << index}.conv{k}") for k in ((0, 1) if index else (1,))]
            # a block's ToRGB shares its w with the next conv0
            block_ws = ws[:, convs.start : convs.stop + 1]
            keep = index + 1 < self.config.blocks
            x, rgb = self.block(index)(
                x, block_ws, noise[convs.start : convs.stop], tile, own, keep=keep, sparing=sparing
            )
            image = rgb if image is None else upsample(image, self.taps, tile) + rgb
        return Partway(block=stop, x=x, image=image)

    def _start(self, batch: int, inputs: SynthesisInputs) -> Tensor:
        """The constant over the whole grid, plus the input map: [N, C0, h0, w0]."""
        const: Tensor = self.block(0).const
        (h, w), n = inputs.grid, const.shape[-1]
        if inputs.places is not None:
            mean = const.mean((1, 2))[:, None, None]
            x = mean + torch.einsum("nkhw,ck->nchw", inputs.places, (const - mean).flatten(1))
        else:
            x = const if n == 1 else const.repeat(1, -(-h // n), -(-w // n))[:, :h, :w]
            x = x.expand(batch, -1, h, w)
        if inputs.input_map is not None:
            x = x + self.config.input_map * inputs.input_map
        # convolutions keep the format of their input, and in this one they run a third faster on a CPU
        return x.contiguous(memory_format=torch.channels_last)

    def _check(self, ws: Tensor, inputs: SynthesisInputs, whole: bool) -> None:
        """whole  the noise is that of the whole grid; what goes on from a block may be a window of it"""
        c = self.config
        if ws.ndim != 3 or ws.shape[1:] != (c.num_ws, c.w_dim):
            raise ShapeError(f"This generator takes w of shape [N, {c.num_ws}, {c.w_dim}], not {list(ws.shape)}.")
        n = len(ws)
        places = [n, c.const_size**2, *inputs.grid]
        if inputs.places is not None and list(inputs.places.shape) != places:
            raise ShapeError(f"The places must have the shape {places}, not {list(inputs.places.shape)}.")
        if inputs.input_map is not None and inputs.input_map.shape != (n, c.channels[0], *inputs.grid):
            expected = [n, c.channels[0], *inputs.grid]
            raise ShapeError(f"The input map must have the shape {expected}, not {list(inputs.input_map.shape)}.")
        if not inputs.noise or not whole:
            return
        sizes = conv_sizes(c, inputs.grid)
        if len(inputs.noise) != len(sizes):
            raise ShapeError(f"This generator takes {len(sizes)} noise maps, not {len(inputs.noise)}.")
        for i, (noise, size) in enumerate(zip(inputs.noise, sizes, strict=True)):
            if noise.shape not in ((n, 1, *size), (1, 1, *size)):
                raise ShapeError(f"Noise map {i} must have the shape {[n, 1, *size]}, not {list(noise.shape)}.")


class Generator(nn.Module):
    """A whole generator; `forward` is `synthesize`, so that `functional_call` reaches it.

    kind_names  a word for each of its kinds of picture (`config.kinds`); () = nobody has named them
    """

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        self.kind_names: tuple[str, ...] = ()
        self.mapping = Mapping(config)
        self.synthesis = Synthesis(config)

    @property
    def num_ws(self) -> int:
        """L = 2 log2(resolution) - 2."""
        return self.config.num_ws

    def labels(self, classes: Sequence[int | None]) -> Tensor | None:
        """One-hot classes for `map`, [N, c_dim]; None for a generator that has none.

        classes  one for each latent; None = the first one, where there are classes
        Raises   ShapeError where there is no such class
        """
        c_dim = self.config.c_dim
        for chosen in classes:
            if chosen is not None and not 0 <= chosen < c_dim:
                known = f"the classes 0 to {c_dim - 1}" if c_dim else "no classes"
                raise ShapeError(f"This generator has {known}; class {chosen} cannot be asked of it.")
        if not c_dim:
            return None
        indices = torch.tensor([chosen or 0 for chosen in classes])
        return torch.nn.functional.one_hot(indices, c_dim).float().to(self.mapping.w_avg.device)

    def map(
        self,
        z: Tensor,
        *,
        psi: float = 1.0,
        cutoff: int | None = None,
        labels: Tensor | None = None,
        at_once: bool = False,
    ) -> Tensor:
        """z [N, z_dim] -> ws [N, L, w_dim], truncated.

        Without gradients every item goes through alone: the bits of a small matrix product depend on the batch's size,
        and a picture must not.

        at_once  all together all the same, for training: on a GPU a fraction of the work to launch
        """
        if torch.is_grad_enabled() or len(z) < 2 or at_once:
            w = self.mapping(z, labels)
        else:
            each = [self.mapping(z[i : i + 1], None if labels is None else labels[i : i + 1]) for i in range(len(z))]
            w = torch.cat(each)
        return truncate(w[:, None].expand(-1, self.num_ws, -1), self.mapping.w_avg, psi, cutoff)

    def synthesize(self, ws: Tensor, inputs: SynthesisInputs | None = None, *, tile: str | None = None) -> Tensor:
        """ws [N, L, w_dim] -> images [N, 3, H, W], about -1 to 1, top row first.

        inputs  noise, input map and grid; None = neither noise nor map, at the base grid. H, W = grid * resolution / 4
        tile    which axes wrap; None = as the generator was trained
        Raises  ShapeError, ConfigError
        """
        image = self.synthesis(ws, inputs, tile=tile).image
        assert image is not None  # every generator has a block
        return image

    def forward(self, ws: Tensor, inputs: SynthesisInputs | None = None, *, tile: str | None = None) -> Tensor:
        return self.synthesize(ws, inputs, tile=tile)

    def constant_inputs(self) -> SynthesisInputs:
        """The fixed noise that the checkpoint carries (`noise_const`), at the base grid."""
        if not self.config.constant_noise:
            raise ShapeError("This generator carries no constant noise; draw noise from a seed.")
        convs = [layer for layer in self.layers() if layer.kind == "conv"]
        noise = [self.synthesis.get_buffer(f"{layer.name}.noise_const") for layer in convs]
        return SynthesisInputs(noise=tuple(n[None, None] for n in noise))

    def layers(self) -> tuple[LayerInfo, ...]:
        """Every modulated layer, in the order in which they run."""
        found: list[LayerInfo] = []
        for index, c in enumerate(self.config.channels):
            r, c_in, w = 4 << index, self.config.channels[max(index - 1, 0)], 2 * index
            if index > 0:
                found.append(_layer(f"b{r}.conv0", "conv", w - 1, c_in, c, 3, r))
            found.append(_layer(f"b{r}.conv1", "conv", w, c, c, 3, r))
            found.append(_layer(f"b{r}.torgb", "torgb", w + 1, c, self.config.image_channels, 1, r))
        return tuple(found)


def _layer(
    name: str, kind: Literal["conv", "torgb"], w_index: int, c_in: int, c_out: int, kernel: int, resolution: int
) -> LayerInfo:
    return LayerInfo(
        name=name, kind=kind, w_index=w_index, c_in=c_in, c_out=c_out, kernel=kernel, resolution=resolution
    )
