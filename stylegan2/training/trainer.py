"""Adversarial training of a generator, with an exponential average, checkpoints and resumption.

It knows nothing of where the pictures or the discriminator's features come from: both are handed in.
"""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import CheckpointError, ConfigError
from ..inputs import draw_inputs, sample_inputs
from ..latents import z_from_seed, z_of_kind
from ..networks import Generator
from .augment import Augmentation
from .discriminator import Discriminator, Seen, discriminator_loss, generator_loss, range_loss
from .paired import paired_loss
from .processes import ALONE, Processes


@dataclass(frozen=True, kw_only=True)
class GanTraining:
    """images, batch         how many real pictures in all, and in a step (of all processes together)
    learning_rate, betas  of both Adams; they hold for a resumed training too
    pace                  factor on the generator's learning rate: above 1 where the discriminator sees through it
    average_images        half-life of the averaged generator, in images
    range_weight          of the loss that keeps pictures within [-1, 1]
    guide_weight          of the loss by which a guide, where there is one, tells the generator what to make
    pair_weight           of the loss between a picture and its model, where latents are taken from models
    models                share of the pictures that have a model, where latents are taken from models; the others are
                          random
    adversarial_weight    of the generator's adversarial loss beside those; 0 = no discriminator, for a quick beginning
    closeups              share of the steps in which the features see a quarter of each picture, in full detail
    """

    images: int = 60_000
    batch: int = 16
    learning_rate: float = 2e-3
    betas: tuple[float, float] = (0.0, 0.99)
    pace: float = 1.0
    average_images: float = 5_000
    range_weight: float = 10.0
    guide_weight: float = 1.0
    pair_weight: float = 20.0
    models: float = 0.5
    adversarial_weight: float = 1.0
    closeups: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.images, self.batch) < 1 or not min(self.learning_rate, self.pace, self.average_images) > 0:
            raise ConfigError("Give at least 1 image and a batch of 1, and a learning rate, pace and average above 0.")
        if not min(self.range_weight, self.guide_weight, self.pair_weight, self.adversarial_weight) >= 0:
            raise ConfigError("Give weights of losses of at least 0.")
        if not 0 < self.models <= 1:
            raise ConfigError("Give a share of models above 0 and up to 1.")

    @property
    def steps(self) -> int:
        return -(-self.images // self.batch)


class GanTrainer:
    """One generator, one discriminator, one average; `step` by `step`. Trains where the generator is.

    average       the generator to keep: an exponential average of the trained one's weights
    augmentation  what both kinds of pictures go through before they are judged; None = nothing
    guide         embeddings [batch, E] of the generator's pictures, their labels -> a loss; None = no guide
    latents       what was seen of real pictures, their kinds [batch] -> their latents [batch, z_dim]: each picture that
                  is made then has a model to be like (`paired_loss`); None = latents are random
    processes     those that share every batch; each has networks of the same weights
    """

    def __init__(
        self,
        generator: Generator,
        discriminator: Discriminator,
        settings: GanTraining,
        *,
        augmentation: Augmentation | None = None,
        guide: Callable[[Tensor, Tensor], Tensor] | None = None,
        latents: Callable[[Seen, Tensor, torch.Generator], Tensor] | None = None,
        processes: Processes = ALONE,
    ) -> None:
        if settings.batch % processes.count:
            raise ConfigError(f"Give a batch that {processes.count} processes can share evenly, not {settings.batch}.")
        self.settings, self.augmentation, self.processes = settings, augmentation, processes
        self.guide, self.latents = guide, latents
        self.batch = settings.batch // processes.count
        self.generator, self.discriminator = generator, discriminator
        self.average = copy.deepcopy(generator).requires_grad_(False)
        rate, betas = settings.learning_rate, settings.betas
        self._g_optimizer = torch.optim.Adam(generator.parameters(), lr=rate * settings.pace, betas=betas)
        self._d_optimizer = torch.optim.Adam(discriminator.parameters(), lr=rate, betas=betas)
        self.steps_done = 0
        self.rng = step_rng(settings.seed, 0, processes.rank)

    def fakes(self, labels: Tensor | None, z: Tensor | None = None) -> Tensor:
        """A batch of the generator's pictures, with gradient: [batch, 3, R, R].

        Where latents fall into kinds, each is of the kind that its label says. z [batch, z_dim]: other than random ones
        """
        config, device = self.generator.config, self.generator.mapping.w_avg.device
        if z is None:
            z = torch.randn(self.batch, config.z_dim, generator=self.rng).to(device)
        inputs = sample_inputs(config, self.batch, generator=self.rng).to(device)
        if labels is not None and config.kinds:
            z, labels = z_of_kind(z, labels.argmax(1), config.kinds), None
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
            z = self._latents_of(real, seen_real if window is None else None, labels)
        fake = self.fakes(labels, z)
        # Periodic pictures may be rolled, so that the features' patch grid is no place that the generator can learn.
        shift = torch.randint(size, (2,), generator=self.rng).tolist()
        seen = d.look(self._augmented(fake.roll(shift, (2, 3))), window)
        losses, g_loss = {}, self.settings.range_weight * range_loss(fake)
        if self.settings.adversarial_weight:
            losses = self._update_discriminator(seen_real, seen, labels)
            d.requires_grad_(False)
            g_loss = g_loss + self.settings.adversarial_weight * generator_loss(d.score(seen, labels))
        if self.guide is not None and seen.embedding is not None and labels is not None:
            g_loss = g_loss + self.settings.guide_weight * self.guide(seen.embedding, labels)
        if z is not None:
            n = self._with_models
            g_loss = g_loss + self.settings.pair_weight * paired_loss(seen.first(n), seen_real.first(n), self.rng)
        self._g_optimizer.zero_grad(set_to_none=True)
        g_loss.backward()
        d.requires_grad_(True)
        self.processes.average_gradients(self.generator.parameters())
        self._g_optimizer.step()
        self.steps_done += 1
        self._update_average()
        return {"g_loss": g_loss.item()} | losses

    def _latents_of(self, real: Tensor, seen: Seen | None, labels: Tensor | None) -> Tensor | None:
        """The latents of whole pictures, also where only a close-up of them was looked at; random ones for the rest."""
        if self.latents is None or labels is None:
            return None
        n, kinds = self._with_models, labels.argmax(1)
        seen = self.discriminator.look(real[:n]) if seen is None else seen.first(n)
        z = torch.randn(len(real), self.generator.config.z_dim, generator=self.rng).to(real.device)
        return torch.cat([self.latents(seen, kinds[:n], self.rng), z[n:]])

    @property
    def _with_models(self) -> int:
        """How many of a batch's pictures have a model."""
        return max(1, round(self.batch * self.settings.models))

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

    @torch.no_grad()
    def _update_average(self) -> None:
        seen = self.steps_done * self.settings.batch
        half_life = min(self.settings.average_images, 0.05 * seen + 1)
        keep = 0.5 ** (self.settings.batch / half_life)
        for mean, now in zip(self.average.parameters(), self.generator.parameters(), strict=True):
            mean.lerp_(now, 1 - keep)

    @torch.no_grad()
    def finished(self) -> Generator:
        """The averaged generator with its mean latent, ready to be saved."""
        generator = copy.deepcopy(self.average).eval()
        z = torch.randn(10_000, generator.config.z_dim, generator=torch.Generator().manual_seed(0))
        w_avg = generator.mapping.w_avg
        c_dim = generator.config.c_dim
        labels = torch.eye(c_dim)[torch.arange(len(z)) % c_dim].to(w_avg) if c_dim else None
        w_avg.copy_(generator.mapping(z.to(w_avg), labels).mean(0))
        return generator

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
        partial = path.with_suffix(".partial")
        torch.save(self.state(), partial)
        partial.replace(path)

    def grow_from(self, path: Path) -> None:
        """Begin with the weights in a checkpoint of half the size. What it lacks is new, and adds no colour yet.

        Raises  CheckpointError for a damaged file
        Source  Karras et al. 2018, section 2 (progressive growing), without the fading
        """
        try:
            state = torch.load(path, weights_only=True, map_location="cpu")
            _load_fitting(self.generator, state["average"])
            _load_fitting(self.discriminator, state["discriminator"])
        except (RuntimeError, KeyError, ValueError, EOFError, pickle.UnpicklingError) as error:
            raise CheckpointError(f"The checkpoint {path.name!r} is damaged; train its size anew.") from error
        finest = self.generator.synthesis.block(self.generator.config.blocks - 1)
        torch.nn.init.zeros_(finest.torgb.weight)
        self.average.load_state_dict(self.generator.state_dict())

    def resume(self, path: Path) -> None:
        """Continue from a checkpoint of the same settings; what follows is what would have followed.

        All randomness is a function of the seed and the step (`step_rng`); the caller's data have to be one too.
        Raises  CheckpointError for a damaged file, and one of other settings
        """
        try:
            state = torch.load(path, weights_only=True, map_location="cpu")
            self.generator.load_state_dict(state["generator"])
            self.average.load_state_dict(state["average"])
            self.discriminator.load_state_dict(state["discriminator"])
            for optimizer, name in ((self._g_optimizer, "g_optimizer"), (self._d_optimizer, "d_optimizer")):
                rate = optimizer.param_groups[0]["lr"]
                optimizer.load_state_dict(state[name])
                optimizer.param_groups[0]["lr"] = rate
        except (RuntimeError, KeyError, ValueError, EOFError, pickle.UnpicklingError) as error:
            raise CheckpointError(
                f"The checkpoint {path.name!r} is damaged or was made with other settings; train with the settings "
                "that it was made with, or begin anew elsewhere."
            ) from error
        if self.augmentation is not None and state.get("augmentation"):
            self.augmentation.p, self.augmentation.certainty = state["augmentation"]
        self.steps_done = state["steps_done"]


def _load_fitting(module: torch.nn.Module, state: dict[str, Tensor]) -> None:
    """Load the tensors that have a place of their name and shape."""
    own = module.state_dict()
    module.load_state_dict(own | {k: v for k, v in state.items() if k in own and v.shape == own[k].shape})


def step_rng(seed: int, step: int, rank: int = 0) -> torch.Generator:
    """The random numbers of one step in one process: nothing to keep, so a resumed run has those of an unbroken one."""
    state = np.random.SeedSequence([seed, step, rank]).generate_state(1)[0]
    return torch.Generator().manual_seed(int(state))


def train(
    trainer: GanTrainer,
    batches: Iterator[tuple[Tensor, Tensor | None]],
    *,
    after_step: Callable[[GanTrainer, dict[str, float]], None],
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
