"""The numbers of the built-in models, and of any generator beside them: `latent-loom bench models`.

The judge, which trained nothing, has the word wherever pictures are read. Nothing here is random from run to run.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...stylegan2.inputs import draw_inputs
from ...stylegan2.latents import z_from_seed
from ...stylegan2.networks import Generator
from ..adaptation.clip import Clip, load_clip
from ..adaptation.style import Style
from ..job import Job
from ..textures.repeat import repeat_score
from ..textures.seam import seam_scores
from .fidelity import fidelity
from .procedural.captions import CONDITION_NAMES, FAMILY_NAMES, NOTHING, Attributes
from .procedural.stream import render
from .samples import as_pixels, generated, kinds_of, labels_of, renders
from .starter_styles import REPORTED_ON, EffectMeter, effect_between
from .train_clip import retrieval
from .zero_shot import ZeroShot

REAL_SEED, FLOOR_SEED, CAPTIONED_SEED = 90_001, 90_002, 4242
FIRST_SEED = 2_000_000
PERIODS = 8
"""The repeat score is taken at this many times the training size, along both axes."""
EPSILON = 0.01
"""Step of the path length: 1e-4, as in the paper, is lost in float32 rounding of unit vectors."""


@dataclass(frozen=True, kw_only=True)
class Extent:
    """How many pictures each measure takes. `QUICK` proves that the measures run, and no more."""

    pictures: int = 1024
    seams: int = 256
    large: int = 8
    pairs: int = 256
    captioned: int = 512
    retrievals: int = 4
    styled: int = 128
    conditions: int = len(CONDITION_NAMES)
    per_family: int = 3


QUICK = Extent(pictures=34, seams=8, large=1, pairs=4, captioned=34, retrievals=1, styled=8, conditions=1, per_family=1)


def appraise_clip(name: str, extent: Extent) -> dict[str, float]:
    """A built-in CLIP on unseen renders.

    retrieval_top1     in batches of 128; a caption that is true of the picture counts as right
    family, condition  share named rightly; 3 of 4 pictures are weathered, and all families and conditions are offered
    """
    clip = load_clip(name)
    images, attributes = renders(extent.captioned, clip.size, CAPTIONED_SEED, weathered=0.75)
    seen = ZeroShot(clip).probabilities(images)
    family = torch.tensor([a.family for a in attributes])
    condition = torch.tensor([a.condition + 1 for a in attributes])
    return _rounded(
        {
            "retrieval_top1": retrieval(clip.model, clip.tokenizer, batches=extent.retrievals),
            "family": _share(seen.sum(1).argmax(1) == family),
            "condition": _share(seen.sum(2).argmax(1) == condition),
        }
    )


def appraise_generator(generator: Generator, extent: Extent, job: Job) -> dict[str, Any]:
    """A generator beside fresh unweathered renders. Each picture is seen by the judge at the judge's size.

    fidelity      precision, recall, Frechet distance in the judge's unit embeddings; `floor`: renders against renders
    seam          along x and y; repeat: the highest of some textures at 8 x the training size
    path_length   see `path_length`
    family        of a generator whose latents fall into our families: share in which the judge sees that family; of
                  another: share in which the judge and the CLIP that trains see the same one
    unweathered   share in which the judge sees no condition
    """
    judge, clip, size = load_clip("judge"), load_clip("builtin"), generator.config.resolution
    made = generated(generator, range(FIRST_SEED, FIRST_SEED + extent.pictures))
    job.check()
    # twice what the judge sees: what is finer than that it cannot see, and it takes most of the time to render
    rendered = min(size, 2 * judge.size)
    real, other = (_embed(judge, renders(extent.pictures, rendered, seed)[0]) for seed in (REAL_SEED, FLOOR_SEED))
    job.check()
    cells = generator.config.cells
    seams = seam_scores(as_pixels(made[: extent.seams]), cells=cells)
    grid = (4 * PERIODS, 4 * PERIODS)
    large = (as_pixels(generated(generator, [FIRST_SEED + i], grid=grid))[0] for i in range(extent.large))
    reading = ZeroShot(judge).probabilities(made)
    families = reading.sum(1).argmax(1)
    if generator.config.kinds == len(FAMILY_NAMES):
        expected = kinds_of(generator, range(FIRST_SEED, FIRST_SEED + len(made)))
    else:
        expected = ZeroShot(clip).families(made)
    return {
        "resolution": size,
        "fidelity": fidelity(real, _embed(judge, made)).as_dict(),
        "floor": fidelity(real, other).as_dict(),
        "seam": [round(score, 3) for score in seams],
        "repeat": round(max(repeat_score(picture, size, cells=cells) or 0.0 for picture in large), 3),
        **_rounded(
            {
                "path_length": path_length(generator, judge, extent.pairs),
                "family": _share(families == expected),
                "unweathered": _share(reading.sum(2).argmax(1) == 0),
            }
        ),
        "families_seen": {name: round(_share(families == i), 3) for i, name in enumerate(FAMILY_NAMES)},
    }


@torch.no_grad()
def path_length(generator: Generator, judge: Clip, pairs: int) -> float:
    """Mean of |e(G(w_t)) - e(G(w_{t + epsilon}))|^2 / epsilon^2: smooth walks have short paths.

    e is the judge's unit embedding, w_t = lerp(w_1, w_2, t) of two random latents at a random t; noise, input map and
    class stay. Source: Karras et al. 2019, section 4.1, with the judge in VGG's place.
    """
    total = 0.0
    for seed in range(FIRST_SEED, FIRST_SEED + pairs):
        z = torch.stack([z_from_seed(2 * seed + end, generator.config.z_dim) for end in (0, 1)])
        labels = labels_of(generator, [seed, seed])
        first, second = generator.map(z.to(generator.mapping.w_avg.device), labels=labels)
        t = torch.rand((), generator=torch.Generator().manual_seed(seed)).item()
        ws = torch.stack([first.lerp(second, t), first.lerp(second, t + EPSILON)])
        images = generator.synthesize(ws, draw_inputs(generator.config, [seed, seed]).to(ws.device))
        one, two = judge.embed_images(images.clamp(-1, 1))
        total += ((one - two).square().sum() / EPSILON**2).item()
    return total / pairs


def appraise_styles(generator: Generator, files: list[Path], extent: Extent, job: Job) -> dict[str, Any]:
    """Each style of one condition: the judge's probability of it before and after, and the share of families kept."""
    if not files:
        return {}
    meter = EffectMeter(generator, ZeroShot(load_clip("judge")), count=extent.styled, first_seed=REPORTED_ON)
    found = {}
    for file in files:
        job.check()
        style = Style.load(file)
        effect = meter.effect(style.info.target.split()[0], style)
        found[file.stem] = effect.as_dict() | {"reached": effect.reached, "bytes": file.stat().st_size}
    return found


