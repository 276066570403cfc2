"""The recipe of the built-in CLIP and of its judge: `latent-loom train clip` and `latent-loom train judge`.

Both learn from the procedural materials alone, with CLIP's contrastive loss in which every caption that is true of a
picture counts as a positive (two pictures of a batch are often both "mossy stone"). The judge differs in architecture
(a residual network instead of a transformer), in seed and in data order, and never takes part in an adaptation.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import save
from torch import Tensor

from ..adaptation.clip import VOCABULARY_FILE, WordTokenizer
from ..errors import BadRequest
from ..job import Job, Progress
from .procedural.captions import TEMPLATES, Attributes, describe, matches, vocabulary
from .procedural.stream import MaterialBank
from .samples import renders

CONTEXT_LENGTH = 16
Tokenizer = Callable[[Sequence[str]], Tensor]
PIXEL_MEAN, PIXEL_STD = (0.45, 0.42, 0.38), (0.25, 0.25, 0.26)

ARCHITECTURES: dict[str, dict[str, Any]] = {
    "clip": {
        "embed_dim": 128,
        "vision_cfg": {"image_size": 64, "patch_size": 8, "layers": 4, "width": 128, "head_width": 32},
        "text_cfg": {"context_length": CONTEXT_LENGTH, "width": 96, "heads": 4, "layers": 2},
    },
    "judge": {
        "embed_dim": 96,
        "vision_cfg": {"image_size": 64, "patch_size": None, "layers": [1, 1, 1, 1], "width": 16, "head_width": 64},
        "text_cfg": {"context_length": CONTEXT_LENGTH, "width": 64, "heads": 4, "layers": 3},
    },
}


@dataclass(frozen=True, kw_only=True)
class ClipTraining:
    """role: clip | judge; bank, refresh: pictures kept, and how many are made anew for each batch."""

    role: str = "clip"
    steps: int = 1500
    batch: int = 128
    learning_rate: float = 1.5e-3
    weight_decay: float = 0.1
    warmup: int = 60
    bank: int = 6144
    refresh: int = 24
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.steps, self.warmup, self.bank) < 1 or self.batch < 2 or self.refresh < 0:
            raise BadRequest(
                "Give steps, warmup and bank of at least 1, a batch of at least 2, a refresh of at least 0."
            )
        if not self.learning_rate > 0 or not self.weight_decay >= 0:
            raise BadRequest("Give a learning rate above 0 and a weight decay of at least 0.")


def augment(images: Tensor, rng: torch.Generator) -> Tensor:
    """How a generator's picture differs from a render: scale, softness, noise, contrast. [N, 3, S, S] in [-1, 1]."""
    n, _, size, _ = images.shape
    out = images.clone()
    for i in range(n):
        kind = int(torch.randint(5, (1,), generator=rng))
        if kind == 0:  # nearer: a crop, enlarged
            crop = int(torch.randint(size * 5 // 8, size, (1,), generator=rng))
            out[i] = F.interpolate(
                images[i : i + 1, :, :crop, :crop], size=(size, size), mode="bilinear", align_corners=False
            )[0]
        elif kind == 1:  # softer
            small = int(torch.randint(size // 2, size, (1,), generator=rng))
            soft = F.interpolate(images[i : i + 1], size=(small, small), mode="area")
            out[i] = F.interpolate(soft, size=(size, size), mode="bilinear", align_corners=False)[0]
    noise = torch.randn(out.shape, generator=rng) * torch.rand(n, 1, 1, 1, generator=rng) * 0.12
    contrast = 1 + (torch.rand(n, 1, 1, 1, generator=rng) - 0.5) * 0.3
    light = (torch.rand(n, 1, 1, 1, generator=rng) - 0.5) * 0.25
    flip = torch.rand(n, 1, 1, 1, generator=rng) < 0.5
    out = torch.where(flip, out.flip(-1), out)
    return (out * contrast + light + noise).clamp(-1, 1)


def contrastive_loss(images: Tensor, texts: Tensor, positive: Tensor, scale: Tensor) -> Tensor:
    """Symmetric InfoNCE with several positives: cross entropy against a uniform distribution over the true pairs.

    images [N, D], texts [N, D] unit; positive [N, N] bool, true on the diagonal. Source: Radford et al. 2021, figure 3,
    with the targets of Khosla et al. 2020 (supervised contrastive).
    """
    logits = scale * images @ texts.T
    by_image = positive / positive.sum(1, keepdim=True)
    by_text = positive / positive.sum(0, keepdim=True)
    return -0.5 * ((by_image * logits.log_softmax(1)).sum(1).mean() + (by_text * logits.log_softmax(0)).sum(0).mean())


def build(role: str) -> tuple[Any, WordTokenizer, dict[str, Any]]:
    """A fresh open_clip model of that role, its tokenizer, and its open_clip_config.json."""
    from open_clip.model import CLIP

    tokenizer = WordTokenizer(vocabulary(), CONTEXT_LENGTH)
    config = json.loads(json.dumps(ARCHITECTURES[role]))
    config["text_cfg"]["vocab_size"] = tokenizer.vocab_size
    preprocess = {"mean": PIXEL_MEAN, "std": PIXEL_STD, "interpolation": "bicubic", "resize_mode": "shortest"}
    return CLIP(**config), tokenizer, {"model_cfg": config, "preprocess_cfg": preprocess}


def normalise(images: Tensor) -> Tensor:
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (PIXEL_MEAN, PIXEL_STD))
    return ((images + 1) / 2 - mean) / std


def caption_all(attributes: list[Attributes], rng: torch.Generator) -> tuple[list[str], list[Attributes]]:
    pairs = [describe(a, rng) for a in attributes]
    return [text for text, _ in pairs], [said for _, said in pairs]


@torch.no_grad()
def retrieval(model: Any, tokenizer: Tokenizer, *, seed: int = 987_654, batches: int = 4) -> float:
    """Top-1 retrieval of the caption in batches of 128 on unseen renders; a caption that is true counts as right."""
    rng, training, right = torch.Generator().manual_seed(seed), model.training, 0.0
    model.eval()
    for batch in range(batches):
        images, attributes = renders(128, 64, seed + batch, weathered=0.75, tinted=0.3)
        texts, said = caption_all(attributes, rng)
        found = (
            F.normalize(model.encode_image(normalise(images)), dim=-1)
            @ F.normalize(model.encode_text(tokenizer(texts)), dim=-1).T
        )
        right += matches(attributes, said)[torch.arange(128), found.argmax(1)].float().mean().item()
    model.train(training)  # the model may be somebody's shared one
    return right / batches


def save_clip(
    folder: Path, model: torch.nn.Module, tokenizer: WordTokenizer, config: dict[str, Any], card: dict[str, Any]
) -> None:
    """Fill a folder that open_clip's own "local-dir:" reads; float16, each file whole or not at all."""
    words = {"words": tokenizer.words, "context_length": tokenizer.context_length, "templates": TEMPLATES}
    weights = {k: (v.half() if v.is_floating_point() else v).contiguous() for k, v in model.state_dict().items()}
    (folder / "weights.tmp").write_bytes(save(weights))
    for name, content in (("open_clip_config.json", config), (VOCABULARY_FILE, words), ("training.json", card)):
        (folder / "part.tmp").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        (folder / "part.tmp").replace(folder / name)
    (folder / "weights.tmp").replace(folder / "open_clip_model.safetensors")


def train_clip(settings: ClipTraining, out: Path, job: Job | None = None) -> dict[str, Any]:
    """Train one CLIP and write it to the folder `out`; every 200 steps what there is so far. Returns its card."""
    job = job or Job()
    out.mkdir(parents=True, exist_ok=True)  # now, and not when minutes of training are to be saved
    torch.manual_seed(settings.seed)
    model, tokenizer, config = build(settings.role)
    bank = MaterialBank(
        size=64, capacity=settings.bank, refresh=settings.refresh, seed=settings.seed + 1, weathered=0.75, tinted=0.3
    )
    rng = torch.Generator().manual_seed(settings.seed + 2)
    decayed = [p for p in model.parameters() if p.dim() >= 2]
    others = [p for p in model.parameters() if p.dim() < 2]
    groups = [{"params": decayed, "weight_decay": settings.weight_decay}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(0.9, 0.98))
    started = time.monotonic()
    card: dict[str, Any] = {"settings": asdict(settings)}
    for step in range(settings.steps):
        job.check()
        warm = min(1.0, (step + 1) / settings.warmup)
        rate = settings.learning_rate * warm * (0.5 + 0.5 * math.cos(math.pi * step / settings.steps))
        for group in optimizer.param_groups:
            group["lr"] = rate
        images, attributes = bank.batch(settings.batch)
        texts, said = caption_all(attributes, rng)
        image_features = F.normalize(model.encode_image(normalise(augment(images, rng))), dim=-1)
        text_features = F.normalize(model.encode_text(tokenizer(texts)), dim=-1)
        scale = model.logit_scale.exp().clamp(max=60)
        loss = contrastive_loss(image_features, text_features, matches(attributes, said).float(), scale)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        done = step + 1
        job.report(Progress(done=done, total=settings.steps, stage=settings.role, numbers={"loss": loss.item()}))
        if done % 200 == 0 or done == settings.steps:
            card |= {"steps_done": done, "retrieval_top1": retrieval(model, tokenizer)}
            save_clip(out, model, tokenizer, config, card)
            seconds = time.monotonic() - started
            job.report(
                Progress(
                    done=done,
                    total=settings.steps,
                    stage=settings.role,
                    numbers={"loss": loss.item(), "top1": card["retrieval_top1"], "seconds": seconds},
                )
            )
    return card
