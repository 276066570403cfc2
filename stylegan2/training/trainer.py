"""Adversarial training of a generator, with an exponential average, checkpoints and resumption.

It knows nothing of where the pictures or the discriminator's features come from: both are handed in.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..errors import ConfigError
from ..inputs import sample_inputs
from ..networks import Generator
from .augment import Augmentation
from .averaging import finished, follow
from .discriminator import Discriminator, Seen, discriminator_loss, generator_loss, range_loss
from .loop import Training
from .processes import ALONE, Processes
from .state import read_state, save_state, step_rng


@dataclass(frozen=True, kw_only=True)
class GanTraining(Training):
    """images counts the real pictures

    learning_rate, betas  of both Adams; they hold for a resumed training too
    pace                  factor on the generator's learning rate: above 1 where the discriminator sees through it
    range_weight          of the loss that keeps pictures within [-1, 1]
    closeups              share of the steps in which the features see a quarter of each picture, in full detail
    """

    images: int = 60_000
    betas: tuple[float, float] = (0.0, 0.99)
    pace: float = 1.0
    range_weight: float = 10.0
    closeups: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.pace > 0 or not self.range_weight >= 0:
            raise ConfigError("Give a pace above 0 and a range_weight of at least 0.")


class GanTrainer:
    """One generator, one discriminator, one average; `step` by `step`. Trains where the generator is.

    average       the generator to keep: an exponential average of the trained one's weights
    augmentation  what both kinds of pictures go through before they are judged; None = nothing
    processes     those that share every batch; each has networks of the same weights
    """

    def __init__(
        self,
        generator: Generator,
        discriminator: Discriminator,
        settings: GanTraining,
        *,
        augmentation: Augmentation | None = None,
        processes: Processes = ALONE,
    ) -> None:
        if settings.batch % processes.count:
            raise ConfigError(f"Give a batch that {processes.count} processes can share evenly, not {settings.batch}.")
        self.settings, self.augmentation, self.processes = settings, augmentation, processes
        self.batch = settings.batch // processes.count
        self.generator, self.discriminator = generator, discriminator
        self.average = copy.deepcopy(generator).requires_grad_(False)
        rate, betas = settings.learning_rate, settings.betas
        self._g_optimizer = torch.optim.Adam(generator.parameters(), lr=rate * settings.pace, betas=betas)
        self._d_optimizer = torch.optim.Adam(discriminator.parameters(), lr=rate, betas=betas)
        self.steps_done = 0
        self.rng = step_rng(settings.seed, 0, processes.rank)

    def fakes(self, labels: Tensor | None) -> Tensor:
        """A batch of the generator's pictures, with gradient: [batch, 3, R, R]."""
        config, device = self.generator.config, self.generator.mapping.w_avg.device
        z = torch.randn(self.batch, config.z_dim, generator=self.rng).to(device)
        inputs = sample_inputs(config, self.batch, generator=self.rng).to(device)
        w = self.generator.mapping(z, labels)
        return self.generator.synthesize(w[:, None].expand(-1, config.num_ws, -1), inputs)

    def step(self, real: Tensor, labels: Tensor | None = None) -> dict[str, float]:
        """One update of both networks on real pictures [batch, 3, R, R] in [-1, 1]; returns the losses.

        labels  [batch, classes], one-hot, of the real pictures; the generator makes as many of each class

        The generator's pictures, and what the frozen features see in them, are computed once and serve both updates.
        """
        d, size = self.discriminator, real.shape[-1]
        self.rng = step_rng(self.settings.seed, self.steps_done, self.processes.rank)
        close = torch.rand((), generator=self.rng).item() < self.settings.closeups
        window = size // 2 if close else None
        with torch.no_grad():
            seen_real = d.look(self._augmented(real), window)
        fake = self.fakes(labels)
        # Periodic pictures may be rolled, so that the features' patch grid is no place that the generator can learn.
        shift = torch.randint(size, (2,), generator=self.rng).tolist()
        seen = d.look(self._augmented(fake.roll(shift, (2, 3))), window)
        losses = self._update_discriminator(seen_real, seen, labels)
        d.requires_grad_(False)
        g_loss = generator_loss(d.score(seen, labels)) + self.settings.range_weight * range_loss(fake)
        self._g_optimizer.zero_grad(set_to_none=True)
        g_loss.backward()
        d.requires_grad_(True)
        self.processes.average_gradients(self.generator.parameters())
        self._g_optimizer.step()
        self.steps_done += 1
        follow(
            self.average,
            self.generator,
            batch=self.settings.batch,
            seen=self.steps_done * self.settings.batch,
            half_life=self.settings.average_images,
        )
        return {"g_loss": g_loss.item()} | losses

    def _update_discriminator(self, real: Seen, fake: Seen, labels: Tensor | None) -> dict[str, float]:
        d = self.discriminator
        real_scores = d.score(real, labels)
        d_loss = discriminator_loss(real_scores, d.score(fake.detached(), labels))
        self._d_optimizer.zero_grad(set_to_none=True)
        d_loss.backward()
        self.processes.average_gradients(d.parameters())
        self._d_optimizer.step()
        return {"d_loss": d_loss.item()} | self._follow(real_scores)

    def _augmented(self, images: Tensor) -> Tensor:
        return images if self.augmentation is None else self.augmentation(images, self.rng)

    def _follow(self, real_scores: Sequence[Tensor]) -> dict[str, float]:
        """Let the augmentation follow how certain the discriminator is of real pictures, mean over heads and places."""
        if self.augmentation is None:
            return {}
        certainty = torch.stack([score.sign().mean() for score in real_scores]).mean()
        self.augmentation.adapt(self.processes.mean(certainty), self.settings.batch)
        return {"augment_p": self.augmentation.p}

    def finished(self) -> Generator:
        """The averaged generator with its mean latent, ready to be saved."""
        return finished(self.average)

    def state(self) -> dict[str, object]:
        return {
            "generator": self.generator.state_dict(),
            "average": self.average.state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "g_optimizer": self._g_optimizer.state_dict(),
            "d_optimizer": self._d_optimizer.state_dict(),
            "augmentation": [self.augmentation.p, self.augmentation.certainty] if self.augmentation else None,
            "steps_done": self.steps_done,
        }

    def save(self, path: Path) -> None:
        """Write a checkpoint, whole or not at all."""
        save_state(self.state(), path)

    def resume(self, path: Path) -> None:
        """Continue from a checkpoint of the same settings; what follows is what would have followed.

        All randomness is a function of the seed and the step (`step_rng`); the caller's data have to be one too.
        Raises  CheckpointError for a damaged file, and one of other settings
        """
        with read_state(path) as state:
            self.generator.load_state_dict(state["generator"])
            self.average.load_state_dict(state["average"])
            self.discriminator.load_state_dict(state["discriminator"])
            for optimizer, name in ((self._g_optimizer, "g_optimizer"), (self._d_optimizer, "d_optimizer")):
                rate = optimizer.param_groups[0]["lr"]
                optimizer.load_state_dict(state[name])
                optimizer.param_groups[0]["lr"] = rate
        if self.augmentation is not None and state.get("augmentation"):
            self.augmentation.p, self.augmentation.certainty = state["augmentation"]
        self.steps_done = state["steps_done"]
