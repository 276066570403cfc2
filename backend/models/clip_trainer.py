"""CLIP's contrastive training, step by step, with several true captions for a picture; checkpoints and resumption.

It knows nothing of where pictures and captions come from: whoever calls hands them in, as a function of the step.
"""

from __future__ import annotations

import math
import pickle
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ...stylegan2.training.state import save_state
from ..errors import BadCheckpoint, BadRequest, Cancelled
from ..job import Job, Progress
from .zero_shot import LARGEST_SCALE

Tokenizer = Callable[[Sequence[str]], Tensor]
PIXEL_MEAN, PIXEL_STD = (0.45, 0.42, 0.38), (0.25, 0.25, 0.26)
SAVE_EVERY = 200


@dataclass(frozen=True, kw_only=True)
class Contrastive:
    """steps, batch   updates, and pictures with a caption in each
    learning_rate  of AdamW at its height, after `warmup` steps; it falls along a cosine to 0
    """

    steps: int = 1500
    batch: int = 128
    learning_rate: float = 1.5e-3
    weight_decay: float = 0.1
    warmup: int = 60
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.steps, self.warmup) < 1 or self.batch < 2:
            raise BadRequest("Give steps and a warmup of at least 1, and a batch of at least 2.")
        if not self.learning_rate > 0 or not self.weight_decay >= 0:
            raise BadRequest("Give a learning rate above 0 and a weight decay of at least 0.")


@dataclass(frozen=True, kw_only=True)
class Batch:
    """images [N, 3, S, S] in [-1, 1]; texts, one each; positive bool [N, N]: whether caption j is true of picture i."""

    images: Tensor
    texts: list[str]
    positive: Tensor


