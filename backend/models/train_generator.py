"""The recipe of the built-in texture generator: `latent-loom train generator`.

A small StyleGAN2, circular in both axes, whose "constant" is one vector plus a random map, so that it has no places and
grows to any size without repeating. It learns the unweathered procedural materials; conditions are left for prompts to
add. The discriminator looks through the built-in CLIP's frozen token maps.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...stylegan2.checkpoints import save_generator
from ...stylegan2.config import GeneratorConfig
from ...stylegan2.networks import Generator
from ...stylegan2.training.discriminator import Discriminator
from ...stylegan2.training.processes import ALONE, Processes
from ...stylegan2.training.trainer import GanTrainer, GanTraining
from ..adaptation.clip import Clip, load_clip
from ..errors import BadRequest
from ..job import Job
from .gan_run import Batches, GanRun
from .procedural.captions import FAMILY_NAMES
from .procedural.stream import MaterialBank

ARCHITECTURE = GeneratorConfig(
    z_dim=64,
    w_dim=64,
    resolution=64,
    channels=(96, 96, 80, 48, 24),
    mapping_layers=4,
    input_map=1.0,
    const_size=1,
    tile="xy",
)


@dataclass(frozen=True, kw_only=True)
class GeneratorTraining:
    """bank, refresh   pictures kept, and how many are made anew for each batch
    tinted          share of pictures in a named colour
    save_every      images between checkpoints, each with a sample sheet and the weights so far
    gan             the optimisation. images, batch: real pictures in all, and in a step; average_images: half-life of
                    the averaged weights, which are the result; range_weight: of the loss against values beyond [-1, 1]
    """

    gan: GanTraining = field(default_factory=GanTraining)
    bank: int = 6144
    refresh: int = 2
    tinted: float = 0.0
    save_every: int = 4_000

    def __post_init__(self) -> None:
        if min(self.bank, self.save_every) < 1 or self.refresh < 0 or not 0 <= self.tinted <= 1:
            raise BadRequest(
                "Give a bank and save_every of at least 1, a refresh of at least 0, and tinted from 0 to 1."
            )


class TokenMaps:
    """The token maps of every layer of a CLIP's vision transformer, as [N, C, h, w], differentiable in the pixels."""

    def __init__(self, clip: Clip) -> None:
        self._clip = clip
        self._blocks = clip.model.visual.transformer.resblocks

    @property
    def channels(self) -> list[int]:
        return [self._clip.model.visual.conv1.out_channels] * len(self._blocks)

    def __call__(self, images: Tensor) -> Sequence[Tensor]:
        found: list[Tensor] = []
        # The CLIP is shared with whoever else loads it, so nothing of ours stays hooked to it.
        with contextlib.ExitStack() as hooks:
            for block in self._blocks:
                hooks.enter_context(block.register_forward_hook(lambda _block, _inputs, tokens: found.append(tokens)))
            self._clip.embed_images(images)
        return [self._as_map(tokens) for tokens in found]

    @staticmethod
    def _as_map(tokens: Tensor) -> Tensor:
        n, count, channels = tokens.shape
        side = round((count - 1) ** 0.5)
        return tokens[:, 1:].transpose(1, 2).reshape(n, channels, side, side)


def material_batches(settings: GeneratorTraining, size: int, *, start: int, rank: int, count: int) -> Batches:
    """Endless batches of unweathered materials from a step on, one process's share: [n, 3, size, size] in [-1, 1].

    With them their families [n, 17], one-hot, where the generator has classes.
    """
    bank = MaterialBank(
        size=size,
        capacity=settings.bank,
        refresh=settings.refresh,
        seed=settings.gan.seed + 10 + 1000 * rank,
        weathered=0.0,
        tinted=settings.tinted,
        start=start,
    )
    while True:
        pictures, attributes = bank.batch(settings.gan.batch // count)
        families = torch.eye(len(FAMILY_NAMES))[[a.family for a in attributes]]
        yield pictures, families if ARCHITECTURE.c_dim else None


def train_generator(
    settings: GeneratorTraining,
    out: Path,
    work: Path,
    job: Job | None = None,
    *,
    device: str = "cpu",
    processes: Processes = ALONE,
) -> dict[str, Any]:
    """Train the built-in generator into the file `out`; checkpoint and sheets go to `work`. Returns its card.

    A checkpoint found in `work` is continued.
    """
    for folder in (out.parent, work):  # now, and not when an hour of training is to be saved
        folder.mkdir(parents=True, exist_ok=True)
    maps = TokenMaps(load_clip("builtin", device))
    torch.manual_seed(settings.gan.seed)  # here: whether the CLIP was loaded before must not decide the first weights
    generator = Generator(ARCHITECTURE).to(device)
    discriminator = Discriminator(maps, maps.channels, classes=ARCHITECTURE.c_dim).to(device)
    trainer = GanTrainer(generator, discriminator, settings.gan, processes=processes)
    run = GanRun(
        work=work,
        keep=lambda generator: save_generator(generator, out, metadata={"licence": "CC0-1.0"}),
        kept_as=str(out),
        save_every=settings.save_every,
        columns=ARCHITECTURE.c_dim or 10,
    )

    def batches(start: int) -> Batches:
        share = {"start": start, "rank": processes.rank, "count": processes.count}
        return material_batches(settings, ARCHITECTURE.resolution, **share)

    run.train(trainer, batches, job or Job())
    return {
        "settings": asdict(settings),
        "architecture": asdict(ARCHITECTURE),
        "images": trainer.steps_done * settings.gan.batch,
    }
