"""StyleGAN-NADA: adapt a generator to a prompt, by text alone.

Two copies of one generator are shown the same latents and the same noise; the difference between their pictures, seen
by CLIP, is turned until it points the way that the target's text differs from the source's. Only the tensors of the
chosen method are trained (`methods`), and they are the result.

Source  Gal et al. 2021
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call

from ...stylegan2.checkpoints import generator_hash
from ...stylegan2.inputs import SynthesisInputs, sample_inputs
from ...stylegan2.networks import Generator
from ..errors import NonFinite
from ..job import Job, Progress
from .clip import Clip, check_prompt, load_clip
from .losses import directional_loss, gamut_loss, in_domain_loss, text_direction
from .measures import Measures, fixed_latents, measure
from .methods import METHODS
from .settings import AdaptSettings
from .style import Style, StyleInfo, expand
from .views import draw_view

SNAPSHOT_EVERY = 25
MEASURED_LATENTS = 16
SHOWN_LATENTS = 4
WARMUP = 20
"""Iterations over which the learning rate rises: Adam's first steps are all of full length, whatever the gradient."""
PLATEAU = 0.01
PATIENCE = 3
"""Less rise of the direction score than PLATEAU over PATIENCE snapshots, and "auto" stops; relief comes after colour,
and the score rests between them."""
MAX_ROLLBACKS = 4


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """The trained tensors after some iterations, and what they did to the fixed latents."""

    iterations: int
    tensors: dict[str, Tensor]
    measures: Measures


