"""A CLIP of your own pictures and words: `latent-loom train clip --images FOLDER --name NAME`.

Captions stand in NAME.txt beside NAME.png, one a line, or in captions.csv or captions.jsonl. It then reads prompts in
those words: latent-loom adapt --clip NAME. It begins as the built-in CLIP, with the words that both know. For a folder
without captions, or of a few hundred pictures, a full CLIP (--clip ViT-B-32:openai) is the better one.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...stylegan2.training.trainer import step_rng
from ..adaptation.clip import WordTokenizer, load_clip
from ..errors import AlreadyExists, BadRequest
from ..job import Job
from .captioned_folder import check_words, read_captions
from .clip_trainer import Batch, ClipTrainer, Contrastive, augment, fit, top1
from .clips import clip_folder
from .image_folder import Crops, Cutter, Say, read_folder
from .procedural.captions import TEMPLATES
from .store import Store, check_name
from .train_clip import CONTEXT_LENGTH, build, save_clip
from .training_run import CHECKPOINT

SIZE = 64
HELD_OUT = 10
"""Every so many pictures one is kept back to measure by."""
LEAST_TO_HOLD_OUT = 20
FEW = 2_000


@dataclass(frozen=True, kw_only=True)
class OwnClipTraining(Contrastive):
    """images      folder of pictures with captions; those in folders below it count too
    start       builtin: begin with its weights; none: from nothing
    crop        share of a picture's shorter side that a cut shows at least; its caption has to be true of the cut
    tileable    the pictures are seamless
    flips       pictures may be mirrored left to right
    """

    images: str
    start: str = "builtin"
    learning_rate: float = 7e-4
    crop: float = 0.8
    tileable: bool = False
    flips: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.start not in ("builtin", "none"):
            raise BadRequest(f"A CLIP starts from builtin or none, not {self.start!r}.")
        self.crops  # noqa: B018  they check themselves

    @property
    def crops(self) -> Crops:
        return Crops(size=SIZE, tileable=self.tileable, smallest=self.crop, flips=self.flips)


class CaptionedPictures:
    """Batches of cuts with a caption each; what a step draws depends on (seed, step) alone."""

    def __init__(self, pictures: list[Tensor], captions: list[list[str]], crops: Crops, seed: int) -> None:
        self.cutter, self.captions = Cutter(pictures, crops, seed), captions
        self._keys = [{tuple(WordTokenizer.split(c)) for c in several} for several in captions]

    def __len__(self) -> int:
        return len(self.captions)

    def batch(self, n: int, step: int, *, augmented: bool = True) -> Batch:
        """n cuts. Every caption of a picture is true of it, whichever picture it was drawn for.

        augmented  cuts changed as a generator's pictures would be, and some captions in a template
        """
        images, whose = self.cutter.batch(n, step)
        rng = step_rng(self.cutter.seed + 1, step)
        texts = [self.captions[i][int(torch.randint(len(self.captions[i]), (1,), generator=rng))] for i in whose]
        said = [tuple(WordTokenizer.split(text)) for text in texts]
        true = torch.tensor([[key in self._keys[i] for key in said] for i in whose])
        if augmented:
            images = augment(images, rng)
            texts = [TEMPLATES[int(torch.randint(len(TEMPLATES), (1,), generator=rng))].format(t) for t in texts]
        return Batch(images=images, texts=texts, positive=true)


def train_own_clip(
    settings: OwnClipTraining,
    store: Store,
    name: str,
    *,
    overwrite: bool = False,
    job: Job | None = None,
    say: Say = lambda sentence: None,
    device: str = "cpu",
) -> dict[str, Any]:
    """Train the CLIP `name` into ROOT/clips; its checkpoint lies in ROOT/training/clip-NAME.

    say     is told what was skipped, and what to expect of few pictures
    Raises  AlreadyExists, BadRequest, BadCheckpoint, Cancelled
    """
    out, work = prepare(store.root, name, overwrite=overwrite)
    learnt, unseen = read_pictures(settings, say, job or Job())
    words = {word for captions in learnt.captions for caption in captions for word in WordTokenizer.split(caption)}
    words |= {word for template in TEMPLATES for word in WordTokenizer.split(template.replace("{}", ""))}
    longest = max(len(WordTokenizer.split(c)) for captions in learnt.captions for c in captions)
    torch.manual_seed(settings.seed)
    model, tokenizer, config = build("clip", sorted(words), max(CONTEXT_LENGTH, longest + 8))
    if settings.start == "builtin":
        model.load_state_dict(inherited(model.state_dict(), tokenizer))
    trainer = ClipTrainer(model.to(device), tokenizer, settings)
    card: dict[str, Any] = {"name": name, "pictures": len(learnt), "held_out": len(unseen), "words": len(words)}
    about = {key: value for key, value in asdict(settings).items() if key != "images"}  # a file holds no path

    def keep(done: int) -> dict[str, float]:
        card["steps_done"] = done
        if len(unseen):
            batch = unseen.batch(min(128, len(unseen)), 0, augmented=False)
            card.update({"retrieval_top1": top1(model, tokenizer, batch), "retrieved_among": len(batch.texts)})
        save_clip(out, model, tokenizer, config, card | {"settings": about})
        return {"top1": card["retrieval_top1"]} if len(unseen) else {}

    n = min(settings.batch, max(2, len(learnt)))
    fit(
        trainer, lambda step: learnt.batch(n, step), keep,
        checkpoint=work / CHECKPOINT, kept_as=f"the CLIP {name!r}", job=job or Job(),
    )  # fmt: skip
    return card


def prepare(root: Path, name: str, *, overwrite: bool) -> tuple[Path, Path]:
    """(folder of the CLIP, folder of its checkpoint); a CLIP without a checkpoint is not replaced."""
    check_name(name)
    out, work = clip_folder(root, name), root / "training" / f"clip-{name}"
    if overwrite:
        shutil.rmtree(work, ignore_errors=True)
    elif out.exists() and not (work / CHECKPOINT).exists():
        raise AlreadyExists(f"There is a CLIP called {name!r} already; choose another name or ask to overwrite it.")
    for folder in (out, work):
        folder.mkdir(parents=True, exist_ok=True)
    return out, work


def read_pictures(settings: OwnClipTraining, say: Say, job: Job) -> tuple[CaptionedPictures, CaptionedPictures]:
    """(those to learn from, those to measure by), in the words of their captions."""
    root = Path(settings.images).expanduser()
    folder = read_folder(root, settings.crops, job)
    captions = read_captions(root, folder.names)
    check_words(captions)
    for name in [n for n in folder.names if n not in captions]:
        folder.skipped.append((name, "has no caption."))
    for warning in folder.warnings():
        if "skipped" in warning:  # what it says of few pictures is meant for a generator
            say(warning)
    usable = [i for i, name in enumerate(folder.names) if name in captions]
    if len({tuple(WordTokenizer.split(c)) for several in captions.values() for c in several}) < 2:
        raise BadRequest(
            "A CLIP learns from differences, and there are fewer than two captions; write one in NAME.txt beside each "
            "NAME.png, or in captions.csv."
        )
    if len(usable) < FEW:
        say(
            f"{len(usable)} pictures with captions are few for a CLIP: expect it to know these pictures and little "
            f"beyond; {FEW:,} or more are needed to read new ones well."
        )
    held = {i for n, i in enumerate(usable) if n % HELD_OUT == 0} if len(usable) >= LEAST_TO_HOLD_OUT else set()

    def part(chosen: list[int], seed: int) -> CaptionedPictures:
        several = [captions[folder.names[i]] for i in chosen]
        return CaptionedPictures([folder.pictures[i] for i in chosen], several, settings.crops, seed)

    learnt = part([i for i in usable if i not in held], settings.seed + 1)
    return learnt, part(sorted(held), settings.seed + 2)


def inherited(state: Mapping[str, Tensor], tokenizer: WordTokenizer) -> dict[str, Tensor]:
    """A fresh model's weights with the built-in CLIP's in their place: every layer, and the rows of known words."""
    builtin = load_clip("builtin")
    assert isinstance(builtin.tokenizer, WordTokenizer)
    old, new = builtin.model.state_dict(), dict(state)
    for name, tensor in state.items():
        if name not in old or name == "attn_mask":
            continue
        if old[name].shape == tensor.shape and name != "token_embedding.weight":
            new[name] = old[name]
        elif name == "positional_embedding":
            new[name] = torch.cat([old[name][: len(tensor)], tensor[len(old[name]) :]])
    rows = new["token_embedding.weight"].clone()
    for mine, theirs in shared_rows(tokenizer, builtin.tokenizer):
        rows[mine] = old["token_embedding.weight"][theirs]
    return new | {"token_embedding.weight": rows}


def shared_rows(mine: WordTokenizer, theirs: WordTokenizer) -> list[tuple[int, int]]:
    """(row of `mine`, row of `theirs`) of padding, unknown, start, end, and every word that both know."""
    common = [word for word in mine.words if word in theirs.words]
    one, two = mine(common) if common else torch.zeros(0, 3), theirs(common) if common else torch.zeros(0, 3)
    words = list(zip(one[:, 1].long().tolist(), two[:, 1].long().tolist(), strict=True))
    return [(0, 0), (1, 1), (mine.start, theirs.start), (mine.end, theirs.end), *words]
