"""The recipe of the built-in texture generator: `latent-loom train generator`.

A small StyleGAN2, circular in both axes, that learns the unweathered procedural materials; conditions are left for
prompts to add. The renderer is a program, so it can be asked what belongs to a latent and to the noise beside it
(`procedural.latent_render`): the generator is trained on such pairs, without a discriminator (decision 0015). Each
family is one kind of latent (`stylegan2.latents.kind_of`). There is no constant but one vector, a random map and a
lattice of 2x2 pixels, so that the generator has no places and grows to any size without repeating.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...stylegan2.checkpoints import save_generator
from ...stylegan2.config import GeneratorConfig
from ...stylegan2.latents import KIND_NUMBERS
from ...stylegan2.networks import Generator
from ...stylegan2.training.pairs import Pairs, PairTrainer, PairTraining
from ...stylegan2.training.processes import ALONE, Processes
from ..adaptation.clip import Clip, load_clip
from ..errors import BadRequest, Cancelled
from ..job import Job, Progress
from .kinds import KINDS
from .latent_pairs import BLOCK, MaterialLesson, PairBank
from .procedural.captions import FAMILY_NAMES
from .procedural.draws import MAP_CHANNELS
from .training_run import CHECKPOINT, TrainingRun

LICENCE = "CC0-1.0"
SIZES = (64, 128, 256)
FIRST_COLOURS = 0.15
"""Standard deviation of the ToRGBs' weights when training begins."""
FIRST_NOISE = 0.2
KIND_GAIN = 3.0
CALM = 10.0
"""How much stronger the constant is in the channels whose map nobody needs, and the first styles weaker."""


def architecture(size: int) -> GeneratorConfig:
    """Of the built-in generator, at a size."""
    return GeneratorConfig(
        z_dim=64,
        w_dim=96,
        resolution=size,
        channels=(128, 128, 96, 64, 48, 24, 16)[: size.bit_length() - 2],
        mapping_layers=4,
        mapping_width=256,
        mapping_lr_multiplier=1.0,  # the mapping learns the kinds of latents; at .01 it would hardly move
        const_size=1,
        input_map=1.0,
        lattice=True,
        kinds=len(FAMILY_NAMES),
        tile="xy",
    )


@dataclass(frozen=True, kw_only=True)
class GeneratorTraining:
    """size            of the pictures: 64, 128 or 256
    bank, refresh   pairs kept at most, and how many are made for each batch
    block           pairs rendered together; a GPU renders 1,024 in hardly more time than 64
    save_every      images between checkpoints, each with a sample sheet and the weights so far
    pairs           the optimisation
    """

    pairs: PairTraining = field(default_factory=PairTraining)
    size: int = 128
    bank: int = 8192
    refresh: int = 2
    block: int = BLOCK
    save_every: int = 4_000

    def __post_init__(self) -> None:
        if self.size not in SIZES:
            raise BadRequest(f"The size is {self.size}; choose 64, 128 or 256.")
        if min(self.bank, self.block, self.save_every) < 1 or self.refresh < 0:
            raise BadRequest("Give a bank, block and save_every of at least 1, and a refresh of at least 0.")


class TokenMaps:
    """The token maps of every layer of a CLIP's vision transformer, as [N, C, h, w], and its unit embedding [N, E];
    differentiable in the pixels."""

    def __init__(self, clip: Clip) -> None:
        self._clip = clip
        self._blocks = clip.model.visual.transformer.resblocks

    @property
    def channels(self) -> list[int]:
        return [self._clip.model.visual.conv1.out_channels] * len(self._blocks)

    def __call__(self, images: Tensor) -> tuple[Sequence[Tensor], Tensor]:
        found: list[Tensor] = []
        # The CLIP is shared with whoever else loads it, so nothing of ours stays hooked to it.
        with contextlib.ExitStack() as hooks:
            for block in self._blocks:
                hooks.enter_context(block.register_forward_hook(lambda _block, _inputs, tokens: found.append(tokens)))
            embedding = self._clip.embed_images(images)
        return [self._as_map(tokens) for tokens in found], embedding

    @staticmethod
    def _as_map(tokens: Tensor) -> Tensor:
        n, count, channels = tokens.shape
        side = round((count - 1) ** 0.5)
        return tokens[:, 1:].transpose(1, 2).reshape(n, channels, side, side)