class Adaptation:
    """One run, step by step: `step` trains, `snapshot` measures, `style` gives the result.

    generator  float32; its weights are left as they were
    clips      their losses are added; None = those that the settings name
    judge      measures; None = the built-in judge where the built-in CLIP alone trains, else the first of `clips`
    Raises     PromptError for prompts that a CLIP cannot read
    """

    def __init__(
        self,
        generator: Generator,
        settings: AdaptSettings,
        *,
        clips: Sequence[Clip] | None = None,
        judge: Clip | None = None,
    ) -> None:
        self.settings = settings
        self.generator = generator.eval().requires_grad_(False)
        self.device = generator.mapping.w_avg.device
        self.clips = (
            list(clips) if clips is not None else [load_clip(name, str(self.device)) for name in settings.clips]
        )
        self.judge = judge or self._default_judge()
        for clip in {c.name: c for c in [*self.clips, self.judge]}.values():
            check_prompt(clip, settings.source)
            check_prompt(clip, settings.target)
        self.directions = [text_direction(clip, settings.source, settings.target) for clip in self.clips]
        self.method = METHODS[settings.method_name]
        self._rng = torch.Generator().manual_seed(settings.seed)
        self.tensors = self.method.make(generator, settings.rank, self._rng)
        for tensor in self.tensors.values():
            tensor.requires_grad_(True)
        self.learning_rate = settings.learning_rate or self.method.learning_rate
        self._optimizer = self._fresh_optimizer()
        self.iterations = 0
        self._fixed_ws, self._fixed_inputs = fixed_latents(generator, MEASURED_LATENTS)
        self._fixed_source = self._pictures(None, self._fixed_ws, self._fixed_inputs)

    def _default_judge(self) -> Clip:
        """An encoder that does not train the style, where there is one that knows the prompts' words."""
        if any(clip.name != "builtin" for clip in self.clips):
            return self.clips[0]
        return load_clip("judge", str(self.device))

    def _fresh_optimizer(self) -> torch.optim.Adam:
        return torch.optim.Adam(self.tensors.values(), lr=self.learning_rate, betas=self.method.betas)

    def _adapted(self, tensors: dict[str, Tensor], ws: Tensor, inputs: SynthesisInputs) -> Tensor:
        """The pictures of the source's parameters plus the deltas of `tensors`, with gradient."""
        parameters = dict(self.generator.named_parameters())
        changed = {name: parameters[name] + delta for name, delta in expand(tensors).items()}
        return functional_call(self.generator, changed, (ws, inputs), {"tile": self.settings.tile})

    @torch.no_grad()
    def _pictures(self, tensors: dict[str, Tensor] | None, ws: Tensor, inputs: SynthesisInputs) -> Tensor:
        """The source's pictures (None), or those of given tensors; no gradient."""
        return self._adapted(tensors or {}, ws, inputs)

    def draw(self) -> tuple[Tensor, SynthesisInputs]:
        """One batch of latents, mixing and noise: drawn once, shown to both generators."""
        s, config = self.settings, self.generator.config
        z = torch.randn(2 * s.batch, config.z_dim, generator=self._rng).to(self.device)
        with torch.no_grad():
            # Both halves always, so that the random numbers of a run do not depend on whether any picture is mixed.
            first, second = self.generator.map(z, psi=s.psi, labels=self._labels(2 * s.batch)).chunk(2)
        cut = torch.randint(1, config.num_ws, (s.batch, 1, 1), generator=self._rng)
        mixed = torch.rand(s.batch, 1, 1, generator=self._rng) < s.mixing
        later = torch.arange(config.num_ws)[None, :, None] >= cut
        ws = torch.where((mixed & later).to(self.device), second, first)
        return ws, sample_inputs(config, s.batch, generator=self._rng).to(self.device)

    def _labels(self, n: int) -> Tensor | None:
        c_dim = self.generator.config.c_dim
        if not c_dim:
            return None
        chosen = torch.randint(c_dim, (n,), generator=self._rng)
        return torch.nn.functional.one_hot(chosen, c_dim).float().to(self.device)

    def step(self) -> dict[str, float]:
        """One iteration. Returns {"loss", "direction"}; a step that is not finite is undone at half the rate.

        Raises NonFinite after several such steps.
        """
        for _ in range(MAX_ROLLBACKS):
            kept = {name: t.detach().clone() for name, t in self.tensors.items()}
            numbers = self._try_step()
            if all(math.isfinite(v) for v in numbers.values()) and self._finite():
                self.iterations += 1
                return numbers
            with torch.no_grad():
                for name, t in self.tensors.items():
                    t.copy_(kept[name])
            self.learning_rate /= 2
            self._optimizer = self._fresh_optimizer()
        raise NonFinite("The adaptation diverged; try a smaller learning rate, another method or another seed.")

    def _finite(self) -> bool:
        return all(bool(torch.isfinite(t).all()) for t in self.tensors.values())

    def _try_step(self) -> dict[str, float]:
        ws, inputs = self.draw()
        source = self._pictures(None, ws, inputs)
        adapted = self._adapted(self.tensors, ws, inputs)
        loss, directional = self.settings.gamut * gamut_loss(adapted), 0.0
        view = draw_view(source, self.settings.tile or self.generator.config.tile, self._rng)
        for clip, direction in zip(self.clips, self.directions, strict=True):
            with torch.no_grad():
                before = clip.embed_images(view.of(source))
            after = clip.embed_images(view.of(adapted))
            part = directional_loss(before, after, direction)
            directional += part.item() / len(self.clips)
            loss = loss + part + self.settings.in_domain * in_domain_loss(before, after)
        for group in self._optimizer.param_groups:
            group["lr"] = self.learning_rate * min(1.0, (self.iterations + 1) / WARMUP)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._optimizer.step()
        return {"loss": loss.item(), "direction": 1 - directional}

    @torch.no_grad()
    def snapshot(self) -> Snapshot:
        adapted = self._pictures(self.tensors, self._fixed_ws, self._fixed_inputs)
        measures = measure(self.judge, self._fixed_source, adapted, self.settings.source, self.settings.target)
        tensors = {name: t.detach().clone() for name, t in self.tensors.items()}
        return Snapshot(iterations=self.iterations, tensors=tensors, measures=measures)

    @torch.no_grad()
    def preview(self, tensors: dict[str, Tensor] | None = None) -> np.ndarray:
        """uint8 [2 * R, n * R, 3]: some fixed latents before (above) and after (below), now or at a snapshot."""
        ws, inputs = self._fixed_ws[:SHOWN_LATENTS], self._fixed_inputs.items(slice(SHOWN_LATENTS))
        rows = [self._fixed_source[:SHOWN_LATENTS], self._pictures(tensors or self.tensors, ws, inputs)]
        sheet = torch.cat([torch.cat(list(row), dim=2) for row in rows], dim=1)
        return ((sheet.clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0).cpu().numpy()

    def style(self, snapshot: Snapshot, *, name: str, generator_name: str = "builtin") -> Style:
        """The snapshot as a style, with its provenance and a thumbnail."""
        s = self.settings
        info = StyleInfo(
            name=name,
            generator=generator_name,
            generator_hash=generator_hash(self.generator),
            source=s.source,
            target=s.target,
            method=s.method_name,
            iterations=snapshot.iterations,
            seed=s.seed,
            clips=tuple(clip.name for clip in self.clips),
            measures=snapshot.measures.as_dict(),
            settings={**asdict(s), "learning_rate": self.learning_rate, "judge": self.judge.name},
        )
        half = self.preview(snapshot.tensors)
        return Style(info=info, tensors=snapshot.tensors, thumbnail=half[half.shape[0] // 2 :, : half.shape[0]])


def adapt(
    generator: Generator,
    settings: AdaptSettings,
    *,
    name: str = "style",
    generator_name: str = "builtin",
    clips: Sequence[Clip] | None = None,
    judge: Clip | None = None,
    job: Job | None = None,
    keep: Callable[[Style, Sequence[Snapshot]], None] | None = None,
) -> Style:
    """Adapt `generator` to `settings.target` and return the style.

    job   is told of every iteration (numbers: loss, direction) and asked whether to stop, which raises `Cancelled`
    keep  is given a usable style and all snapshots so far at every snapshot, so that an interruption loses little
    Raises  PromptError, NonFinite, Cancelled
    """
    job = job or Job()
    run = Adaptation(generator, settings, clips=clips, judge=judge)
    total = run.method.max_iterations if settings.iterations == "auto" else settings.iterations
    snapshots: list[Snapshot] = []
    while run.iterations < total:
        job.check()
        numbers = run.step()
        done = run.iterations
        show = settings.preview_every and (done % settings.preview_every == 0 or done in (1, total))
        preview = run.preview() if show else None
        job.report(Progress(done=done, total=total, stage="adapt", numbers=numbers, preview=preview))
        if done % SNAPSHOT_EVERY == 0 or done == total:
            snapshots.append(run.snapshot())
            if keep:
                keep(run.style(snapshots[-1], name=name, generator_name=generator_name), snapshots)
            if settings.iterations == "auto" and finished(snapshots, settings.diversity_floor):
                break
    chosen = snapshots[-1] if settings.iterations != "auto" else best(snapshots, settings.diversity_floor)
    return run.style(chosen, name=name, generator_name=generator_name)


def finished(snapshots: Sequence[Snapshot], diversity_floor: float) -> bool:
    """Whether to stop: diversity fell under its floor, or the direction score no longer rises."""
    if snapshots[-1].measures.retention < diversity_floor:
        return True
    if len(snapshots) < 2 * PATIENCE:
        return False
    before = max(s.measures.direction for s in snapshots[:-PATIENCE])
    return max(s.measures.direction for s in snapshots[-PATIENCE:]) < before + PLATEAU


def best(snapshots: Sequence[Snapshot], diversity_floor: float) -> Snapshot:
    """The highest direction score among the snapshots that keep their diversity; the first one where none does."""
    diverse = [s for s in snapshots if s.measures.retention >= diversity_floor]
    return max(diverse, key=lambda s: s.measures.direction) if diverse else snapshots[0]
