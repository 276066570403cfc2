"""The recipe of the built-in texture generator: `latent-loom train generator`.

A small StyleGAN2, circular in both axes, whose "constant" is one vector plus a random map, so that it has no places and
grows to any size without repeating. It learns the unweathered procedural materials; conditions are left for prompts to
add. The discriminator looks through the built-in CLIP's frozen token maps.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ...stylegan2.checkpoints import save_generator
from ...stylegan2.config import GeneratorConfig
from ...stylegan2.networks import Generator
from ...stylegan2.training.discriminator import Discriminator
from ...stylegan2.training.trainer import GanTrainer, GanTraining, sample_sheet, train
from ..adaptation.clip import Clip, load_clip
from ..errors import BadRequest
from ..job import Job, Progress
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


def material_batches(settings: GeneratorTraining, size: int) -> Iterator[Tensor]:
    """Endless batches [batch, 3, size, size] of unweathered materials in [-1, 1]."""
    bank = MaterialBank(
        size=size,
        capacity=settings.bank,
        refresh=settings.refresh,
        seed=settings.gan.seed + 10,
        weathered=0.0,
        tinted=settings.tinted,
    )
    while True:
        yield bank.batch(settings.gan.batch)[0]


def grid_picture(images: Tensor, columns: int) -> Image.Image:
    """Images [N, 3, H, W] in [-1, 1] side by side in rows."""
    n = len(images)
    pixels = ((images.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    rows = [np.concatenate(list(pixels[i : i + columns]), axis=1) for i in range(0, n - n % columns, columns)]
    return Image.fromarray(np.concatenate(rows, axis=0))


def train_generator(settings: GeneratorTraining, out: Path, work: Path, job: Job | None = None) -> dict[str, Any]:
    """Train the built-in generator into the file `out`; checkpoint and sheets go to `work`. Returns its card.

    A checkpoint found in `work` is continued.
    """
    job = job or Job()
    for folder in (out.parent, work):  # now, and not when an hour of training is to be saved
        folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(settings.gan.seed)
    generator = Generator(ARCHITECTURE)
    maps = TokenMaps(load_clip("builtin"))
    trainer = GanTrainer(generator, Discriminator(maps, maps.channels), settings.gan)
    checkpoint = work / "checkpoint.pt"
    if checkpoint.exists():
        trainer.resume(checkpoint)
    steps, every = settings.gan.steps, max(1, settings.save_every // settings.gan.batch)
    started, first = time.monotonic(), trainer.steps_done
    card: dict[str, Any] = {"settings": asdict(settings), "architecture": asdict(ARCHITECTURE)}

    def keep(generator: Generator) -> None:
        save_generator(generator, out, metadata={"licence": "CC0-1.0"})

    def after_step(trainer: GanTrainer, losses: dict[str, float]) -> None:
        done = trainer.steps_done
        if done % every == 0 or done == steps:
            trainer.save(checkpoint)
            keep(trainer.finished())
            sheet = grid_picture(sample_sheet(trainer.average, range(40)), columns=10)
            sheet.save(work / f"sheet-{done * settings.gan.batch:07d}.png")
        rate = (done - first) * settings.gan.batch / (time.monotonic() - started)
        job.report(Progress(done=done, total=steps, stage="generator", numbers=losses | {"images_per_s": rate}))
        job.check()

    keep(train(trainer, material_batches(settings, ARCHITECTURE.resolution), after_step=after_step))
    card["images"] = trainer.steps_done * settings.gan.batch
    return card
