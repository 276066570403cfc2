"""Mining the part of an adapted generator's pictures that fits its target: a small network on w.

An adaptation moves the whole domain, and some samples arrive better than others. A *mapper* moves every latent a little
towards those: w' = w + amount * r(w), with the style's generator unchanged. It is saved in the style's file.

    r_g(w) = scale * lrelu((w - w_avg) / scale W0_g + b0_g) W1_g      one pair of layers for each group g of vectors

Groups are coarse, medium and fine vectors of w+. W1 begins at 0, so that an untrained mapper changes nothing.

Source  Gal et al. 2021, the section on latent mappers; Patashnik et al. 2021 (StyleCLIP), section 5
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from ...stylegan2.inputs import beside, sample_inputs
from ...stylegan2.networks import Generator
from ..errors import BadCheckpoint, BadRequest, NonFinite
from ..job import Job, Progress
from .clip import Clip, check_prompt, load_clip, unit
from .losses import in_domain_loss
from .measures import diversity, fixed_latents
from .style import Style, StyleInfo, blend
from .stylegan2 import drawn_classes
from .views import draw_views

GROUPS = {"coarse": slice(0, 4), "medium": slice(4, 8), "fine": slice(8, None)}
"""Vectors of w+ by what they drive; where StyleCLIP cuts."""
WIDTH = 128
MEASURED = 32
SHARES = (1.0, 0.85, 0.7, 0.55, 0.4, 0.25, 0.1)
"""Of a trained mapper's move, tried from the largest down until the pictures keep their diversity."""


@dataclass(frozen=True, kw_only=True)
class MineSettings:
    """iterations       optimisation steps
    batch            pictures a step; the in-domain loss needs at least 2
    learning_rate    of Adam
    target           what the pictures are to match; None = the style's own target
    decay            weight of mean r^2 / mean (w - w_avg)^2: how far a latent may go
    in_domain        weight of the in-domain angle consistency between mapped and unmapped pictures
    diversity_floor  the mapper moves as far as this share of the unmapped pictures' diversity stays
    psi              truncation of the training latents
    """

    iterations: int = 100
    seed: int = 0
    batch: int = 8
    learning_rate: float = 0.002
    target: str | None = None
    decay: float = 0.1
    in_domain: float = 2.0
    diversity_floor: float = 0.8
    psi: float = 1.0

    def __post_init__(self) -> None:
        for name, (low, high) in RANGES.items():
            if not low <= getattr(self, name) <= high:
                raise BadRequest(f"{name} must be between {low} and {high}, not {getattr(self, name)}.")


RANGES = {
    "iterations": (1, 100_000),
    "seed": (0, 2**32 - 1),
    "batch": (1, 64),
    "learning_rate": (1e-7, 1),
    "decay": (0, 100),
    "in_domain": (0, 100),
    "diversity_floor": (0, 1),
    "psi": (0, 2),
}


class Mapper:
    """tensors  "scale" [], "centre" [w_dim], and "GROUP.in" [w_dim, h], "GROUP.bias" [h], "GROUP.out" [h, w_dim]

    Raises  BadCheckpoint where the tensors are not those of a mapper
    """

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        expected = {"scale", "centre", *(f"{g}.{part}" for g in GROUPS for part in ("in", "bias", "out"))}
        if set(tensors) != expected or tensors["centre"].ndim != 1:
            raise BadCheckpoint("The style's mapper is damaged; make it anew: latent-loom styles mine NAME.")
        w_dim = len(tensors["centre"])
        for group in GROUPS:
            h = tensors[f"{group}.bias"].numel()
            shapes = {"in": (w_dim, h), "bias": (h,), "out": (h, w_dim)}
            if any(tensors[f"{group}.{part}"].shape != shape for part, shape in shapes.items()):
                raise BadCheckpoint("The style's mapper is damaged; make it anew: latent-loom styles mine NAME.")
        self.tensors = tensors

    @classmethod
    def fresh(cls, centre: Tensor, scale: float, rng: torch.Generator) -> Mapper:
        """One that changes nothing yet, for latents [w_dim] around `centre`, `scale` away from it."""
        w_dim, h = len(centre), min(WIDTH, len(centre))
        tensors = {"scale": torch.tensor(scale).to(centre), "centre": centre.clone()}
        for group in GROUPS:
            tensors[f"{group}.in"] = (torch.randn(w_dim, h, generator=rng) / w_dim**0.5).to(centre)
            tensors[f"{group}.bias"] = torch.zeros(h).to(centre)
            tensors[f"{group}.out"] = torch.zeros(h, w_dim).to(centre)
        return cls(tensors)

    def scaled(self, share: float) -> Mapper:
        """The mapper that moves latents `share` as far."""
        return Mapper({name: share * t if name.endswith(".out") else t for name, t in self.tensors.items()})

    def check_fits(self, generator: Generator) -> None:
        """Raise BadRequest if the generator's latents have another width."""
        if generator.config.w_dim != len(self.tensors["centre"]):
            raise BadRequest("The style's mapper was made for a generator with latents of another width.")

    def residual(self, ws: Tensor) -> Tensor:
        """r(w) for ws [N, L, w_dim], in its shape."""
        t = self.tensors
        x = (ws - t["centre"]) / t["scale"]
        parts = []
        for group, part in GROUPS.items():
            hidden = F.leaky_relu(x[:, part] @ t[f"{group}.in"] + t[f"{group}.bias"], 0.2)
            parts.append(hidden @ t[f"{group}.out"])
        return t["scale"] * torch.cat(parts, dim=1)


