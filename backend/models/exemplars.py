"""Latents of real pictures: what a CLIP sees of each, as numbers that are nearly standard normal within its family.

With them every picture that a generator makes in training has a model, and the latent space has an order from the
start: what is near in the CLIP's eyes is near in z. A random z is then a random picture of some family, as ever.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ...stylegan2.latents import z_of_kind
from ...stylegan2.training.discriminator import Seen

COMPONENTS = 24
COLOUR = 4.0
"""How much the mean and spread of red, green and blue count beside a number of the embedding."""
FAR = 2.5
"""Further out than this in any component, a latent is pulled in: a normal number hardly ever is."""


class ExemplarLatents:
    """Fitted once, on the embeddings and pictures of a sample; then it gives latents for any.

    z  [kinds numbers | COMPONENTS numbers of the picture | random numbers]; the first ones are random but for the
       greatest, which stands for the family (`latents.kind_of`)
    """

    def __init__(self, seen: Seen, families: Tensor, *, kinds: int, z_dim: int) -> None:
        """seen of some hundred pictures and more, families [N] indices"""
        self.kinds, self.z_dim = kinds, z_dim
        features = _features(seen)
        self._means = torch.stack([features[families == kind].mean(0) for kind in range(kinds)])
        rest = features - self._means[families]
        self._spread = rest.std(0).clamp_min(1e-6)
        rest = rest / self._spread * _weights(features)
        self._axes = torch.linalg.svd(rest, full_matrices=False).Vh[:COMPONENTS].T
        found = rest @ self._axes
        self._scales = torch.stack([found[families == kind].std(0).clamp_min(1e-3) for kind in range(kinds)])

    def __call__(self, seen: Seen, families: Tensor, rng: torch.Generator) -> Tensor:
        """Latents [N, z_dim] of pictures, families [N] indices."""
        features = _features(seen)
        rest = (features - self._means[families]) / self._spread * _weights(features)
        found = (rest @ self._axes / self._scales[families]).clamp(-FAR, FAR)
        z = torch.randn(len(found), self.z_dim, generator=rng).to(found.device)
        z = z_of_kind(z, families, self.kinds)
        z[:, self.kinds : self.kinds + found.shape[1]] = found
        return z


def _features(seen: Seen) -> Tensor:
    assert seen.embedding is not None
    colours = torch.cat([seen.images.mean((2, 3)), seen.images.std((2, 3))], 1)
    return torch.cat([seen.embedding, colours], 1)


def _weights(features: Tensor) -> Tensor:
    weights = torch.ones(features.shape[1], device=features.device)
    weights[-6:] = COLOUR
    return weights
