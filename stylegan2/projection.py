"""Projection: the latents, and the random inputs, from which a generator makes a given picture again.

A texture is a material and an arrangement. What it is made of is w's to say; where each grain lies is said by the input
map and the noise. With so much noise to choose, *any* w can be bent to any picture, and then other noise, a larger size
or a style shows that the w means something else. So the two are found one after the other:

    search       the best of some random seeds
    material     w, under inputs drawn anew at each step: the picture's statistics, wherever its parts lie
    arrangement  the inputs, kept like Gaussian noise, and w a little: the picture itself, pixel by pixel

Source  Karras et al. 2020, section 5 and appendix D (noise as an unknown, its regularisation, the rate's ramps)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor
from torch.func import functional_call

from .errors import ConfigError, ShapeError, StyleGAN2Error
from .inputs import Grid, SynthesisInputs, draw_inputs, sample_inputs
from .latents import z_from_seed
from .likeness import PatchStatistics, pixel_loss, pyramid, range_loss, whiteness_loss
from .networks import Generator
from .seeds import SEED_LIMIT, check_seed

SPACES = ("w", "w+", "style")
STAGES = ("search", "material", "arrangement")
Likeness = Callable[[Tensor], Tensor]

RAMP_UP, RAMP_DOWN = 0.05, 0.3
"""Shares of a stage over which the learning rate rises from 0 and falls, as a cosine, to 0."""


@dataclass(frozen=True, kw_only=True)
class ProjectionSettings:
    """space             w = one vector for all layers; w+ = one for each; style = w+ and offsets of all style channels
    candidates        seeds that the search looks at
    material, arrangement   steps of the two stages
    seed              of the candidates and of every random number
    class_index       of the candidates, where the generator has classes; None = the first one
    rate              learning rate of w in the material stage; offsets of style channels take half of it
    late_rate         of w in the arrangement stage
    inputs_rate       of the input map and the noise
    patches           weight of the patches' statistics
    likeness          weight of the loss that is given from outside
    gaussian          weight of what keeps the noise white
    gamut             weight of the excess over [-1, 1]
    Raises            ConfigError
    """

    space: str = "w+"
    candidates: int = 32
    material: int = 200
    arrangement: int = 400
    seed: int = 0
    class_index: int | None = None
    rate: float = 0.05
    late_rate: float = 0.01
    inputs_rate: float = 0.1
    patches: float = 2.0
    likeness: float = 1.0
    gaussian: float = 3e-4
    gamut: float = 1.0

    def __post_init__(self) -> None:
        if self.space not in SPACES:
            raise ConfigError(f"A projection goes to one of {', '.join(SPACES)}, not {self.space!r}.")
        if self.candidates < 1 or min(self.material, self.arrangement) < 0:
            raise ConfigError("A projection needs at least one candidate, and 0 or more steps of each stage.")
        check_seed(self.seed)
        weights = (self.patches, self.likeness, self.gaussian, self.gamut)
        if not all(math.isfinite(n) and n >= 0 for n in (self.rate, self.late_rate, self.inputs_rate, *weights)):
            raise ConfigError("A projection's rates and weights must be finite and not below 0.")

    @property
    def total(self) -> int:
        return self.candidates + self.material + self.arrangement


@dataclass(frozen=True, kw_only=True)
class Latents:
    """A point from which one picture is made.

    ws       [1, L, w_dim]
    inputs   for one picture
    offsets  parameter name ("synthesis.b8.conv0.affine.bias") -> [C_in], added to it; {} unless in StyleSpace
    """

    ws: Tensor
    inputs: SynthesisInputs
    offsets: dict[str, Tensor] = field(default_factory=dict)


class Projection:
    """One projection, step by step: `step` until `done == total`; `latents` is the state at any time.

    generator  float32; its weights are left as they were
    target     [1, 3, H, W] in [-1, 1]
    grid       of the inputs; the picture is cut to H x W from its first row and column
    tile       padding of synthesis, and axes along which patches wrap
    likeness   images [1, 3, H, W] -> a number, 0 where they show the target's material: features of another network
    Raises     ShapeError
    """

    def __init__(
        self,
        generator: Generator,
        target: Tensor,
        settings: ProjectionSettings,
        *,
        grid: Grid = (4, 4),
        tile: str = "xy",
        likeness: Likeness | None = None,
    ) -> None:
        cell = generator.config.resolution // 4
        if (
            target.ndim != 4
            or len(target) != 1
            or any(n > m * cell for n, m in zip(target.shape[2:], grid, strict=True))
        ):
            raise ShapeError(f"The target must be [1, 3, H, W] within {[m * cell for m in grid]} px.")
        self._labels = generator.labels([settings.class_index])
        self.generator, self.settings = generator.eval().requires_grad_(False), settings
        self.device = generator.mapping.w_avg.device
        self.target, self.grid, self.tile = target.to(self.device), grid, tile
        self.done, self.total = 0, settings.total
        self._rng = torch.Generator().manual_seed(settings.seed)
        self._likeness = likeness
        self._pyramid = pyramid(self.target)
        self._patches = PatchStatistics(self.target, tile, self._rng)
        self._best = math.inf
        self._point: Latents | None = None
        self._optimizer: torch.optim.Adam | None = None

    @property
    def stage(self) -> str:
        """What the next step belongs to; at the end, what the last one did."""
        s = self.settings
        return STAGES[(self.done >= s.candidates) + (self.done >= s.candidates + s.material)]

    def latents(self) -> Latents:
        """The state now: after the first step, whole and usable at any time."""
        if self._point is None:
            raise StyleGAN2Error("The projection has not begun; make a step first.")
        p = self._point
        inputs = replace(
            p.inputs,
            input_map=None if p.inputs.input_map is None else p.inputs.input_map.detach().clone(),
            noise=tuple(n.detach().clone() for n in p.inputs.noise),
        )
        offsets = {name: offset.detach().clone() for name, offset in p.offsets.items()}
        return Latents(ws=self._all_ws(p.ws).detach().clone(), inputs=inputs, offsets=offsets)

    @torch.no_grad()
    def picture(self) -> Tensor:
        """The picture of the state now, [1, 3, H, W]."""
        assert self._point is not None
        return self._picture(self._point.inputs)

    def step(self) -> dict[str, float]:
        """One candidate or one step of a stage. Returns {"loss": what that stage made smaller}.

        Raises  StyleGAN2Error if the loss is no longer finite; the state is the one before the step
        """
        s, stage = self.settings, self.stage
        if stage == "search":
            loss = self._consider(self.done)
        elif stage == "material":
            loss = self._find_material((self.done - s.candidates) / s.material)
        else:
            loss = self._find_arrangement((self.done - s.candidates - s.material) / s.arrangement)
        self.done += 1
        if self.done in (s.candidates, s.candidates + s.material):
            self._optimizer = None  # the next stage has unknowns of its own
        return {"loss": loss}

    # The stages

    @torch.no_grad()
    def _consider(self, number: int) -> float:
        """Keep candidate `number` if it is the best so far."""
        config = self.generator.config
        seed = (self.settings.seed * self.settings.candidates + number) % SEED_LIMIT
        ws = self.generator.map(z_from_seed(seed, config.z_dim)[None].to(self.device), labels=self._labels)
        inputs = draw_inputs(config, [seed], self.grid).to(self.device)
        image = self._cut(self.generator.synthesize(ws, inputs, tile=self.tile))
        loss = float(self._material_loss(image))
        if loss < self._best or self._point is None:
            self._best, self._point = loss, Latents(ws=ws, inputs=inputs)
        return self._best

    def _find_material(self, t: float) -> float:
        if self._optimizer is None:
            self._begin_material()
        rate = self.settings.rate * ramp(t)
        drawn = sample_inputs(self.generator.config, 1, self.grid, generator=self._rng).to(self.device)
        return self._descend(self._material_loss(self._picture(drawn)), (rate, rate / 2))

    def _begin_material(self) -> None:
        p, space = self._point, self.settings.space
        assert p is not None
        ws = (p.ws[:, :1] if space == "w" else p.ws).clone().requires_grad_()
        offsets = {}
        if space == "style":
            layers = self.generator.layers()
            offsets = {
                f"synthesis.{layer.name}.affine.bias": torch.zeros(layer.c_in, device=self.device, requires_grad=True)
                for layer in layers
            }
        self._point = replace(p, ws=ws, offsets=offsets)
        self._optimizer = _adam([ws], list(offsets.values()))

    def _find_arrangement(self, t: float) -> float:
        if self._optimizer is None:
            self._begin_arrangement()
        assert self._point is not None
        s, inputs = self.settings, self._point.inputs
        image = self._picture(inputs)
        loss = pixel_loss(pyramid(image), self._pyramid) + s.gaussian * whiteness_loss(inputs.noise)
        late = s.late_rate * ramp(t)
        value = self._descend(loss + s.gamut * range_loss(image), (late, late / 2, s.inputs_rate * ramp(t)))
        with torch.no_grad():
            normalise(inputs)
        return value

    def _begin_arrangement(self) -> None:
        if self.settings.material == 0:
            self._begin_material()
        p = self._point
        assert p is not None
        input_map = p.inputs.input_map
        noise = tuple(n.clone().requires_grad_() for n in p.inputs.noise)
        if input_map is not None:
            input_map = input_map.clone().requires_grad_()
        self._point = replace(p, inputs=replace(p.inputs, input_map=input_map, noise=noise))
        maps = [*noise] if input_map is None else [input_map, *noise]
        self._optimizer = _adam([p.ws], list(p.offsets.values()), maps)

    # Inside

    def _descend(self, loss: Tensor, rates: tuple[float, ...]) -> float:
        assert self._optimizer is not None
        if not torch.isfinite(loss):
            raise StyleGAN2Error("The projection diverged; try another seed, another space or a smaller rate.")
        for group, rate in zip(self._optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._optimizer.step()
        return loss.item()

    def _material_loss(self, image: Tensor) -> Tensor:
        s = self.settings
        loss = s.patches * self._patches.loss(image) + s.gamut * range_loss(image)
        if self._likeness is not None:
            loss = loss + s.likeness * self._likeness(image)
        if self.generator.config.input_map == 0:
            loss = loss + pixel_loss(pyramid(image), self._pyramid)  # w alone says where things lie
        return loss

    def _picture(self, inputs: SynthesisInputs) -> Tensor:
        p = self._point
        assert p is not None
        changed = {name: self.generator.get_parameter(name) + offset for name, offset in p.offsets.items()}
        return self._cut(functional_call(self.generator, changed, (self._all_ws(p.ws), inputs), {"tile": self.tile}))

    def _all_ws(self, ws: Tensor) -> Tensor:
        return ws.expand(-1, self.generator.num_ws, -1)

    def _cut(self, image: Tensor) -> Tensor:
        return image[..., : self.target.shape[2], : self.target.shape[3]]


def _adam(*groups: list[Tensor]) -> torch.optim.Adam:
    """Rates are set at each step. An empty group is allowed."""
    return torch.optim.Adam([{"params": group} for group in groups], betas=(0.9, 0.99))


def ramp(t: float) -> float:
    """The learning rate's share at t in [0, 1) of a stage. Source: Karras et al. 2020, appendix D."""
    down = min(1.0, (1 - t) / RAMP_DOWN)
    return (0.5 - 0.5 * math.cos(math.pi * down)) * min(1.0, (t + 1e-3) / RAMP_UP)


@torch.no_grad()
def normalise(inputs: SynthesisInputs) -> None:
    """Bring every noise map back to mean 0 and variance 1, and the input map to mean square 1, in place."""
    for noise in inputs.noise:
        noise -= noise.mean()
        noise *= noise.square().mean().clamp_min(1e-8).rsqrt()
    if inputs.input_map is not None:
        inputs.input_map.mul_(inputs.input_map.square().mean().clamp_min(1e-8).rsqrt())
