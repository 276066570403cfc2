"""The gradients of one batch; where the device runs out of memory, in ways that need less of it, from then on.

On a GPU the thousands of small kernels of a step take longer to launch than to run, so they are recorded once and
replayed (`Recorded`): what is random is drawn before, and nothing in between asks the GPU for a number.
"""

from __future__ import annotations

import logging
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor

from ...stylegan2.training.recorded import WARM_UP, Recorded
from ..errors import OutOfMemory, is_out_of_memory
from ..models.memory import MODELS
from .objective import Objective, Views
from .settings import AdaptSettings
from .stylegan2 import Drawn, StyleGAN2Subject
from .subject import Subject

log = logging.getLogger(__name__)
Found = tuple[Tensor, Sequence[Tensor | None]]
"""[loss, direction], and a gradient of every tensor that trains; None where it counts for nothing."""


class Gradients:
    """of_batch  what is done with a batch, or with a part of it
    freed     other models were let go
    parts     in how many parts a batch is taken
    """

    def __init__(self, subject: Subject, settings: AdaptSettings, objective: Objective) -> None:
        self.subject, self.settings, self.objective = subject, settings, objective
        self.of_batch = OfBatch(subject, settings, objective)
        self.freed, self.parts = False, 1
        self._recording: _Recording | None = None

    @property
    def warm_up(self) -> int:
        """Calls that take longer than those after them."""
        return WARM_UP + 1 if self._may_record else 0

    @property
    def _may_record(self) -> bool:
        """Activations that are computed twice, and batches in parts, are for want of memory, which a record takes."""
        subject = self.subject
        stylegan2 = isinstance(subject, StyleGAN2Subject) and not subject.checkpointing
        return stylegan2 and subject.device.type == "cuda" and self.parts == 1

    def __call__(self, tensors: Mapping[str, Tensor], rng: torch.Generator) -> dict[str, float]:
        """Leave the gradients of one batch in the tensors. Returns {"loss", "direction"}.

        Raises  OutOfMemory where nothing helps
        """
        before = rng.get_state()
        while True:
            try:
                return self._once(tensors, rng)
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
            # Outside the handler: the error's frames hold the activations.
            rng.set_state(before)
            _clear(tensors)
            self._spare()

    def _once(self, tensors: Mapping[str, Tensor], rng: torch.Generator) -> dict[str, float]:
        s, subject = self.settings, self.subject
        told = torch.zeros(2, device=subject.device)
        _clear(tensors)
        drawn = subject.draw(s.batch, rng, psi=s.psi, mixing=s.mixing)
        size = -(-s.batch // self.parts)
        for first in range(0, s.batch, size):
            count = min(size, s.batch - first)
            part = drawn if size == s.batch else subject.some(drawn, slice(first, first + size))
            views, share = self.objective.draw(count, subject.sides, rng, subject.device), count / s.batch
            if self._may_record:
                numbers, gradients = self._replayed(part, views, tensors)
            else:
                numbers, gradients = self.of_batch(part, views, tensors)
            told = told + share * numbers
            for tensor, gradient in zip(_trained(tensors).values(), gradients, strict=True):
                if gradient is not None:
                    own = gradient if share == 1 else gradient * share
                    tensor.grad = own if tensor.grad is None else tensor.grad + own
        loss, direction = told.tolist()
        return {"loss": loss, "direction": direction}

    def _replayed(self, drawn: Drawn, views: Views, tensors: Mapping[str, Tensor]) -> Found:
        """What `of_batch` gives, recorded; anew where other tensors train than at the last call."""
        if self._recording is None or not self._recording.is_of(tensors):
            self._recording = _Recording(self.of_batch, tensors)
        return self._recording(drawn, views)

    def _spare(self) -> None:
        """Let other models go; compute activations twice, which changes no bit; at last take the batch in parts, in
        which pictures are compared with fewer others. Raises OutOfMemory at the end."""
        self._recording = None
        if not self.freed:
            self.freed = True
        elif isinstance(self.subject, StyleGAN2Subject) and not self.subject.checkpointing:
            self.subject.checkpointing = True
            log.warning("out of memory: going on with activations that are computed twice")
        elif self.parts < self.settings.batch:
            self.parts = min(2 * self.parts, self.settings.batch)
            log.warning("out of memory: going on with the batch in %d parts", self.parts)
        else:
            raise OutOfMemory(
                "The device has too little memory for this adaptation, even for one picture at a time; use a smaller "
                "--train-size or a smaller CLIP, or close other programs."
            )
        MODELS.free()


@dataclass(frozen=True)
class OfBatch:
    """Forward and backward, once, for pictures that are drawn and views of them."""

    subject: Subject
    settings: AdaptSettings
    objective: Objective

    def __call__(self, drawn: Any, views: Views, tensors: Mapping[str, Tensor]) -> Found:
        with self._autocast():
            source, adapted = self.subject.pair(drawn, tensors)
            loss, direction = self.objective(source.float(), adapted.float(), tensors, views)
        trained = [*_trained(tensors).values()]
        gradients = torch.autograd.grad(loss, trained, allow_unused=True)
        return torch.stack([loss.detach(), direction]), [*map(_laid_out_as, gradients, trained)]

    def _autocast(self) -> torch.autocast:
        """Mixed precision keeps what CLIP returns, directions and losses in float32."""
        device = self.subject.device.type
        able = device == "cuda" and torch.cuda.is_bf16_supported()
        mixed = self.settings.precision == "mixed" or (self.settings.precision == "auto" and able)
        return torch.autocast(device, dtype=torch.bfloat16, enabled=mixed)


class _Recording:
    """`OfBatch` for the same tensors every time. What it returns is overwritten by the next call. Nothing in it refers
    back to it, so that the memory of what was recorded goes with it."""

    def __init__(self, of_batch: OfBatch, tensors: Mapping[str, Tensor]) -> None:
        subject = self._subject = cast(StyleGAN2Subject, of_batch.subject)
        self._tensors, self._trained = dict(tensors), _trained(tensors).keys()
        self._like: list[Any] = []
        self._left: list[Tensor | None] = []
        like, left, tensors = self._like, self._left, self._tensors

        def run(key: Hashable, numbers: Sequence[Tensor]) -> Tensor:
            drawn, views = like
            count = len(subject.tensors_of(drawn))
            filled = subject.filled(drawn, numbers[:count]), views.filled(numbers[count:])
            told, left[:] = of_batch(*filled, tensors)
            return told

        self._recorded = Recorded(run, subject.device)

    def is_of(self, tensors: Mapping[str, Tensor]) -> bool:
        same = tensors.keys() == self._tensors.keys() and all(t is self._tensors[name] for name, t in tensors.items())
        return same and self._trained == _trained(tensors).keys()

    def __call__(self, drawn: Drawn, views: Views) -> Found:
        self._like[:] = drawn, views
        return self._recorded("", [*self._subject.tensors_of(drawn), *views.tensors]), self._left


def _trained(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: t for name, t in tensors.items() if t.requires_grad}


def _laid_out_as(gradient: Tensor | None, tensor: Tensor) -> Tensor | None:
    """In the strides of the tensor, which Adam's fused kernels want, also along sides of length 1."""
    if gradient is None or gradient.stride() == tensor.stride():
        return gradient
    return torch.empty_like(tensor).copy_(gradient)


def _clear(tensors: Mapping[str, Tensor]) -> None:
    for tensor in tensors.values():
        tensor.grad = None
