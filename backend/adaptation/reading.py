"""How a CLIP is to read an adapted picture: as the target of what the picture was of before, and as nothing else.

A direction is the same for every picture, and says neither how far to go nor what else must stay: brick turns into
"gilded" something. So each text target is also written out for every kind of thing that the generator makes ("gilded
material" -> "gilded brick", "gilded wood", ...), and the adapted picture is told apart from all of them and from the
unchanged kinds. With K the sources' texts, T the targets' and N the negatives', in unit embeddings, and the
temperature tau of the CLIP:

    p(k)      = softmax_k(tau e(s) . K_k)                     what the source's picture is of
    goal(T_k) = p(k), goal(K) = goal(N) = 0
    loss      = KL(goal || softmax over T, K and N of tau e(t) . text)

Where no kinds are known, or a target does not contain the source's prompt, K is the source's prompt alone. The loss
ends where the picture is read as it should be, so it drives nothing further.

Source  zero-shot classification of Radford et al. 2021, section 3.1, as a loss; its use here is our own (decision 0021)
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .clip import Clip
from .settings import AdaptSettings


@dataclass(frozen=True, kw_only=True)
class Reading:
    """kinds        [K, D], unit: texts of what there is before
    answers      [A, D], unit: texts that an adapted picture may be read as
    goals        [K, A], rows of sum 1: how a picture of each kind should be read
    temperature  of the CLIP, by which cosines are multiplied
    """

    kinds: Tensor
    answers: Tensor
    goals: Tensor
    temperature: float

    def loss(self, before: Tensor, after: Tensor) -> Tensor:
        """The module's loss, mean over pictures: unit embeddings [N, D] of both pictures of each pair."""
        goal = (self.temperature * before @ self.kinds.T).softmax(-1) @ self.goals
        read = (self.temperature * after @ self.answers.T).log_softmax(-1)
        return (torch.xlogy(goal, goal) - goal * read).sum(-1).mean()


def find_reading(clip: Clip, settings: AdaptSettings, kinds: Sequence[str]) -> Reading | None:
    """The reading that the texts of these settings ask for; None without text targets.

    kinds  words for what the generator makes; those that the CLIP does not know are left out
    """
    if not settings.text_targets:
        return None
    source = settings.source
    known = [kind for kind in kinds if not clip.unknown_words(kind)]
    written_out = all(_written_for(text, source, "x") for text, _ in settings.text_targets)
    befores = known if known and written_out else [source]

    def texts(text: str) -> list[str]:
        """One text for each of the `befores`; the text itself where it cannot be written out for them."""
        return [_written_for(text, source, kind) or text for kind in befores]

    answers, goals = [], []
    total = sum(weight for _, weight in settings.text_targets)
    for text, weight in settings.text_targets:
        answers += texts(text)
        goals.append(weight / total * torch.eye(len(befores)))
    others = [*befores, *(other for text, _ in settings.negatives for other in dict.fromkeys(texts(text)))]
    return Reading(
        kinds=_embedded(clip, befores),
        answers=_embedded(clip, [*answers, *others]),
        goals=torch.cat([*goals, torch.zeros(len(befores), len(others))], 1).to(clip.device),
        temperature=clip.temperature,
    )


def _written_for(text: str, source: str, kind: str) -> str | None:
    """ "mossy stone", of the source "stone", for "brick": "mossy brick". None where the source is not in the text."""
    pattern = rf"(?<!\w){re.escape(source.strip())}(?!\w)"
    written, count = re.subn(pattern, lambda _: kind, text, flags=re.IGNORECASE)
    return written if count else None


def _embedded(clip: Clip, texts: Sequence[str]) -> Tensor:
    """[len(texts), D], unit."""
    return torch.stack([clip.embed_class(text) for text in texts])
