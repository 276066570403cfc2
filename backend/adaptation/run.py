"""One run of StyleGAN-NADA, step by step.

Two copies of one generator are shown the same latents and the same noise; the difference between their pictures, seen
by CLIP, is turned until it points the way from the source to the target (`aims`, `objective`). Only the tensors of the
chosen method are trained (`methods`), and they are the result.

Source  Gal et al. 2021
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeGuard, cast

import numpy as np
import torch
from torch import Tensor

from ...stylegan2.networks import Generator
from ..errors import NO_COLOURS, BadRequest, NonFinite
from .aims import Pictures, find_aim
from .clip import Clip, check_prompt, load_clip
from .descent import Descent, damaged
from .faithful import faithful_px, smallest_px
from .gradients import Gradients
from .measures import measure
from .methods import METHODS, make_tensors, whole_layers
from .objective import Objective
from .predict import plan
from .reading import find_reading
from .resize import fit_square
from .resuming import NO_SOURCE, tensors_to_go_on_from, told_settings
from .selection import select_layers
from .settings import AdaptSettings
from .snapshots import between
from .stopping import Snapshot
from .style import Style, StyleInfo
from .stylegan2 import StyleGAN2Subject
from .subject import CodedSubject, Subject

MEASURED_LATENTS = 16
SHOWN_LATENTS = 4
SHOWN_PX = 128
"""Side of a picture in a preview, at the most."""


class Adaptation:
    """One run, step by step: `step` trains, `snapshot` measures, `style` gives the result.

    generator  float32; its weights are left as they were. A `Generator`, or anything that is a `Subject`
    clips      their losses are added; None = those that the settings name. Weights are the settings'
    judge      measures; None = the built-in judge where the built-in CLIP alone trains, else the first of `clips`
    resume     a style of these very settings, perhaps of fewer iterations, to go on from
    state      what `state` gave there: the run goes on bit for bit as if it had never stopped; {} = Adam starts anew
    Raises     PromptError for prompts that a CLIP cannot read; BadRequest, NotFound; OutOfMemory before any work
    """

    def __init__(
        self,
        generator: Generator | Subject,
        settings: AdaptSettings,
        *,
        clips: Sequence[Clip] | None = None,
        judge: Clip | None = None,
        resume: Style | None = None,
        state: Mapping[str, Tensor] | None = None,
    ) -> None:
        self.settings, self.generator = settings, generator
        self.method = METHODS[settings.method_name]
        device = generator.mapping.w_avg.device if isinstance(generator, Generator) else generator.device
        named = settings.weighted_clips()
        self.clips = list(clips) if clips is not None else [load_clip(name, str(device)) for name, _ in named]
        weights = [weight for _, weight in named] if len(named) == len(self.clips) else [1.0] * len(self.clips)
        self.judge = judge or self._default_judge()
        for clip in {c.name: c for c in [*self.clips, self.judge]}.values():
            for prompt in settings.prompts:
                check_prompt(clip, prompt)
        pictures = Pictures.read(settings, device)
        self.subject = self._subject()
        self._fixed = self.subject.fixed(MEASURED_LATENTS)
        self.need, checkpointing = plan(self.subject, settings, self.clips)
        if self._may_be_small(self.subject):
            train_px, self._fixed_source = faithful_px(self.subject, self.clips, self._batches(self._fixed))
            self.subject = self._of_stylegan2(train_px)
            self.need, checkpointing = plan(self.subject, settings, self.clips)
        else:
            self._fixed_source = self._pictures(None, self._fixed)
        if isinstance(self.subject, StyleGAN2Subject):
            self.subject.checkpointing = checkpointing
        if not self._fixed_source.isfinite().all():
            raise NonFinite(NO_COLOURS)
        aims = {c.name: find_aim(c, settings, pictures, self._fixed_source) for c in [*self.clips, self.judge]}
        self.aims = [aims[clip.name] for clip in self.clips]
        self._judge_aim = aims[self.judge.name]
        readings = [find_reading(clip, settings, self.subject.kinds) for clip in self.clips]
        self.objective = Objective(
            settings=settings, clips=self.clips, weights=weights, aims=self.aims, readings=readings,
            tile=self.subject.tile,
        )  # fmt: skip
        self.gradients = Gradients(self.subject, settings, self.objective)
        self._rng = torch.Generator().manual_seed(settings.seed)
        self.iterations = 0
        rate = settings.learning_rate or self.method.learning_rate
        begun = self.method.make(self.subject, settings, self._rng)
        if resume:
            begun = self._go_on_from(resume, rate)
        self.descent = Descent(begun, learning_rate=rate, betas=self.method.betas)
        if resume and state:
            self._restore(state)

    def _subject(self) -> Subject:
        """The generator as a subject; one of StyleGAN2 that may be trained on smaller pictures, on the smallest."""
        s = self.settings
        if isinstance(self.generator, Generator):
            whole = self._of_stylegan2(s.train_size)
            small = smallest_px(self.generator.config, self.clips)
            return self._of_stylegan2(small) if self._may_be_small(whole) else whole
        if s.train_size or s.tile or s.checkpointing or s.class_index is not None:
            raise BadRequest(
                "train_size, tile, checkpointing and class_index are for StyleGAN2 generators; leave them out."
            )
        return self.generator

    def _of_stylegan2(self, train_px: int | None) -> StyleGAN2Subject:
        s = self.settings
        return StyleGAN2Subject(self.generator, tile=s.tile, train_px=train_px, class_index=s.class_index)

    def _may_be_small(self, subject: Subject) -> TypeGuard[StyleGAN2Subject]:
        """Whether it is ours to say on sums of colours up to where it is trained (`faithful`)."""
        return isinstance(subject, StyleGAN2Subject) and not self.settings.train_size and subject.repeats == 1

    def _default_judge(self) -> Clip:
        """An encoder that does not train the style, where there is one that knows the prompts' words."""
        if any(clip.name != "builtin" for clip in self.clips):
            return self.clips[0]
        return load_clip("judge", str(self.clips[0].device))

    @property
    def tensors(self) -> dict[str, Tensor]:
        """What is trained, by name, as it is after the last step; a style is the average of some (`snapshot`)."""
        return self.descent.tensors

    @property
    def total(self) -> int:
        """Iterations at the most."""
        return self.method.max_iterations if self.settings.iterations == "auto" else self.settings.iterations

    @property
    def pruned_at(self) -> int:
        """The iteration after which only the largest offsets are left; 0 = all stay."""
        return round(self.total * 2 / 3) if self.settings.keep_share < 1 else 0

    def _go_on_from(self, style: Style, rate: float) -> dict[str, Tensor]:
        told = told_settings(self.settings, learning_rate=rate, judge=self.judge.name)
        begun = tensors_to_go_on_from(style, self.subject, self.settings, told)
        if style.info.iterations > self.total:
            raise BadRequest(
                f"The style {style.info.name!r} has {style.info.iterations:g} iterations already; ask for more of them."
            )
        self.iterations = int(style.info.iterations)
        # Without the state: other random numbers than the first part had, and the same ones at every resumption.
        self._rng.manual_seed(self.settings.seed + 2**32 * self.iterations)
        return begun

    def state(self) -> dict[str, Tensor]:
        """All that a step depends on beside the tensors, for a run that goes on later.

        "rng"   bytes of the random generator
        others  of the descent (`Descent.state`)
        """
        return {"rng": self._rng.get_state()} | self.descent.state()

    def _restore(self, state: Mapping[str, Tensor]) -> None:
        """Take up what `state` gave. Raises BadCheckpoint where it does not belong to these tensors."""
        self.descent.restore(state)
        try:
            self._rng.set_state(state["rng"])
        except (KeyError, TypeError, RuntimeError) as error:
            raise damaged() from error

    @torch.no_grad()
    def _pictures(self, tensors: dict[str, Tensor] | None, drawn: Any) -> Tensor:
        """The source's pictures (None), or those of given tensors; no gradient."""
        return torch.cat([self.subject.pictures(part, tensors) for part in self._batches(drawn)])

    def _batches(self, drawn: Any) -> Iterator[Any]:
        """The measured latents, as many at a time as are trained on, for memory."""
        count, step = MEASURED_LATENTS, self.settings.batch
        return (self.subject.some(drawn, slice(i, min(i + step, count))) for i in range(0, count, step))

    def draw(self) -> Any:
        """One batch of random inputs: drawn once, shown to both generators."""
        s = self.settings
        return self.subject.draw(s.batch, self._rng, psi=s.psi, mixing=s.mixing)

    def step(self) -> dict[str, float]:
        """One iteration. Returns {"loss", "direction"}, and "rollbacks" where there were any (`Descent.step`).

        Raises  NonFinite, OutOfMemory
        """
        if self.method.selects and (not self.descent.begun or self.iterations % self.settings.select_every == 0):
            self._select()
        numbers = self.descent.step(lambda: self.gradients(self.tensors, self._rng))
        self.iterations += 1
        if self.iterations == self.pruned_at:
            self.descent.prune(self.settings.keep_share)
        return numbers

    def _select(self) -> None:
        """Choose the layers to train now; what others have learnt stays."""
        layers = select_layers(
            cast(CodedSubject, self.subject), self.settings, self.clips, self.objective.weights, self.aims,
            self.tensors, self._rng,
        )  # fmt: skip
        trained = whole_layers(self.subject, layers)
        new = {name: shape for name, shape in trained.items() if name not in self.tensors}
        there = self.tensors | make_tensors(new, self.subject.device, self._rng)
        shapes = self.method.shapes(self.subject, self.settings)
        self.descent.change({name: there[name] for name in shapes if name in there}, trained)

    def rehearse(self) -> float:
        """Seconds of one step, of which nothing stays. The first step of a process is slower than the others."""
        if self.method.selects and not self.descent.begun:
            self._select()
        rng = torch.Generator().manual_seed(self.settings.seed)
        for _ in range(self.gradients.warm_up):
            self.gradients(self.tensors, rng)
        began_s = time.monotonic()
        self.gradients(self.tensors, rng)
        return time.monotonic() - began_s

    @torch.no_grad()
    def snapshot(self, strength: float = 1.0) -> Snapshot:
        """The average of the last steps at a strength, measured on whole pictures, whatever it is trained on."""
        tensors = between({}, self.descent.average, strength)
        adapted = self._pictures(tensors, self._fixed)
        measures = measure(self.judge, self._fixed_source, adapted, self._judge_aim)
        return Snapshot(iterations=self.iterations, tensors=tensors, measures=measures)

    @torch.no_grad()
    def preview(self, tensors: dict[str, Tensor] | None = None) -> np.ndarray:
        """uint8 [2 * R, n * R, 3], R at most SHOWN_PX: some fixed latents before (above) and after (below), now or at a
        snapshot."""
        shown = self.subject.some(self._fixed, slice(SHOWN_LATENTS))
        rows = [self._fixed_source[:SHOWN_LATENTS], self.subject.pictures(shown, tensors or self.descent.average)]
        sizes = [fit_square(row, min(SHOWN_PX, *row.shape[2:])) for row in rows]
        sheet = torch.cat([torch.cat(list(row), dim=2) for row in sizes], dim=1)
        return ((sheet.clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0).cpu().numpy()

    def style(self, snapshot: Snapshot, *, name: str, generator_name: str = "builtin") -> Style:
        """The snapshot as a style, with its provenance and a thumbnail."""
        s = self.settings
        info = StyleInfo(
            name=name,
            generator=generator_name,
            generator_hash=self.subject.hash(),
            source=s.source or NO_SOURCE,
            target=s.described_target(),
            method=s.method_name,
            iterations=snapshot.iterations,
            seed=s.seed,
            clips=tuple(clip.name for clip in self.clips),
            measures=snapshot.measures.as_dict(),
            settings=told_settings(
                s, learning_rate=self.descent.learning_rate, judge=self.judge.name, rollbacks=self.descent.rollbacks
            ),
        )
        half = self.preview(snapshot.tensors)
        return Style(info=info, tensors=snapshot.tensors, thumbnail=half[half.shape[0] // 2 :, : half.shape[0]])
