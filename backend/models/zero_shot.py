"""Which material and which weathering a CLIP sees in a picture, every family and condition that we can draw offered."""

from __future__ import annotations

import torch
from torch import Tensor

from ..adaptation.clip import Clip
from .procedural.captions import CONDITION_NAMES, FAMILY_NAMES, FAMILY_WORDS

LARGEST_SCALE = 60.0
"""Where training clamps the temperature too."""


class ZeroShot:
    """P(condition, family | picture) by a CLIP that knows our words: a softmax over all 13 x 17 prompts, at the CLIP's
    own temperature. Condition 0 is no condition; condition k is CONDITION_NAMES[k - 1].

    Source  Radford et al. 2021, section 3.1.2
    """

    def __init__(self, clip: Clip) -> None:
        self.clip = clip
        families = [FAMILY_WORDS.get(name, (name,))[0] for name in FAMILY_NAMES]
        prompts = [families] + [[f"{condition} {family}" for family in families] for condition in CONDITION_NAMES]
        self._texts = torch.stack([torch.stack([clip.embed_class(p) for p in row]) for row in prompts])
        self._scale = min(clip.temperature, LARGEST_SCALE)

    @torch.no_grad()
    def probabilities(self, images: Tensor) -> Tensor:
        """Images [N, 3, H, W] in [-1, 1] -> [N, conditions + 1, families], each picture's summing to 1."""
        return self.log_probabilities(self.clip.embed_images(images)).exp()

    def log_probabilities(self, embeddings: Tensor) -> Tensor:
        """The logarithms of `probabilities`, of unit embeddings [N, D], with gradients."""
        logits = self._scale * torch.einsum("nd,cfd->ncf", embeddings, self._texts)
        return logits.flatten(1).log_softmax(1).view_as(logits)

    def families(self, images: Tensor) -> Tensor:
        """The family seen in each picture, [N] indices into FAMILY_NAMES."""
        return self.probabilities(images).sum(1).argmax(1)

    def conditions(self, images: Tensor) -> Tensor:
        """The condition seen in each picture, [N]; 0 = none."""
        return self.probabilities(images).sum(2).argmax(1)

    @staticmethod
    def condition_index(name: str) -> int:
        return CONDITION_NAMES.index(name) + 1
