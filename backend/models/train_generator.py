"""The recipe of the built-in texture generator: `latent-loom train generator`.

A small StyleGAN2, circular in both axes, that learns the unweathered procedural materials; conditions are left for
prompts to add. The discriminator looks through the built-in CLIP's frozen token maps. There are two designs:

    surfaces  the one that is shipped: no constant but one vector and a random map, so that it has no places and grows
              to any size without repeating; families are mixed
    kinds     under trial (decision 0014): each family is one kind of latent (`stylegan2.latents.kind_of`), a small
              constant beside the map is what courses of bricks hold on to, and latents are those of real pictures
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...stylegan2.checkpoints import save_generator
from ...stylegan2.config import GeneratorConfig
from ...stylegan2.networks import Generator
from ...stylegan2.training.discriminator import Discriminator, Seen
from ...stylegan2.training.processes import ALONE, Processes
from ...stylegan2.training.trainer import GanTrainer, GanTraining
from ..adaptation.clip import Clip, load_clip
from ..errors import BadRequest
from ..job import Job
from .exemplars import ExemplarLatents
from .gan_run import Batches, GanRun
from .kinds import KINDS
from .procedural.captions import FAMILY_NAMES
from .procedural.stream import MaterialBank
from .samples import renders
from .zero_shot import ZeroShot

LICENCE = "CC0-1.0"
DESIGNS = ("surfaces", "kinds")
SIZES = (64, 128, 256)
SAMPLE = 1536
"""Pictures by which the latents of pictures are fitted."""
FIRST_CONSTANT = 0.1
"""Standard deviation of the constant when training begins: the random map, of 1, is to decide what it can."""
FIRST_COLOURS = 0.15
"""The same of the ToRGBs' weights."""


def architecture(design: str, size: int) -> GeneratorConfig:
    """Of the built-in generator, in one of its designs and sizes."""
    blocks = size.bit_length() - 2
    common: dict[str, Any] = {"z_dim": 64, "resolution": size, "mapping_layers": 4, "input_map": 1.0, "tile": "xy"}
    if design == "surfaces":
        return GeneratorConfig(w_dim=64, channels=(96, 96, 80, 48, 24, 16, 8)[:blocks], const_size=1, **common)
    return GeneratorConfig(
        w_dim=96,
        channels=(128, 128, 96, 64, 32, 16, 8)[:blocks],
        mapping_lr_multiplier=1.0,  # the mapping learns the kinds of latents; at .01 it would hardly move
        kinds=len(FAMILY_NAMES),
        **common,
    )


@dataclass(frozen=True, kw_only=True)
class GeneratorTraining:
    """design         surfaces | kinds
    size            of the pictures: 64, 128 or 256
    grow_from       checkpoint of half that size to begin with (WORK/checkpoint.pt of its training)
    bank, refresh   pictures kept, and how many are made anew for each batch
    tinted          share of pictures in a named colour
    save_every      images between checkpoints, each with a sample sheet and the weights so far
    gan             the optimisation. images, batch: real pictures in all, and in a step; average_images: half-life of
                    the averaged weights, which are the result; range_weight: of the loss against values beyond [-1, 1]
    """

    gan: GanTraining = field(default_factory=GanTraining)
    design: str = "surfaces"
    size: int = 64
    grow_from: str = ""
    bank: int = 6144
    refresh: int = 2
    tinted: float = 0.0
    save_every: int = 4_000

    def __post_init__(self) -> None:
        if self.design not in DESIGNS or self.size not in SIZES:
            raise BadRequest(
                f"There is no {self.design!r} of {self.size} px; choose {' or '.join(DESIGNS)}, of 64, 128 or 256."
            )
        if self.grow_from and not Path(self.grow_from).is_file():
            raise BadRequest(f"There is no checkpoint {self.grow_from!r}; train half the size first and give its own.")
        if min(self.bank, self.save_every) < 1 or self.refresh < 0 or not 0 <= self.tinted <= 1:
            raise BadRequest(
                "Give a bank and save_every of at least 1, a refresh of at least 0, and tinted from 0 to 1."
            )


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


