"""CLIP as the adaptation needs it: unit embeddings of images and texts in float32, differentiable in the images.

Every model comes through open_clip: any of its own by "NAME:TAG" (fetched by open_clip on first use), a folder in its
format by "local-dir:PATH", and the two built-in ones, "builtin" and "judge", which are such folders inside this
package. A folder may bring its own word list (`vocabulary.json`), because the built-in models know some hundred words.
"""

from __future__ import annotations

import difflib
import json
import logging
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import BadCheckpoint, NotFound, PromptError
from ..models.memory import MODELS
from ..roots import allowed
from .resize import fit_square
from .tower import pack_tower

BUILTIN_FOLDER = Path(__file__).parent.parent / "models" / "builtin"
BUILTIN_CLIPS = {"builtin": BUILTIN_FOLDER / "clip", "judge": BUILTIN_FOLDER / "judge"}
VOCABULARY_FILE = "vocabulary.json"
FOLDER = "local-dir:"
"""Begins the name of a CLIP that is a folder in open_clip's format."""
PART_TEMPLATES = (
    *("a part of {}.", "a small part of {}.", "a piece of {}.", "a detail of {}.", "a section of {}."),
    *("a close-up of {}.", "the surface of {}.", "the edge of {}.", "the middle of {}.", "one side of {}."),
    *("a fragment of {}.", "{} from very near.", "a cropped photo of {}.", "a patch of {}.", "the texture of {}."),
)
"""Wordings for what a patch of a picture shows (the patch loss)."""
KEPT_TEXTS = 256
LARGEST_TEMPERATURE = 100.0
"""Where CLIP clamps its own (Radford et al. 2021, section 2.5)."""


class WordTokenizer:
    """One token a word, for a CLIP that was trained on a short word list.

    Token 0 is padding, 1 stands for any unknown word, then the words in order, then start and end of text; the end has
    the highest id, because open_clip takes the text's embedding at the position of the highest id.
    """

    def __init__(self, words: Sequence[str], context_length: int) -> None:
        self.words = tuple(words)
        self.context_length = context_length
        self._ids = {word: index + 2 for index, word in enumerate(self.words)}
        self.start, self.end = len(words) + 2, len(words) + 3
        self.vocab_size = len(words) + 4

    @staticmethod
    def split(text: str) -> list[str]:
        return re.findall(r"[^\W_]+", text.lower())

    def __call__(self, texts: Sequence[str]) -> Tensor:
        """[len(texts), context_length] int64; words beyond the context length are dropped."""
        tokens = torch.zeros(len(texts), self.context_length, dtype=torch.long)
        for row, text in enumerate(texts):
            ids = [self._ids.get(word, 1) for word in self.split(text)][: self.context_length - 2]
            tokens[row, : len(ids) + 2] = torch.tensor([self.start, *ids, self.end])
        return tokens


class Clip:
    """An open_clip model with its preprocessing and its wordings, frozen.

    name       as given to `load_clip`
    templates  sentences with one {} for the prompt; a prompt's embeddings are taken in all of them
    """

    def __init__(
        self,
        name: str,
        model: Any,
        tokenizer: Callable[[Sequence[str]], Tensor],
        templates: Sequence[str],
        *,
        size: int,
        mean: Sequence[float],
        std: Sequence[float],
    ) -> None:
        self.name = name
        self.model = model.eval().requires_grad_(False)
        pack_tower(self.model.visual)
        self.tokenizer = tokenizer
        self.templates = tuple(templates)
        self.size = size
        self._texts: dict[tuple[int, tuple[str, ...]], Tensor] = {}
        # where the model is: a copy to a GPU in every call would wait for it
        self._mean, self._std = (torch.tensor(x, device=self.device).view(1, 3, 1, 1) for x in (mean, std))

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    @property
    def temperature(self) -> float:
        """What cosines are multiplied by before a softmax over texts, as the model has learnt it."""
        return min(self.model.logit_scale.exp().item(), LARGEST_TEMPERATURE)

    def embed_images(self, images: Tensor) -> Tensor:
        """Images [N, 3, H, W] in about [-1, 1] -> unit vectors [N, D] float32."""
        with torch.autocast(images.device.type, enabled=False):  # 16 bits would cut pixels to 8 of them
            pixels = fit_square((images.float() + 1) / 2, self.size)
            pixels = (pixels - self._mean.to(pixels)) / self._std.to(pixels)
        dtype = next(self.model.parameters()).dtype
        return unit(self.model.encode_image(pixels.to(dtype)).float())

    @torch.no_grad()
    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """Texts -> unit vectors [len(texts), D] float32."""
        return unit(self.model.encode_text(self.tokenizer(list(texts)).to(self.device)).float())

    def embed_prompt(self, prompt: str, templates: Sequence[str] | None = None) -> Tensor:
        """The prompt in every template (None = this CLIP's): unit vectors [len(templates), D], computed once for each
        number of threads, on which their last bits depend: a run repeats those of a fresh process.
        """
        texts = tuple(template.format(prompt) for template in templates or self.templates)
        key = (torch.get_num_threads(), texts)
        if key not in self._texts:
            if len(self._texts) >= KEPT_TEXTS:
                self._texts.clear()
            self._texts[key] = self.embed_texts(texts)
        return self._texts[key]

    def embed_class(self, prompt: str) -> Tensor:
        """The prompt as a class to tell pictures by: [D], unit, the mean over the templates.

        Source  Radford et al. 2021, section 3.1.4
        """
        return unit(self.embed_prompt(prompt).mean(0))

    @property
    def part_templates(self) -> tuple[str, ...]:
        """Wordings for parts of things; a CLIP of few words has none beside its ordinary ones."""
        return self.templates if isinstance(self.tokenizer, WordTokenizer) else PART_TEMPLATES

    def unknown_words(self, prompt: str) -> dict[str, list[str]]:
        """Words of the prompt that this CLIP was never taught, each with near ones that it was; none for full CLIPs."""
        if not isinstance(self.tokenizer, WordTokenizer):
            return {}
        known = self.tokenizer.words
        unknown = [word for word in self.tokenizer.split(prompt) if word not in known]
        return {word: difflib.get_close_matches(word, known, n=3, cutoff=0.6) for word in unknown}


