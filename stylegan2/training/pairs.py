"""Training on pairs: every latent has a picture that the generator should make of it.

Where the data are drawn by a program, the program can be asked what belongs to a latent and to the noise beside it. No
discriminator then has to find out what pictures look like: each made picture is compared with its own model.

What a place looks like is compared only where a generator can know it (colours, courses, joints); of grain and
scratches it is the distribution that counts, by sliced Wasserstein distances (`paired_loss`). With a pixel loss alone a
generator learns to ignore its noise, since grain in the wrong place costs more than none.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import ConfigError
from ..inputs import SynthesisInputs
from ..networks import Generator
from .averaging import finished, follow
from .discriminator import FeatureMaps, Seen, range_loss
from .loop import Training
from .paired import LEVELS, Projections, draw_projections, paired_loss
from .processes import ALONE, Processes
from .recorded import Losses, Recorded
from .state import read_state, save_state, step_rng

LAYOUT = 8
"""Pixels of the squares in which colours are compared."""
SPREAD_WEIGHT = 0.3
"""Of the loss that keeps each number of w near zero mean and unit variance while the mapping learns."""
MAPPING_PACE = 0.1
"""The mapping's learning rate beside the others', once it has had its lessons."""
BETAS = (0.9, 0.99)
PARTS = ("colour", "pixel", "map", "texture", "range", "lesson")
LESSON_BATCH = 512
LESSON_RATE = 1e-2
BRIEF_BATCH = 256


class Pairs(NamedTuple):
    """z [N, z_dim], the inputs of each, and what belongs to them: pictures [N, 3, R, R] in [-1, 1]."""

    z: Tensor
    inputs: SynthesisInputs
    pictures: Tensor


Lesson = Callable[[Tensor, bool], Tensor]
"""Latents [N, z_dim], thorough -> numbers [N, K] that w should tell linearly. A brief lesson has the first of them."""


@dataclass(frozen=True, kw_only=True)
class PairTraining(Training):
    """images counts the pairs; the learning rate, of Adam, falls to a fiftieth over the second half

    small              images that are made at half the size first, which takes half the time
    lessons            steps of LESSON_BATCH latents in which the mapping learns alone what its latents mean
    colour_weight      of the difference of colours, square by square
    pixel_weight       of the difference of pixels
    map_weight         of the difference of frozen features, place by place
    texture_weight     of the distance of distributions of features and of patches of pixels
    range_weight       of the loss that keeps pictures within [-1, 1]
    lesson_weight      of what the mapping has to go on telling
    """

    images: int = 66_000
    batch: int = 8
    learning_rate: float = 8e-3
    average_images: float = 4_000
    small: int = 40_000
    lessons: int = 1500
    colour_weight: float = 1.0
    pixel_weight: float = 0.3
    map_weight: float = 0.3
    texture_weight: float = 0.5
    range_weight: float = 1.0
    lesson_weight: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.small, self.lessons) < 0:
            raise ConfigError("Give small and lessons of at least 0.")


class _Course(NamedTuple):
    """What decides which operations a step consists of: half the size, a close view for the features."""

    small: bool
    close: bool


class PairTrainer:
    """One generator, one average; `step` by `step`. Trains where the generator is.

    features  frozen feature maps of pictures of `features_size` pixels
    lesson    what w should tell of a latent
    """

    def __init__(
        self,
        generator: Generator,
        features: FeatureMaps,
        settings: PairTraining,
        *,
        features_size: int,
        lesson: Lesson,
        processes: Processes = ALONE,
    ) -> None:
        if settings.batch % processes.count:
            raise ConfigError(f"Give a batch that {processes.count} processes can share evenly, not {settings.batch}.")
        self.settings, self.processes, self.generator = settings, processes, generator
        self.batch = settings.batch // processes.count
        self._features, self._features_size, self._lesson = features, features_size, lesson
        self._device = device = generator.mapping.w_avg.device
        count = lesson(torch.zeros(1, generator.config.z_dim, device=device), True).shape[1]
        self._readout = nn.Linear(generator.config.w_dim, count).to(device)
        self.average = copy.deepcopy(generator).requires_grad_(False)
        mapping = [*generator.mapping.parameters(), *self._readout.parameters()]
        groups = [{"params": list(generator.synthesis.parameters())}, {"params": mapping}]
        self._optimizer = self._adam(groups, settings.learning_rate)
        with torch.no_grad():
            maps, _ = features(torch.zeros(1, 3, features_size, features_size, device=device))
        self._channels = [each.shape[1] for each in maps]
        alone = processes.count == 1
        self._recorded = Recorded(self._updated, device if alone else torch.device("cpu"))
        self.steps_done = 0

    def _adam(self, groups: Any, rate: float) -> torch.optim.Adam:
        """On a GPU its rates are tensors there, so that a recorded step obeys them."""
        if self._device.type != "cuda":
            return torch.optim.Adam(groups, lr=rate, betas=BETAS)
        groups = [group | {"lr": torch.tensor(rate, device=self._device)} for group in groups]
        return torch.optim.Adam(groups, betas=BETAS, capturable=True)

    @property
    def _small(self) -> bool:
        return self.steps_done * self.settings.batch < self.settings.small

    def step(self, z: Tensor, inputs: SynthesisInputs, pictures: Tensor) -> Mapping[str, float]:
        """One update on pairs (see `Pairs`); returns the losses."""
        rng = step_rng(self.settings.seed, self.steps_done, self.processes.rank)
        for group, pace in zip(self._optimizer.param_groups, (1.0, MAPPING_PACE), strict=True):
            _set_rate(group, self._rate() * pace)
        course = _Course(small=self._small, close=bool(torch.rand((), generator=rng) < 0.5))
        numbers = self._recorded(course, self._drawn(z, inputs, pictures, rng))
        self.steps_done += 1
        seen = self.steps_done * self.settings.batch
        follow(
            self.average,
            self.generator,
            batch=self.settings.batch,
            seen=seen,
            half_life=self.settings.average_images,
        )
        return Losses(("g_loss", *PARTS), numbers)

    def _drawn(self, z: Tensor, inputs: SynthesisInputs, pictures: Tensor, rng: torch.Generator) -> list[Tensor]:
        """All that a step depends on beside the weights, as `_updated` takes it apart."""
        assert inputs.input_map is not None
        shift = torch.randint(pictures.shape[-1], (2,), generator=rng)
        lesson_z = torch.randn(BRIEF_BATCH, z.shape[1], generator=rng).to(self._device)
        with torch.no_grad():
            told = self._lesson(lesson_z, False)
        projections = draw_projections(self._channels, rng)
        drawn = [z, pictures, shift, lesson_z, told, *projections.maps, *projections.levels]
        return [tensor.to(self._device) for tensor in (*drawn, inputs.input_map, *inputs.noise)]

    def _updated(self, course: Hashable, drawn: Sequence[Tensor]) -> Tensor:
        """Update the weights; the losses [1 + parts]. Nothing in here waits for the device, nor is random."""
        assert isinstance(course, _Course)
        z, pictures, shift, lesson_z, told, *rest = drawn
        maps, levels, rest = rest[: (c := len(self._channels))], rest[c : c + LEVELS], rest[c + LEVELS :]
        inputs, config = SynthesisInputs(input_map=rest[0], noise=tuple(rest[1:])), self.generator.config
        ws = self.generator.mapping(z)[:, None].expand(-1, config.num_ws, -1)
        if course.small:
            made = self.generator.synthesis(ws, inputs, stop=config.blocks - 1).image
            pictures = F.avg_pool2d(pictures, 2)
        else:
            made = self.generator.synthesize(ws, inputs)
        assert made is not None
        near, wanted = (self._for_features(images, course.close, shift) for images in (made, pictures))
        parts = self._losses(made, pictures, near, wanted, Projections(tuple(maps), tuple(levels)))
        parts["lesson"] = self._lesson_loss(lesson_z, told)
        loss = torch.stack([getattr(self.settings, f"{name}_weight") * parts[name] for name in PARTS]).sum()
        self._update(self._optimizer, loss)
        return torch.stack([loss, *(parts[name] for name in PARTS)]).detach()

    def _losses(
        self, made: Tensor, model: Tensor, near: Tensor, wanted: Tensor, projections: Projections
    ) -> dict[str, Tensor]:
        """Of pictures beside their models, [N, 3, S, S], and of what the features see of both."""
        maps, _ = self._features(near)
        with torch.no_grad():
            model_maps, _ = self._features(wanted)
        places = [
            ((a - b).square().mean((0, 2, 3)) / (b.var((0, 2, 3)) + 1e-4)).mean()
            for a, b in zip(maps, model_maps, strict=True)
        ]
        return {
            "colour": (F.avg_pool2d(made, LAYOUT) - F.avg_pool2d(model, LAYOUT)).abs().mean(),
            "pixel": (made - model).abs().mean(),
            "map": torch.stack(places).mean(),
            "texture": paired_loss(Seen(maps, near), Seen(model_maps, wanted), projections),
            "range": range_loss(made),
        }

    def _for_features(self, images: Tensor, close: bool, shift: Tensor) -> Tensor:
        """At the features' size: the whole, made smaller, or a close view, the window at `shift` [2]."""
        size, side = images.shape[-1], self._features_size
        if size <= side:
            return images
        if not close:
            return F.avg_pool2d(images, size // side)
        line = torch.arange(side, device=images.device)
        rows, columns = ((line + shift[axis]) % size for axis in (0, 1))
        return images.index_select(2, rows).index_select(3, columns)

    def have_lessons(self, after_each: Callable[[int], None]) -> None:
        """Teach the mapping alone what its latents mean, before the first step: a generator takes thousands of pictures
        to find that out. after_each is given the lessons done, and may raise to stop.
        """
        mapping, count = [*self.generator.mapping.parameters(), *self._readout.parameters()], self.settings.lessons
        optimizer = torch.optim.Adam(mapping, betas=BETAS)
        for done in range(count):
            rng = step_rng(self.settings.seed + 1, done, self.processes.rank)
            optimizer.param_groups[0]["lr"] = LESSON_RATE * min(1.0, 2 * (1 - done / count) + 0.02)
            z = torch.randn(LESSON_BATCH, self.generator.config.z_dim, generator=rng).to(self._device)
            with torch.no_grad():
                told = self._lesson(z, True)
            self._update(optimizer, self._lesson_loss(z, told))
            after_each(done + 1)
        self.average.mapping.load_state_dict(self.generator.mapping.state_dict())

    def _lesson_loss(self, z: Tensor, numbers: Tensor) -> Tensor:
        """How badly w tells the numbers [N, K] of latents z [N, z_dim]: all of them, or the first."""
        w = self.generator.mapping(z)
        told = self._readout(w)[:, : numbers.shape[1]]
        spread = w.mean(0).square().mean() + (w.std(0) - 1).square().mean()
        return (told - numbers).square().sum(1).mean() + SPREAD_WEIGHT * spread

    def _rate(self) -> float:
        """The learning rate: risen within a hundred steps, fallen to a fiftieth over the second half."""
        left = 1 - self.steps_done / self.settings.steps
        return self.settings.learning_rate * min(1.0, (self.steps_done + 1) / 100, max(0.02, 2 * left))

    def _update(self, optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.processes.average_gradients([*self.generator.parameters(), *self._readout.parameters()])
        nn.utils.clip_grad_norm_(self.generator.parameters(), 5.0)
        optimizer.step()

    def finished(self) -> Generator:
        """The averaged generator with its mean latent, ready to be saved."""
        return finished(self.average)

    def save(self, path: Path) -> None:
        """Write a checkpoint, whole or not at all."""
        save_state(
            {
                "generator": self.generator.state_dict(),
                "average": self.average.state_dict(),
                "readout": self._readout.state_dict(),
                "optimizer": self._optimizer.state_dict(),
                "steps_done": self.steps_done,
            },
            path,
        )

    def resume(self, path: Path) -> None:
        """Continue from a checkpoint of the same settings; what follows is what would have followed.

        Raises  CheckpointError for a damaged file, and one of other settings
        """
        with read_state(path) as state:
            self.generator.load_state_dict(state["generator"])
            self.average.load_state_dict(state["average"])
            self._readout.load_state_dict(state["readout"])
            saved = state["optimizer"]["param_groups"]
            for own, other in zip(self._optimizer.param_groups, saved, strict=True):
                other |= {name: own[name] for name in ("lr", "capturable")}  # those of this device
            self._optimizer.load_state_dict(state["optimizer"])
        self.steps_done = state["steps_done"]


def _set_rate(group: dict[str, Any], rate: float) -> None:
    if isinstance(group["lr"], Tensor):
        group["lr"].fill_(rate)
    else:
        group["lr"] = rate