class FamilyGuide:
    """Cross entropy of the CLIP's zero-shot reading: a picture should look like its family, and unweathered.

    The discriminator learns in time to tell the families apart; the CLIP does from the first picture on.
    Source  Sauer et al. 2023 (StyleGAN-T), section 3.3: guidance by a CLIP beside the adversarial loss
    """

    def __init__(self, clip: Clip) -> None:
        self._reading = ZeroShot(clip)

    def __call__(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Unit embeddings [N, E], families [N, 17] one-hot -> a loss."""
        return -(self._reading.log_probabilities(embeddings)[:, 0] * labels).sum(1).mean()


def material_batches(settings: GeneratorTraining, *, labelled: bool, start: int, rank: int, count: int) -> Batches:
    """Endless batches of unweathered materials from a step on, one process's share: [n, 3, size, size] in [-1, 1].

    labelled  with them come their families [n, 17], one-hot
    """
    bank = MaterialBank(
        size=settings.size,
        capacity=settings.bank,
        refresh=settings.refresh,
        seed=settings.gan.seed + 10 + 1000 * rank,
        weathered=0.0,
        tinted=settings.tinted,
        start=start,
    )
    while True:
        pictures, attributes = bank.batch(settings.gan.batch // count)
        yield pictures, torch.eye(len(FAMILY_NAMES))[[a.family for a in attributes]] if labelled else None


@torch.no_grad()
def exemplar_latents(seed: int, discriminator: Discriminator, config: GeneratorConfig) -> ExemplarLatents:
    """Latents of pictures, fitted on a sample that no step sees; at 64 px, so that they stay when a generator grows."""
    device = next(discriminator.parameters()).device
    rendered, attributes = renders(SAMPLE, 64, seed + 5)
    images = rendered.to(device)
    seen = [discriminator.look(some) for some in images.split(64)]
    embeddings = torch.cat([some.embedding for some in seen if some.embedding is not None])
    families = torch.tensor([a.family for a in attributes], device=device)
    return ExemplarLatents(Seen([], images, embeddings), families, kinds=config.kinds, z_dim=config.z_dim)


@torch.no_grad()
def begin_small(generator: Generator) -> None:
    """Scale the constant and the colours of fresh weights down.

    The sum of all ToRGBs would leave [-1, 1], where the frozen features say nothing, for thousands of pictures.
    """
    generator.synthesis.block(0).const.mul_(FIRST_CONSTANT)
    for index in range(generator.config.blocks):
        generator.synthesis.block(index).torgb.weight.mul_(FIRST_COLOURS)


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
    clip = load_clip("builtin", device)
    maps, config = TokenMaps(clip), architecture(settings.design, settings.size)
    torch.manual_seed(settings.gan.seed)  # here: whether the CLIP was loaded before must not decide the first weights
    generator = Generator(config).to(device)
    begin_small(generator)
    halvings = 2 if settings.size < 128 else 3
    discriminator = Discriminator(maps, maps.channels, classes=config.kinds, patch_halvings=halvings).to(device)
    # The built-in CLIP sees 64 px.
    gan = replace(settings.gan, closeups=0.5 if settings.size > 64 else 0.0)
    guide = FamilyGuide(clip) if config.kinds else None
    latents = exemplar_latents(settings.gan.seed, discriminator, config) if config.kinds else None
    trainer = GanTrainer(generator, discriminator, gan, guide=guide, latents=latents, processes=processes)
    if settings.grow_from:
        trainer.grow_from(Path(settings.grow_from))
    names = {KINDS: json.dumps(FAMILY_NAMES)} if config.kinds else {}
    run = GanRun(
        work=work,
        keep=lambda generator: save_generator(generator, out, metadata={"licence": LICENCE} | names),
        kept_as=str(out),
        save_every=settings.save_every,
        columns=config.kinds or 10,
    )

    def batches(start: int) -> Batches:
        share = {"start": start, "rank": processes.rank, "count": processes.count}
        return material_batches(settings, labelled=bool(config.kinds), **share)

    run.train(trainer, batches, job or Job())
    return {
        "settings": asdict(settings),
        "architecture": asdict(config),
        "images": trainer.steps_done * settings.gan.batch,
    }