class MinedGenerator(Generator):
    """A generator whose `map` gives latents that mappers have moved; it shares the weights of the one it is made of.

    Latents that did not come out of `map` (projected ones) are nobody's sample and stay where they are.
    """

    def __init__(self, generator: Generator, mappers: Sequence[tuple[Mapper, float]]) -> None:
        torch.nn.Module.__init__(self)
        self.config, self.mapping, self.synthesis = generator.config, generator.mapping, generator.synthesis
        self._mappers = tuple(mappers)
        self.eval()

    def map(self, z: Tensor, *, psi: float = 1.0, cutoff: int | None = None, labels: Tensor | None = None) -> Tensor:
        """As in `Generator`; the mappers come after the truncation."""
        ws = super().map(z, psi=psi, cutoff=cutoff, labels=labels)
        # one by one: the bits of a matrix product depend on the batch's size, and a picture must not
        moved = [sum((amount * m.residual(w[None]) for m, amount in self._mappers), start=w[None]) for w in ws]
        return torch.cat(moved) if moved else ws


def mined(generator: Generator, styles: Sequence[tuple[Style, float]], amount: float) -> Generator:
    """The generator whose samples are moved by the mappers of the styles, each times its style's strength and `amount`.

    Raises  BadRequest where no style has a mapper, or one is for latents of another width
    """
    device = generator.mapping.w_avg.device
    mappers = [
        (Mapper({name: t.to(device, torch.float32) for name, t in style.mapper.items()}), strength * amount)
        for style, strength in styles
        if style.mapper
    ]
    if not mappers:
        names = " or ".join(repr(style.info.name) for style, _ in styles)
        raise BadRequest(
            f"No mapper was made for {names}; make one: latent-loom styles mine NAME."
            if names
            else "Mining needs a style; give one with a mapper (latent-loom styles mine NAME makes it)."
        )
    for mapper, _ in mappers:
        mapper.check_fits(generator)
    return MinedGenerator(generator, mappers)


@dataclass(frozen=True, kw_only=True)
class Mined:
    """Of the fixed latents, seen by the judge: quality with the mapper and without, share of diversity that stays."""

    quality: float
    before: float
    retention: float


