"""A generator of your own textures: `latent-loom train generator --images FOLDER --name NAME`.

The pictures may have any size. They need not be seamless: what comes out always is. Adaptive augmentation keeps a small
folder from being learnt by heart. The generator so far is saved under its name all along; interrupt, and the same
command goes on. Several GPUs: torchrun --nproc-per-node 2 -m latent_loom.backend.cli.main train generator ...
"""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...stylegan2.config import GeneratorConfig
from ...stylegan2.networks import Generator
from ...stylegan2.training.augment import Augmentation
from ...stylegan2.training.discriminator import Discriminator, PixelDiscriminator
from ...stylegan2.training.processes import ALONE, Processes
from ...stylegan2.training.trainer import GanTrainer, GanTraining
from ..adaptation.clip import Clip, load_clip
from ..errors import AlreadyExists, BadRequest
from ..job import Job
from ..textures.seam import seam_scores
from .fidelity import fidelity
from .image_folder import Crops, Cutter, Say, read_folder
from .samples import as_pixels, generated
from .store import Store, check_name
from .train_generator import TokenMaps
from .training_run import CHECKPOINT, TrainingRun

CHANNELS = {
    64: (96, 96, 80, 48, 24),
    128: (128, 128, 96, 64, 32, 16),
    256: (128, 128, 128, 96, 64, 32, 16),
}
"""Feature channels at 4, 8, ..., size, at width 1."""
DISCRIMINATORS = ("features", "pixels", "both")
MEASURED = 512
MEASURED_SEED, FLOOR_SEED = 90_101, 90_102


@dataclass(frozen=True, kw_only=True)
class OwnTraining:
    """images        folder of pictures; those in folders below it count too
    size          side of the pictures that it learns, in pixels: 64, 128 or 256. Textures of any size come out of it
    total         pictures shown in all; 100000 is a beginning
    batch         pictures in a step, of all processes together
    tileable      the pictures are seamless: each is used whole, and rolled
    crop          share of the shorter side that a cut of a picture shows at least, where they are not
    flips         pictures may be mirrored left to right
    augment       adaptive augmentation, for small folders
    start         name of a generator to go on from, such as builtin: good for small folders; its size is kept
    width         factor on the channels; 2 is for a GPU
    discriminator features: sees through the built-in CLIP; pixels: learns from nothing; both
    save_every    pictures between checkpoints, each with a sample sheet and the generator so far
    """

    images: str
    size: int = 128
    total: int = 100_000
    batch: int = 16
    tileable: bool = False
    crop: float = 0.6
    flips: bool = True
    augment: bool = True
    start: str = ""
    width: float = 1.0
    discriminator: str = "features"
    learning_rate: float = 2e-3
    average: float = 5_000
    save_every: int = 4_000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.size not in CHANNELS:
            raise BadRequest(f"The size is {self.size}; choose 64, 128 or 256.")
        if self.discriminator not in DISCRIMINATORS:
            raise BadRequest(
                f"There is no discriminator {self.discriminator!r}; choose from {', '.join(DISCRIMINATORS)}."
            )
        if not 0.25 <= self.width <= 8:
            raise BadRequest(f"The width is {self.width}; give a factor from 0.25 to 8.")
        if self.save_every < 1:
            raise BadRequest("Give a save_every of at least 1.")
        self.gan, self.crops(self.size)

    @property
    def gan(self) -> GanTraining:
        return GanTraining(
            images=self.total,
            batch=self.batch,
            learning_rate=self.learning_rate,
            average_images=self.average,
            closeups=0.5 if self.size > 64 else 0.0,  # the built-in CLIP sees 64 px
            seed=self.seed,
        )

    def crops(self, size: int) -> Crops:
        return Crops(size=size, tileable=self.tileable, smallest=self.crop, flips=self.flips)


def architecture(size: int, width: float) -> GeneratorConfig:
    """A generator without places, seamless by nature, like the built-in one."""
    return GeneratorConfig(
        z_dim=64,
        w_dim=96,
        resolution=size,
        channels=tuple(max(8, round(c * width / 8) * 8) for c in CHANNELS[size]),
        mapping_layers=4,
        input_map=1.0,
        const_size=1,
        tile="xy",
    )