class ClipTrainer:
    """An open_clip model in training, where its weights are."""

    def __init__(self, model: Any, tokenizer: Tokenizer, settings: Contrastive) -> None:
        self.model, self.tokenizer, self.settings = model, tokenizer, settings
        decayed = [p for p in model.parameters() if p.dim() >= 2]
        others = [p for p in model.parameters() if p.dim() < 2]
        groups = [{"params": decayed, "weight_decay": settings.weight_decay}, {"params": others, "weight_decay": 0.0}]
        self._optimizer = torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(0.9, 0.98))
        self.steps_done = 0

    @property
    def device(self) -> torch.device:
        return self.model.logit_scale.device

    def step(self, batch: Batch) -> float:
        """One update; returns the loss."""
        s, step = self.settings, self.steps_done
        rate = s.learning_rate * min(1.0, (step + 1) / s.warmup) * (0.5 + 0.5 * math.cos(math.pi * step / s.steps))
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        images, texts = self.embed(batch)
        scale = self.model.logit_scale.exp().clamp(max=LARGEST_SCALE)
        loss = contrastive_loss(images, texts, batch.positive.to(self.device).float(), scale)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self._optimizer.step()
        self.steps_done += 1
        return loss.item()

    def embed(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Unit embeddings of the pictures and of the texts, [N, D] each."""
        return embed_batch(self.model, self.tokenizer, batch)

    def save(self, path: Path) -> None:
        """Write a checkpoint, whole or not at all."""
        state = {"model": self.model.state_dict(), "optimizer": self._optimizer.state_dict(), "steps": self.steps_done}
        save_state(state, path)

    def resume(self, path: Path) -> None:
        """Raises BadCheckpoint for a damaged checkpoint, and one of another model or other words."""
        try:
            state = torch.load(path, weights_only=True, map_location="cpu")
            self.model.load_state_dict(state["model"])
            self._optimizer.load_state_dict(state["optimizer"])
        except (RuntimeError, KeyError, ValueError, EOFError, pickle.UnpicklingError) as error:
            raise BadCheckpoint(
                f"The checkpoint {path.name!r} is damaged or was made with other settings or captions; train with "
                "those that it was made with, or begin anew elsewhere."
            ) from error
        self.steps_done = state["steps"]


def fit(
    trainer: ClipTrainer,
    batches: Callable[[int], Batch],
    keep: Callable[[int], dict[str, float]],
    *,
    checkpoint: Path,
    kept_as: str,
    job: Job,
) -> None:
    """Train to the end, from the checkpoint on if there is one; `keep` saves the model and measures it.

    Raises  Cancelled, after everything was saved
    """
    if checkpoint.exists():
        trainer.resume(checkpoint)
    started, steps = time.monotonic(), trainer.settings.steps
    while trainer.steps_done < steps:
        numbers = {"loss": trainer.step(batches(trainer.steps_done)), "seconds": time.monotonic() - started}
        done, cancelled = trainer.steps_done, job.cancelled()
        if done % SAVE_EVERY == 0 or done == steps or cancelled:
            trainer.save(checkpoint)
            numbers |= keep(done)
        job.report(Progress(done=done, total=steps, stage="clip", numbers=numbers))
        if cancelled:
            raise Cancelled(
                f"Stopped after {done} steps; what there is so far is kept as {kept_as}, and the same command goes on "
                "from there."
            )


def embed_batch(model: Any, tokenizer: Tokenizer, batch: Batch) -> tuple[Tensor, Tensor]:
    """Unit embeddings of the pictures and of the texts, [N, D] each."""
    device = model.logit_scale.device
    images = model.encode_image(normalise(batch.images.to(device)))
    return F.normalize(images, dim=-1), F.normalize(model.encode_text(tokenizer(batch.texts).to(device)), dim=-1)


@torch.no_grad()
def top1(model: Any, tokenizer: Tokenizer, batch: Batch) -> float:
    """Share of the pictures for which the nearest caption of the batch is true of them."""
    training = model.training
    images, texts = embed_batch(model.eval(), tokenizer, batch)
    model.train(training)  # the model may be somebody's shared one
    found = (images @ texts.T).argmax(1).cpu()
    return batch.positive[torch.arange(len(found)), found].float().mean().item()


def contrastive_loss(images: Tensor, texts: Tensor, positive: Tensor, scale: Tensor) -> Tensor:
    """Symmetric InfoNCE with several positives: cross entropy against a uniform distribution over the true pairs.

    images [N, D], texts [N, D] unit; positive [N, N] bool, true on the diagonal. Source: Radford et al. 2021, figure 3,
    with the targets of Khosla et al. 2020 (supervised contrastive).
    """
    logits = scale * images @ texts.T
    by_image = positive / positive.sum(1, keepdim=True)
    by_text = positive / positive.sum(0, keepdim=True)
    return -0.5 * ((by_image * logits.log_softmax(1)).sum(1).mean() + (by_text * logits.log_softmax(0)).sum(0).mean())


def normalise(images: Tensor) -> Tensor:
    mean, std = (torch.tensor(v, device=images.device).view(1, 3, 1, 1) for v in (PIXEL_MEAN, PIXEL_STD))
    return ((images + 1) / 2 - mean) / std


def augment(images: Tensor, rng: torch.Generator) -> Tensor:
    """How a generator's picture differs from a render: scale, softness, noise, contrast. [N, 3, S, S] in [-1, 1].

    rng  of the processor, wherever the images are
    """
    n, _, size, _ = images.shape
    kind, nearness, *others = torch.rand(6, n, generator=rng)
    small = int(torch.randint(size // 2, size, (), generator=rng))
    near, soft = ((low <= kind) & (kind < low + 0.2) for low in (0.0, 0.2))
    out = images.clone()
    out[near] = _nearer(images[near], 0.625 + 0.375 * nearness[near])
    out[soft] = _softer(images[soft], small)
    light, contrast, loudness, flip = (number[:, None, None, None].to(out) for number in others)
    own = torch.Generator(out.device).manual_seed(int(torch.randint(2**62, (), generator=rng)))
    noise = torch.randn(out.shape, generator=own, device=out.device) * loudness * 0.12
    out = torch.where(flip < 0.5, out.flip(-1), out)
    return (out * (1 + (contrast - 0.5) * 0.3) + (light - 0.5) * 0.25 + noise).clamp(-1, 1)


def _nearer(images: Tensor, share: Tensor) -> Tensor:
    """Each picture's upper left square of a `share` [N] of its side, enlarged."""
    if not len(images):
        return images
    theta = torch.zeros(len(images), 2, 3)
    theta[:, 0, 0] = theta[:, 1, 1] = share
    theta[:, :, 2] = share[:, None] - 1
    grid = F.affine_grid(theta.to(images), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


def _softer(images: Tensor, size: int) -> Tensor:
    if not len(images):
        return images
    small = F.interpolate(images, size=(size, size), mode="area")
    return F.interpolate(small, size=images.shape[-2:], mode="bilinear", align_corners=False)