class Mining:
    """One training of a mapper for a style of a generator. Raises PromptError for targets the CLIPs do not know."""

    def __init__(
        self, generator: Generator, style: Style, settings: MineSettings, *, clips: Sequence[Clip], judge: Clip
    ) -> None:
        self.settings, self.clips, self.judge = settings, clips, judge
        self.generator = blend(generator, [(style, 1.0)]).eval().requires_grad_(False)
        self.tile = style.info.settings.get("tile")
        self.device = generator.mapping.w_avg.device
        self.target = settings.target or style.info.settings.get("target", style.info.target)
        if not self.target.strip() or not (settings.target or style.info.clips):
            raise BadRequest("The style was not made from words; say in words what samples are to match (--target).")
        for clip in {c.name: c for c in [*clips, judge]}.values():
            check_prompt(clip, self.target)
        self._goals = [unit(clip.embed_prompt(self.target).mean(0)) for clip in clips]
        self._rng = torch.Generator().manual_seed(settings.seed)
        self.class_index = style.info.class_index
        self._fixed = fixed_latents(self.generator, MEASURED, class_index=self.class_index)
        spread = (self._fixed[0] - self.generator.mapping.w_avg).square().mean().sqrt().item()
        self.mapper = Mapper.fresh(self.generator.mapping.w_avg.detach(), max(spread, 1e-6), self._rng)
        self._trained = [t.requires_grad_(True) for n, t in self.mapper.tensors.items() if "." in n]
        self._optimizer = torch.optim.Adam(self._trained, lr=settings.learning_rate, betas=(0.9, 0.99))
        self._unmapped = self._seen(self._fixed[0])

    def step(self) -> dict[str, float]:
        """One iteration. Returns {"loss", "match"}: match is the mean cosine with the target. Raises NonFinite."""
        s, config = self.settings, self.generator.config
        z = torch.randn(s.batch, config.z_dim, generator=self._rng).to(self.device)
        with torch.no_grad():
            classes = drawn_classes(self.generator, s.batch, self._rng, self.class_index)
            ws = self.generator.map(z, psi=s.psi, labels=self.generator.labels(classes))
        inputs = sample_inputs(config, s.batch, generator=beside(self._rng, self.device)).to(self.device)
        move = self.mapper.residual(ws)
        after = self.generator.synthesize(ws + move, inputs, tile=self.tile)
        with torch.no_grad():
            before = self.generator.synthesize(ws, inputs, tile=self.tile)
        sides, sizes = (before.shape[2], before.shape[3]), [clip.size for clip in self.clips]
        views = draw_views(s.batch, sides, sizes, self.tile or config.tile, self._rng, self.device)
        loss = s.decay * move.square().mean() / self.mapper.tensors["scale"].square()
        match = 0.0
        for clip, goal, view in zip(self.clips, self._goals, views, strict=True):
            with torch.no_grad():
                old = clip.embed_images(view.of(before))
            new = clip.embed_images(view.of(after))
            cosine = (new @ goal).mean()
            match += cosine.item() / len(self.clips)
            loss = loss + (1 - cosine) + s.in_domain * in_domain_loss(old, new)
        if not torch.isfinite(loss):
            raise NonFinite("The mapper diverged; try a smaller learning rate or another seed.")
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._optimizer.step()
        return {"loss": loss.item(), "match": match}

    @torch.no_grad()
    def _seen(self, ws: Tensor) -> Tensor:
        """The judge's embeddings [MEASURED, D] of the fixed latents' pictures, at latents ws."""
        inputs = self._fixed[1]
        parts = [slice(n, n + 8) for n in range(0, MEASURED, 8)]
        pictures = [self.generator.synthesize(ws[p], inputs.items(p), tile=self.tile).clamp(-1, 1) for p in parts]
        return self.judge.embed_images(torch.cat(pictures))

    @torch.no_grad()
    def measure(self, mapper: Mapper) -> Mined:
        ws = self._fixed[0]
        seen, goal = self._seen(ws + mapper.residual(ws)), self.judge.embed_prompt(self.target)
        return Mined(
            quality=(seen @ goal.T).mean().item(),
            before=(self._unmapped @ goal.T).mean().item(),
            retention=diversity(seen) / max(diversity(self._unmapped), 1e-6),
        )


def mine(
    generator: Generator,
    style: Style,
    settings: MineSettings | None = None,
    *,
    clips: Sequence[Clip] | None = None,
    judge: Clip | None = None,
    job: Job | None = None,
) -> Style:
    """The style with a mapper that moves samples as far as their diversity allows.

    clips   that train; None = those that trained the style
    judge   None = the one that judged the style (`encoders`)
    Raises  PromptError, NotFound, NonFinite, Cancelled
    """
    settings, job = settings or MineSettings(), job or Job()
    device = str(generator.mapping.w_avg.device)
    names, judging = encoders(style.info)
    clips, judge = clips or [load_clip(name, device) for name in names], judge or load_clip(judging, device)
    run = Mining(generator, style, settings, clips=clips, judge=judge)
    for done in range(1, settings.iterations + 1):
        job.check()
        numbers = run.step()
        job.report(Progress(done=done, total=settings.iterations, stage="mine", numbers=numbers))
    trained = Mapper({name: t.detach() for name, t in run.mapper.tensors.items()})
    for share in SHARES:
        mapper = trained.scaled(share)
        found = run.measure(mapper)
        if found.retention >= settings.diversity_floor:
            break
    return replace(style, mapper=mapper.tensors, info=_told(style, settings, found))


def encoders(info: StyleInfo) -> tuple[tuple[str, ...], str]:
    """Names of the CLIPs that trained a style and of the one that judged it; the built-in ones where none did."""
    return (info.clips, info.settings.get("judge", info.clips[0])) if info.clips else (("builtin",), "judge")


def _told(style: Style, settings: MineSettings, found: Mined) -> StyleInfo:
    """The style's provenance with the mapper's."""
    scores = {"mined_quality": found.quality, "unmined_quality": found.before, "mined_retention": found.retention}
    measures = style.info.measures | {name: round(value, 4) for name, value in scores.items()}
    return replace(style.info, measures=measures, settings=style.info.settings | {"mine": asdict(settings)})
