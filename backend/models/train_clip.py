"""The recipe of the built-in CLIP and of its judge: `latent-loom train clip` and `latent-loom train judge`.

Both learn from the procedural materials alone, with CLIP's contrastive loss in which every caption that is true of a
picture counts as a positive (two pictures of a batch are often both "mossy stone"). The judge differs in architecture
(a residual network instead of a transformer), in seed and in data order, and never takes part in an adaptation.
"""

from __future__ import annotations

import functools
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from ...stylegan2.training.trainer import step_rng
from ..adaptation.clip import VOCABULARY_FILE, WordTokenizer
from ..errors import BadRequest
from ..job import Job
from .clip_trainer import PIXEL_MEAN, PIXEL_STD, Batch, ClipTrainer, Contrastive, Tokenizer, augment, fit, top1
from .procedural.captions import TEMPLATES, Attributes, describe, matches, vocabulary
from .procedural.stream import BLOCK, MaterialBank
from .samples import renders
from .training_run import CHECKPOINT

CONTEXT_LENGTH = 16

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
class ClipTraining(Contrastive):
    """role           clip | judge
    bank, refresh  pictures kept, and how many are made anew for each batch
    block          pictures rendered together; a GPU renders 1,024 in hardly more time than 64
    """

    role: str = "clip"
    bank: int = 6144
    refresh: int = 24
    block: int = BLOCK

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.bank, self.block) < 1 or self.refresh < 0:
            raise BadRequest("Give a bank and a block of at least 1, and a refresh of at least 0.")


def build(role: str, words: list[str], context_length: int) -> tuple[Any, WordTokenizer, dict[str, Any]]:
    """A fresh open_clip model of that role, its tokenizer, and its open_clip_config.json."""
    from open_clip.model import CLIP

    tokenizer = WordTokenizer(words, context_length)
    config = json.loads(json.dumps(ARCHITECTURES[role]))
    config["text_cfg"] |= {"vocab_size": tokenizer.vocab_size, "context_length": context_length}
    preprocess = {"mean": PIXEL_MEAN, "std": PIXEL_STD, "interpolation": "bicubic", "resize_mode": "shortest"}
    return CLIP(**config), tokenizer, {"model_cfg": config, "preprocess_cfg": preprocess}


def captioned(images: torch.Tensor, attributes: list[Attributes], rng: torch.Generator) -> Batch:
    """Pictures with a true caption each."""
    pairs = [describe(a, rng) for a in attributes]
    said = [attributes for _, attributes in pairs]
    return Batch(images=images, texts=[text for text, _ in pairs], positive=matches(attributes, said))


def retrieval(model: Any, tokenizer: Tokenizer, *, seed: int = 987_654, batches: int = 4) -> float:
    """Top-1 retrieval of the caption in batches of 128 on unseen renders; a caption that is true counts as right."""
    return sum(top1(model, tokenizer, batch) for batch in _unseen(seed, batches)) / batches


@functools.cache
def _unseen(seed: int, batches: int) -> list[Batch]:
    """Kept, since a training measures itself now and then."""
    rng = torch.Generator().manual_seed(seed)
    return [captioned(*renders(128, 64, seed + batch, weathered=0.75, tinted=0.3), rng) for batch in range(batches)]


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


def train_clip(
    settings: ClipTraining, out: Path, work: Path, job: Job | None = None, *, device: str = "cpu"
) -> dict[str, Any]:
    """Train one CLIP and write it to the folder `out`; what there is so far is written now and then. Returns its card.

    A checkpoint found in `work` is continued.
    """
    for folder in (out, work):  # now, and not when minutes of training are to be saved
        folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(settings.seed)
    model, tokenizer, config = build(settings.role, vocabulary(), CONTEXT_LENGTH)
    trainer = ClipTrainer(model.to(device), tokenizer, settings)
    card: dict[str, Any] = {"settings": asdict(settings)}
    bank: MaterialBank | None = None

    def batch(step: int) -> Batch:
        nonlocal bank
        if bank is None:
            kinds = {"weathered": 0.75, "tinted": 0.3}
            bank = MaterialBank(
                size=64,
                capacity=settings.bank,
                refresh=settings.refresh,
                seed=settings.seed + 1,
                start=step,
                block=settings.block,
                device=device,
                **kinds,
            )
        images, attributes = bank.batch(settings.batch)
        rng = step_rng(settings.seed + 2, step)
        return captioned(augment(images, rng), attributes, rng)

    def keep(done: int) -> dict[str, float]:
        card.update({"steps_done": done, "retrieval_top1": retrieval(model, tokenizer)})
        save_clip(out, model, tokenizer, config, card)
        return {"top1": card["retrieval_top1"]}

    fit(trainer, batch, keep, checkpoint=work / CHECKPOINT, kept_as=str(out), job=job or Job())
    return card
