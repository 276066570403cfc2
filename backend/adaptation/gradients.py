"""The gradients of one batch; where the device runs out of memory, in ways that need less of it, from then on."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import torch
from torch import Tensor

from ..errors import OutOfMemory, is_out_of_memory
from ..models.memory import MODELS
from .objective import Objective
from .settings import AdaptSettings
from .stylegan2 import StyleGAN2Subject
from .subject import Subject

log = logging.getLogger(__name__)


class Gradients:
    """freed  other models were let go
    parts  in how many parts a batch is taken
    """

    def __init__(self, subject: Subject, settings: AdaptSettings, objective: Objective) -> None:
        self.subject, self.settings, self.objective = subject, settings, objective
        self.freed, self.parts = False, 1

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
        s, told = self.settings, {"loss": 0.0, "direction": 0.0}
        _clear(tensors)
        drawn = self.subject.draw(s.batch, rng, psi=s.psi, mixing=s.mixing)
        size = -(-s.batch // self.parts)
        for first in range(0, s.batch, size):
            part = drawn if size == s.batch else self.subject.some(drawn, slice(first, first + size))
            share = min(size, s.batch - first) / s.batch
            with self._autocast():
                source, adapted = self.subject.pair(part, tensors)
                loss, direction = self.objective(source.float(), adapted.float(), tensors, rng)
            (loss if share == 1 else loss * share).backward()
            told = {"loss": told["loss"] + share * loss.item(), "direction": told["direction"] + share * direction}
        return told

    def _autocast(self) -> torch.autocast:
        """Mixed precision keeps what CLIP returns, directions and losses in float32."""
        device = self.subject.device.type
        able = device == "cuda" and torch.cuda.is_bf16_supported()
        mixed = self.settings.precision == "mixed" or (self.settings.precision == "auto" and able)
        return torch.autocast(device, dtype=torch.bfloat16, enabled=mixed)

    def _spare(self) -> None:
        """Let other models go; compute activations twice, which changes no bit; at last take the batch in parts, in
        which pictures are compared with fewer others. Raises OutOfMemory at the end."""
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


def _clear(tensors: Mapping[str, Tensor]) -> None:
    for tensor in tensors.values():
        tensor.grad = None