@torch.no_grad()
def begin_calmly(generator: Generator) -> None:
    """Scale fresh weights so that pictures begin grey and quiet: colours and noise small, the finest colours none.

    Most channels begin as constants: the families' fields take the first channels of the input map and no others. The
    numbers of a latent that say its kind begin louder than the rest.
    """
    synthesis, last = generator.synthesis, generator.config.blocks - 1
    generator.mapping.fc0.weight[:, :KIND_NUMBERS] *= KIND_GAIN
    for name, parameter in synthesis.named_parameters():
        if name.endswith("noise_strength"):
            parameter.fill_(FIRST_NOISE)
    for index in range(last + 1):
        synthesis.block(index).torgb.weight.mul_(FIRST_COLOURS if index < last else 0.0)
    first = synthesis.block(0)
    first.const[MAP_CHANNELS:] *= CALM
    first.conv1.affine.weight[MAP_CHANNELS:] /= CALM
    first.conv1.affine.bias[MAP_CHANNELS:] /= CALM


def pair_batches(
    settings: GeneratorTraining, config: GeneratorConfig, job: Job, *, start: int, device: str, processes: Processes
) -> Iterator[Pairs]:
    """Endless batches from a step on, one process's share. The first takes up to minutes, and can be cancelled."""
    bank = PairBank(
        config,
        capacity=settings.bank,
        refresh=settings.refresh,
        seed=settings.pairs.seed + 10 + 1000 * processes.rank,
        start=start,
        block=settings.block,
        device=device,
    )
    if processes.count == 1:  # of several all must stop at the same step
        bank.fill(job.check)
    while True:
        yield bank.batch(settings.pairs.batch // processes.count)


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
    job = job or Job()
    for folder in (out.parent, work):  # now, and not when an hour of training is to be saved
        folder.mkdir(parents=True, exist_ok=True)
    clip = load_clip("builtin", device)
    config = architecture(settings.size)
    torch.manual_seed(settings.pairs.seed)  # here: whether the CLIP was loaded before must not decide the first weights
    generator = Generator(config)
    begin_calmly(generator)
    lesson = MaterialLesson(config, settings.pairs.seed)
    trainer = PairTrainer(
        generator.to(device),
        TokenMaps(clip),
        settings.pairs,
        features_size=clip.size,
        lesson=lesson,
        processes=processes,
    )
    if not (work / CHECKPOINT).exists():
        _lessons(trainer, job)
        if processes.first:
            trainer.save(work / CHECKPOINT)
    run = TrainingRun(
        work=work,
        keep=lambda generator: save_generator(
            generator, out, metadata={"licence": LICENCE, KINDS: json.dumps(FAMILY_NAMES)}
        ),
        kept_as=str(out),
        save_every=settings.save_every,
        columns=len(FAMILY_NAMES),
    )
    run.train(
        trainer,
        lambda start: pair_batches(settings, config, job, start=start, device=device, processes=processes),
        job,
    )
    return {
        "settings": asdict(settings),
        "architecture": asdict(config),
        "images": trainer.steps_done * settings.pairs.batch,
    }


def _lessons(trainer: PairTrainer, job: Job) -> None:
    """The mapping's lessons, with progress; an interruption loses them, which is minutes."""
    total = trainer.settings.lessons

    def after_each(done: int) -> None:
        if trainer.processes.any(job.cancelled(), trainer.generator.mapping.w_avg.device):
            raise Cancelled("Stopped in the lessons; the same command begins them anew.")
        job.report(Progress(done=done, total=total, stage="lessons"))

    trainer.have_lessons(after_each)