def make_discriminator(
    kind: str, config: GeneratorConfig, maps: TokenMaps, *, wraps: bool, device: str
) -> Discriminator:
    pixels = None if kind == "features" else PixelDiscriminator(config.resolution, wraps=wraps)
    channels = () if kind == "pixels" else maps.channels
    halvings = 2 if config.resolution < 128 else 3
    return Discriminator(maps, channels, patch_halvings=halvings, pixels=pixels, wraps=wraps).to(device)


def train_own_generator(
    settings: OwnTraining,
    store: Store,
    name: str,
    *,
    overwrite: bool = False,
    job: Job | None = None,
    say: Say = lambda sentence: None,
    device: str = "cpu",
    processes: Processes = ALONE,
) -> dict[str, Any]:
    """Train the generator `name` of the store; its checkpoint and sheets lie in ROOT/training/NAME.

    overwrite  begin anew, in the place of a generator and a checkpoint of this name
    say        is told what was skipped, and what to expect of few pictures
    Raises     AlreadyExists, BadRequest, CheckpointError, Cancelled
    """
    job = job or Job()
    work = prepare(store, name, overwrite=overwrite, processes=processes)
    maps = TokenMaps(load_clip("builtin", device))
    torch.manual_seed(settings.seed)  # here: whether the CLIP was loaded before must not decide the first weights
    generator = _first_generator(settings, store).to(device)
    crops = settings.crops(generator.config.resolution)
    folder = read_folder(Path(settings.images).expanduser(), crops, job)
    if processes.first:
        for warning in folder.warnings():
            say(warning)
    augmentation = Augmentation(wraps=settings.tileable) if settings.augment else None
    discriminator = make_discriminator(
        settings.discriminator, generator.config, maps, wraps=settings.tileable, device=device
    )
    trainer = GanTrainer(generator, discriminator, settings.gan, augmentation=augmentation, processes=processes)
    cutter = Cutter(folder.pictures, crops, settings.seed + 1)
    run = TrainingRun(
        work=work,
        keep=lambda generator: store.add_generator(generator, name, overwrite=True),
        kept_as=f"the generator {name!r}",
        save_every=settings.save_every,
        columns=10,
    )
    trained = run.train(trainer, lambda start: cutter.batches(trainer.batch, start=start, rank=processes.rank), job)
    card: dict[str, Any] = {"name": name, "pictures": len(folder.pictures), "skipped": len(folder.skipped)}
    card |= {"shown": trainer.steps_done * settings.batch, "settings": asdict(settings)}
    return card | measures(trained, cutter, load_clip("judge", device)) if processes.first else card


def prepare(store: Store, name: str, *, overwrite: bool, processes: Processes = ALONE) -> Path:
    """The folder of the checkpoint. A generator of this name without a checkpoint is somebody's and is not replaced."""
    check_name(name)
    work = store.root / "training" / name
    if overwrite:
        if processes.first:
            shutil.rmtree(work, ignore_errors=True)
        processes.any(False)  # the others wait until it is gone
    elif not (work / CHECKPOINT).exists() and any(entry.name == name for entry in store.generators()):
        raise AlreadyExists(
            f"There is a generator called {name!r} already; choose another name or ask to overwrite it."
        )
    work.mkdir(parents=True, exist_ok=True)
    return work


def _first_generator(settings: OwnTraining, store: Store) -> Generator:
    if not settings.start:
        return Generator(architecture(settings.size, settings.width))
    start = store.generator(settings.start)
    if start.config.c_dim or start.config.image_channels != 3:
        raise BadRequest(f"The generator {settings.start!r} has classes or no colours; start from another one.")
    generator = Generator(replace(start.config, tile="xy"))
    generator.load_state_dict(start.state_dict())
    return generator


def measures(generator: Generator, cutter: Cutter, judge: Clip) -> dict[str, Any]:
    """How near its pictures are to the folder's, in the judge's features, beside the folder's against themselves."""
    device = generator.mapping.w_avg.device
    made = generated(generator, range(MEASURED))
    real, other = (_embed(judge, cutter.batch(MEASURED, seed)[0].to(device)) for seed in (MEASURED_SEED, FLOOR_SEED))
    return {
        "fidelity": fidelity(real, _embed(judge, made)).as_dict(),
        "floor": fidelity(real, other).as_dict(),
        "seam": [round(score, 3) for score in seam_scores(as_pixels(made))],
    }


@torch.no_grad()
def _embed(clip: Clip, images: Tensor) -> Tensor:
    return torch.cat([clip.embed_images(some) for some in images.split(64)])
