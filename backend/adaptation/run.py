"""One run of StyleGAN-NADA, step by step.

Two copies of one generator are shown the same latents and the same noise; the difference between their pictures, seen
by CLIP, is turned until it points the way from the source to the target (`aims`, `objective`). Only the tensors of the
chosen method are trained (`methods`), and they are the result.

Source  Gal et al. 2021
"""

from __future__ import annotations

import hashlib
import logging
import math
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from ...stylegan2.networks import Generator
from ..errors import NO_COLOURS, BadCheckpoint, BadRequest, NonFinite, OutOfMemory, is_out_of_memory
from ..models.memory import MODELS
from .aims import Pictures, find_aim
from .clip import Clip, check_prompt, load_clip
from .measures import Measures, measure
from .methods import METHODS, make_tensors, whole_layers
from .objective import Objective
from .predict import plan
from .selection import select_layers
from .settings import AdaptSettings
from .stopping import Snapshot
from .style import Style, StyleInfo
from .stylegan2 import StyleGAN2Subject
from .subject import CodedSubject, Subject

log = logging.getLogger(__name__)

MEASURED_LATENTS = 16
SHOWN_LATENTS = 4
WARMUP = 20
"""Iterations over which the learning rate rises: Adam's first steps are all of full length, whatever the gradient."""
MAX_ROLLBACKS = 4
MOMENTS = {"mean": "exp_avg", "square": "exp_avg_sq"}
"""Adam's state by our names."""
STATES = (*MOMENTS, "mask")
NO_SOURCE = "the generator's own pictures"
"""What a style names as its source where pictures alone are the target."""


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
        self.need, checkpointing = plan(self.subject, settings, self.clips)
        if isinstance(self.subject, StyleGAN2Subject):
            self.subject.checkpointing = checkpointing
        self._fixed = self.subject.fixed(MEASURED_LATENTS)
        self._fixed_source = self._pictures(None, self._fixed)
        if not self._fixed_source.isfinite().all():
            raise NonFinite(NO_COLOURS)
        aims = {c.name: find_aim(c, settings, pictures, self._fixed_source) for c in [*self.clips, self.judge]}
        self.aims = [aims[clip.name] for clip in self.clips]
        self._judge_aim = aims[self.judge.name]
        self.objective = Objective(
            settings=settings, clips=self.clips, weights=weights, aims=self.aims, tile=self.subject.tile
        )
        self._rng = torch.Generator().manual_seed(settings.seed)
        self.learning_rate = settings.learning_rate or self.method.learning_rate
        self.rollbacks = self.iterations = self._warmed = 0
        self._freed, self._parts = False, 1  # what `_spare` has done
        self.tensors = self.method.make(self.subject, settings, self._rng)
        if resume:
            self._go_on_from(resume)
        self._mask: dict[str, Tensor] = {}
        self._train(self.tensors)
        self._optimizer = self._fresh_optimizer()
        if resume and state:
            self._restore(state)

    def _subject(self) -> Subject:
        """The generator as a subject; one of StyleGAN2 is trained on the smallest pictures that the CLIPs need."""
        if not isinstance(self.generator, Generator):
            if self.settings.train_size or self.settings.tile or self.settings.checkpointing:
                raise BadRequest("train_size, tile and checkpointing are for StyleGAN2 generators; leave them out.")
            return self.generator
        needed, size = max(clip.size for clip in self.clips), self.generator.config.resolution
        smallest = min(size, 1 << (needed - 1).bit_length())
        train_px = self.settings.train_size or max(4, smallest)
        return StyleGAN2Subject(self.generator, tile=self.settings.tile, train_px=train_px)

    def _default_judge(self) -> Clip:
        """An encoder that does not train the style, where there is one that knows the prompts' words."""
        if any(clip.name != "builtin" for clip in self.clips):
            return self.clips[0]
        return load_clip("judge", str(self.clips[0].device))

    @property
    def total(self) -> int:
        """Iterations at the most."""
        return self.method.max_iterations if self.settings.iterations == "auto" else self.settings.iterations

    @property
    def pruned_at(self) -> int:
        """The iteration after which only the largest offsets are left; 0 = all stay."""
        return round(self.total * 2 / 3) if self.settings.keep_share < 1 else 0

    def _go_on_from(self, style: Style) -> None:
        shapes = self.method.shapes(self.subject, self.settings)
        there = {name: tuple(t.shape) for name, t in style.tensors.items()}
        same = there.items() <= shapes.items() if self.method.selects else there == shapes
        info, s = style.info, self.settings
        asked = (s.method_name, s.source or NO_SOURCE, s.described_target(), self.subject.hash())
        if (info.method, info.source, info.target, info.generator_hash) != asked or not same:
            raise BadRequest(
                f"The style {info.name!r} was made with other settings ({info.method}: {info.source!r} to "
                f"{info.target!r} on {info.generator!r}), so this run cannot go on from it; give those, or start anew."
            )
        if style.info.iterations >= self.total:
            raise BadRequest(
                f"The style {style.info.name!r} has {style.info.iterations} iterations already; ask for more of them."
            )
        # in the order of a fresh run: sums over them are to have the same bits
        begun = {name: style.tensors[name].detach().clone() for name in shapes if name in style.tensors}
        self.tensors = {name: t.to(self.subject.device) for name, t in begun.items()}
        self.iterations = int(style.info.iterations)
        # Without the state: other random numbers than the first part had, and the same ones at every resumption.
        self._rng.manual_seed(self.settings.seed + 2**32 * self.iterations)

    def state(self) -> dict[str, Tensor]:
        """All that a step depends on beside the tensors, for a run that goes on later.

        "rng"        bytes of the random generator
        "counts"     int64 [steps of Adam, steps since the warm-up began, rollbacks]
        "mean/P", "square/P", "mask/P"  of tensor P: Adam's two moments (where it trains now), what pruning left
        """
        optimizer, kept = self._optimizer, {name: t for name, t in self.tensors.items() if t.requires_grad}
        moments = optimizer.state if optimizer else {}
        steps = max((int(entry["step"]) for entry in moments.values()), default=0)
        state = {"rng": self._rng.get_state(), "counts": torch.tensor([steps, self._warmed, self.rollbacks])}
        for kind, key in MOMENTS.items():
            state |= {
                f"{kind}/{n}": moments[t][key].clone() if t in moments else torch.zeros_like(t) for n, t in kept.items()
            }
        return state | {f"mask/{name}": mask.clone() for name, mask in self._mask.items()}

    def _restore(self, state: Mapping[str, Tensor]) -> None:
        """Take up what `state` gave. Raises BadCheckpoint where it does not belong to these tensors."""
        parts = {kind: {n[len(kind) + 1 :]: t for n, t in state.items() if n.startswith(f"{kind}/")} for kind in STATES}
        shapes = {name: t.shape for name, t in self.tensors.items()}
        try:
            if not all(
                t.shape == shapes[name] and t.isfinite().all() for part in parts.values() for name, t in part.items()
            ):
                raise ValueError("not the state of these tensors")
            trained = parts["mean"].keys()
            steps, self._warmed, self.rollbacks = (int(n) for n in state["counts"])
            self._rng.set_state(state["rng"])
            self._train(trained)
            optimizer = self._fresh_optimizer()
            if optimizer:
                for name in trained:
                    moments = {key: parts[kind][name].to(self.subject.device) for kind, key in MOMENTS.items()}
                    optimizer.state[self.tensors[name]] = {"step": torch.tensor(float(steps)), **moments}
        except (KeyError, ValueError, TypeError, RuntimeError) as error:
            raise BadCheckpoint(
                "The state that the run was to go on from is damaged or another run's; start without --resume."
            ) from error
        self._optimizer, self._mask = optimizer, {n: t.to(self.subject.device) for n, t in parts["mask"].items()}
        self.learning_rate /= 2**self.rollbacks

    def _train(self, names: Collection[str]) -> None:
        """Train the tensors of these names and no others."""
        for name, tensor in self.tensors.items():
            tensor.requires_grad_(name in names)

    def _fresh_optimizer(self) -> torch.optim.Adam | None:
        trained = [t for t in self.tensors.values() if t.requires_grad]
        return torch.optim.Adam(trained, lr=self.learning_rate, betas=self.method.betas) if trained else None

    def _autocast(self) -> torch.autocast:
        """Mixed precision keeps what CLIP returns, directions and losses in float32."""
        device = self.subject.device.type
        able = device == "cuda" and torch.cuda.is_bf16_supported()
        mixed = self.settings.precision == "mixed" or (self.settings.precision == "auto" and able)
        return torch.autocast(device, dtype=torch.bfloat16, enabled=mixed)

    @torch.no_grad()
    def _pictures(self, tensors: dict[str, Tensor] | None, drawn: Any, *, full: bool = False) -> Tensor:
        """The source's pictures (None), or those of given tensors; no gradient; a batch at a time, for memory."""
        count, step = MEASURED_LATENTS, self.settings.batch
        parts = (self.subject.some(drawn, slice(i, min(i + step, count))) for i in range(0, count, step))
        return torch.cat([self.subject.pictures(part, tensors, full=full) for part in parts])

    def draw(self) -> Any:
        """One batch of random inputs: drawn once, shown to both generators."""
        s = self.settings
        return self.subject.draw(s.batch, self._rng, psi=s.psi, mixing=s.mixing)

    def step(self) -> dict[str, float]:
        """One iteration. Returns {"loss", "direction"}, and "rollbacks" where there were any: a step that is not finite
        is undone, and made again at half the rate.

        Raises NonFinite after several such steps.
        """
        if self.method.selects and (self._optimizer is None or self.iterations % self.settings.select_every == 0):
            self._select()
        for _ in range(MAX_ROLLBACKS):
            kept = {name: t.detach().clone() for name, t in self.tensors.items()}
            numbers = self._try_step()
            if all(math.isfinite(v) for v in numbers.values()) and self._finite():
                self.iterations += 1
                self._warmed += 1
                if self.iterations == self.pruned_at:
                    self._prune()
                return numbers | ({"rollbacks": float(self.rollbacks)} if self.rollbacks else {})
            with torch.no_grad():
                for name, t in self.tensors.items():
                    t.copy_(kept[name])
            self.rollbacks += 1
            self.learning_rate /= 2
            self._optimizer = self._fresh_optimizer()
        raise NonFinite("The adaptation diverged; try a smaller learning rate, another method or another seed.")

    def _finite(self) -> bool:
        return all(bool(torch.isfinite(t).all()) for t in self.tensors.values())

    def _select(self) -> None:
        """Choose the layers to train now; what others have learnt stays."""
        layers = select_layers(
            cast(CodedSubject, self.subject), self.settings, self.clips, self.objective.weights, self.aims,
            self.tensors, self._rng,
        )  # fmt: skip
        shapes = whole_layers(self.subject, layers)
        new = {name: shape for name, shape in shapes.items() if name not in self.tensors}
        there = self.tensors | make_tensors(new, self.subject.device, self._rng)
        self.tensors = {name: there[name] for name in self.method.shapes(self.subject, self.settings) if name in there}
        before = {name for name, t in self.tensors.items() if t.requires_grad}
        self._train(shapes)
        if before != set(shapes):
            self._optimizer = self._fresh_optimizer()

    def _backward(self, rng: torch.Generator) -> dict[str, float]:
        """The gradients of one batch, in the tensors; where the device runs out of memory, in a way that needs less.

        Raises  OutOfMemory where nothing helps
        """
        before = rng.get_state()
        while True:
            try:
                return self._gradients(rng)
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
            # Outside the handler: the error's frames hold the activations.
            rng.set_state(before)
            self._spare()

    def _gradients(self, rng: torch.Generator) -> dict[str, float]:
        s, told = self.settings, {"loss": 0.0, "direction": 0.0}
        for tensor in self.tensors.values():
            tensor.grad = None
        drawn = self.subject.draw(s.batch, rng, psi=s.psi, mixing=s.mixing)
        size = -(-s.batch // self._parts)
        for first in range(0, s.batch, size):
            part = drawn if size == s.batch else self.subject.some(drawn, slice(first, first + size))
            share = min(size, s.batch - first) / s.batch
            with self._autocast():
                source, adapted = self.subject.pair(part, self.tensors)
                loss, direction = self.objective(source.float(), adapted.float(), self.tensors, rng)
            (loss if share == 1 else loss * share).backward()
            told = {"loss": told["loss"] + share * loss.item(), "direction": told["direction"] + share * direction}
        return told

    def _spare(self) -> None:
        """After a step ran out of memory: let other models go; compute activations twice, which changes no bit; at last
        take the batch in parts, in which pictures are compared with fewer others. Raises OutOfMemory at the end."""
        for tensor in self.tensors.values():
            tensor.grad = None
        if not self._freed:
            self._freed = True
        elif isinstance(self.subject, StyleGAN2Subject) and not self.subject.checkpointing:
            self.subject.checkpointing = True
            log.warning("out of memory: going on with activations that are computed twice")
        elif self._parts < self.settings.batch:
            self._parts = min(2 * self._parts, self.settings.batch)
            log.warning("out of memory: going on with the batch in %d parts", self._parts)
        else:
            raise OutOfMemory(
                "The device has too little memory for this adaptation, even for one picture at a time; use a smaller "
                "--train-size or a smaller CLIP, or close other programs."
            )
        MODELS.free()

    def _try_step(self) -> dict[str, float]:
        assert self._optimizer is not None  # whatever selects has selected by now
        for group in self._optimizer.param_groups:
            group["lr"] = self.learning_rate * min(1.0, (self._warmed + 1) / WARMUP)
        numbers = self._backward(self._rng)
        self._optimizer.step()
        with torch.no_grad():
            for name, mask in self._mask.items():
                self.tensors[name].mul_(mask)
        return numbers

    @torch.no_grad()
    def _prune(self) -> None:
        """Keep the largest share of the offsets; the others are 0 from now on."""
        sizes = torch.cat([t.abs().flatten() for t in self.tensors.values()])
        least = sizes.topk(max(1, round(self.settings.keep_share * len(sizes)))).values[-1]
        self._mask = {name: (t.abs() >= least).to(t) for name, t in self.tensors.items()}
        for name, mask in self._mask.items():
            self.tensors[name].mul_(mask)

    def rehearse(self) -> float:
        """Seconds of one step, of which nothing stays. The first step of a process is slower than the others."""
        if self.method.selects and self._optimizer is None:
            self._select()
        began_s = time.monotonic()
        self._backward(torch.Generator().manual_seed(self.settings.seed))
        return time.monotonic() - began_s

    @torch.no_grad()
    def snapshot(self) -> Snapshot:
        adapted = self._pictures(self.tensors, self._fixed)
        tensors = {name: t.detach().clone() for name, t in self.tensors.items()}
        measures = measure(self.judge, self._fixed_source, adapted, self._judge_aim)
        return Snapshot(iterations=self.iterations, tensors=tensors, measures=measures)

    def verify(self, snapshot: Snapshot) -> Measures:
        """The snapshot's measures on pictures of full size, where it was trained on smaller ones."""
        source, adapted = (self._pictures(t, self._fixed, full=True) for t in (None, snapshot.tensors))
        return measure(self.judge, source, adapted, self._judge_aim)

    @torch.no_grad()
    def preview(self, tensors: dict[str, Tensor] | None = None) -> np.ndarray:
        """uint8 [2 * R, n * R, 3]: some fixed latents before (above) and after (below), now or at a snapshot."""
        shown = self.subject.some(self._fixed, slice(SHOWN_LATENTS))
        rows = [self._fixed_source[:SHOWN_LATENTS], self.subject.pictures(shown, tensors or self.tensors)]
        sheet = torch.cat([torch.cat(list(row), dim=2) for row in rows], dim=1)
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
            settings=self._provenance(),
        )
        half = self.preview(snapshot.tensors)
        return Style(info=info, tensors=snapshot.tensors, thumbnail=half[half.shape[0] // 2 :, : half.shape[0]])

    def _provenance(self) -> dict[str, Any]:
        """Every setting; pictures by what is in them, since a style holds no path."""
        s = self.settings
        told = asdict(s) | {"learning_rate": self.learning_rate, "judge": self.judge.name}
        for name in ("images", "source_images"):
            told[name] = [hashlib.sha256(path.read_bytes()).hexdigest() for path in getattr(s, name)]
        if self.rollbacks:
            told["rollbacks"] = self.rollbacks
        return told