def unit(x: Tensor) -> Tensor:
    """x / |x| along the last axis; 0 where x is 0."""
    return x / x.norm(dim=-1, keepdim=True).clamp_min(1e-12)


def check_prompt(clip: Clip, prompt: str) -> None:
    """Raise `PromptError` if the prompt is empty or has words that the CLIP does not know."""
    if not prompt.strip():
        raise PromptError("A prompt is empty; write what the texture is now and what it is to become.")
    unknown = clip.unknown_words(prompt)
    if not unknown:
        return
    parts = []
    for word, near in unknown.items():
        parts.append(f"{word!r}" + (f" (near it: {', '.join(near)})" if near else ""))
    raise PromptError(
        f"The CLIP {clip.name!r} does not know {' or '.join(parts)}; use words that it knows "
        "(latent-loom models --words lists them) or a full CLIP (latent-loom adapt --clip ViT-B-32:openai)."
    )


def _builtin_names() -> str:
    return ", ".join(BUILTIN_CLIPS)


def load_clip(name: str, device: str = "cpu") -> Clip:
    """A CLIP by name: "builtin", "judge", "local-dir:PATH" or open_clip's "NAME:TAG" ("ViT-B-32:openai").

    Shared, and kept as far as there is room (`models.memory`).

    Raises `NotFound` for a name nobody has, `BadCheckpoint` for weights that cannot be had, `Forbidden` for a folder
    that whoever asks may not name (`..roots`; names come out of style files, too).
    """
    if name.startswith(FOLDER):
        name = f"{FOLDER}{allowed(Path(name.removeprefix(FOLDER)))}"
    return load_known_clip(name, device)


def load_known_clip(name: str, device: str = "cpu") -> Clip:
    """As `load_clip`, for names of our own making: no folder is asked whether it may be read."""
    return MODELS.device.get(("clip", device, name), lambda: _load_clip(name, device))


def _load_clip(name: str, device: str) -> Clip:
    import open_clip

    logging.getLogger().setLevel(max(logging.getLogger().level, logging.WARNING))
    if name in BUILTIN_CLIPS or name.startswith(FOLDER):
        folder = BUILTIN_CLIPS.get(name) or Path(name.removeprefix(FOLDER))
        if not (folder / "open_clip_config.json").is_file():
            raise NotFound(f"There is no CLIP in {folder}; it needs open_clip_config.json and its weights.")
        model = open_clip.create_model(f"{FOLDER}{folder}", device=device)
        tokenizer, templates = _folder_words(folder)
    else:
        architecture, _, tag = name.partition(":")
        tags = open_clip.list_pretrained_tags_by_model(architecture)
        if not tags:
            near = difflib.get_close_matches(architecture, open_clip.list_models(), n=3)
            raise NotFound(
                f"open_clip has no model {architecture!r}; "
                + (f"did you mean {' or '.join(near)}? Built in are " if near else "built in are ")
                + f"{_builtin_names()}."
            )
        if tag not in tags:
            raise NotFound(f"{architecture!r} has no weights {tag!r}; there are: {', '.join(tags)}.")
        # Some weights, OpenAI's among them, were trained with another activation than their architecture's default.
        quick_gelu = bool(open_clip.get_pretrained_cfg(architecture, tag).get("quick_gelu"))
        try:
            model = open_clip.create_model(architecture, pretrained=tag, device=device, force_quick_gelu=quick_gelu)
        except (RuntimeError, OSError) as error:
            raise BadCheckpoint(
                f"The weights of {name!r} could not be fetched or read; connect to the internet for the first use, "
                f"or give a downloaded folder as local-dir:PATH ({type(error).__name__})."
            ) from error
        tokenizer, templates = open_clip.get_tokenizer(architecture), open_clip.OPENAI_IMAGENET_TEMPLATES
        templates = tuple(template("{}") for template in templates)
    settings = model.visual.preprocess_cfg
    size = settings["size"]
    return Clip(
        name,
        model,
        tokenizer,
        templates,
        size=size if isinstance(size, int) else size[0],
        mean=settings["mean"],
        std=settings["std"],
    )


def _folder_words(folder: Path) -> tuple[Callable[[Sequence[str]], Tensor], tuple[str, ...]]:
    """Tokenizer and templates of a folder: its own word list, or those of every CLIP."""
    import open_clip

    own = folder / VOCABULARY_FILE
    if own.is_file():
        words = json.loads(own.read_text(encoding="utf-8"))
        return WordTokenizer(words["words"], words["context_length"]), tuple(words["templates"])
    return open_clip.get_tokenizer("ViT-B-32"), tuple(t("{}") for t in open_clip.OPENAI_IMAGENET_TEMPLATES)
