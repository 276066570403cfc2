"""What every training of a generator has in common: step by step to the end, and a sheet to watch it by."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from ..errors import ConfigError
from ..inputs import draw_inputs
from ..latents import z_from_seed, z_of_kind
from ..networks import Generator
from .processes import Processes


@dataclass(frozen=True, kw_only=True)
class Training:
    """images, batch   how many images in all, and in a step (of all processes together)
    average_images  half-life of the averaged generator, in images
    """

    images: int
    batch: int = 16
    learning_rate: float = 2e-3
    average_images: float = 5_000
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.images, self.batch) < 1 or not min(self.learning_rate, self.average_images) > 0:
            raise ConfigError("Give at least 1 image and a batch of 1, and a learning rate and average above 0.")

    @property
    def steps(self) -> int:
        return -(-self.images // self.batch)


class Trainer(Protocol):
    """`GanTrainer` or `PairTrainer`: what `step` takes is what its batches hold."""

    generator: Generator
    average: Generator
    processes: Processes
    steps_done: int

    @property
    def settings(self) -> Training: ...

    @property
    def step(self) -> Callable[..., Mapping[str, float]]: ...

    def finished(self) -> Generator: ...

    def save(self, path: Path) -> None: ...

    def resume(self, path: Path) -> None: ...


def train(
    trainer: Trainer,
    batches: Iterator[tuple[Any, ...]],
    *,
    after_step: Callable[[Trainer, Mapping[str, float]], None],
) -> Generator:
    """Run until the settings' number of images; `after_step` saves, draws, reports, or raises to stop."""
    while trainer.steps_done < trainer.settings.steps:
        after_step(trainer, trainer.step(*next(batches)))
    return trainer.finished()


@torch.no_grad()
def sample_sheet(generator: Generator, seeds: Sequence[int]) -> Tensor:
    """The pictures of some seeds, [len(seeds), 3, R, R]: of the same latents at every call, to watch training by.

    Classes take turns, and so do the kinds of latents where there are some.
    """
    device, c_dim, kinds = generator.mapping.w_avg.device, generator.config.c_dim, generator.config.kinds
    labels = torch.eye(c_dim)[torch.tensor(seeds) % c_dim].to(device) if c_dim else None
    z = torch.stack([z_from_seed(seed, generator.config.z_dim) for seed in seeds]).to(device)
    if kinds:
        z = z_of_kind(z, torch.tensor(seeds, device=device) % kinds, kinds)
    return generator.synthesize(generator.map(z, labels=labels), draw_inputs(generator.config, seeds).to(device))