def appraise_conditions(extent: Extent) -> dict[str, dict[str, float]]:
    """What the data's own conditions do to renders, measured as a style is: the most that a style can be asked for."""
    judge, families = ZeroShot(load_clip("judge")), range(len(FAMILY_NAMES))

    def seen(condition: int) -> Tensor:
        """The same surfaces whatever the condition is, since a family's surfaces are drawn before it."""
        attributes = [[Attributes(family, condition)] * extent.per_family for family in families]
        rngs = [torch.Generator().manual_seed(REAL_SEED + family) for family in families]
        made = [render(a, size=judge.clip.size, rng=rng) for a, rng in zip(attributes, rngs, strict=True)]
        return judge.probabilities(torch.cat(made) * 2 - 1)

    before = seen(NOTHING)
    return {
        name: effect_between(before, seen(index), index + 1).as_dict()
        for index, name in enumerate(CONDITION_NAMES[: extent.conditions])
    }


def shipped_bytes(folder: Path) -> dict[str, int]:
    """Size of every weight file below `folder`, and their sum."""
    sizes = {path.relative_to(folder).as_posix(): path.stat().st_size for path in sorted(folder.rglob("*.safetensors"))}
    return sizes | {"total": sum(sizes.values())}


@torch.no_grad()
def _embed(clip: Clip, images: Tensor) -> Tensor:
    return torch.cat([clip.embed_images(some) for some in images.split(64)])


def _share(hits: Tensor) -> float:
    return hits.float().mean().item()


def _rounded(numbers: dict[str, float]) -> dict[str, float]:
    return {name: round(number, 4) for name, number in numbers.items()}
