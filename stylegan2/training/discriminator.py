"""A discriminator that looks through frozen features: cheap to train, and quick to teach a small generator.

Source  Sauer et al. 2021 (Projected GANs), Sauer et al. 2023 (StyleGAN-T): heads on the token maps of every layer of a
        frozen transformer. To them is added a shallow discriminator on the pixels, for grain that the features miss.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

FeatureMaps = Callable[[Tensor], Sequence[Tensor]]
"""Images [N, 3, H, W] in [-1, 1] -> feature maps [N, C_k, h_k, w_k], differentiable, frozen."""


def _conv(c_in: int, c_out: int, kernel: int, stride: int = 1) -> nn.Module:
    padding = kernel // 2
    return spectral_norm(
        nn.Conv2d(c_in, c_out, kernel, stride, padding, padding_mode="circular" if padding else "zeros")
    )


class Head(nn.Module):
    """One map's realness, at every place of it: 1x1, 3x3, 1x1 convolutions under spectral normalisation."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.squeeze, self.look, self.score = _conv(channels, width, 1), _conv(width, width, 3), _conv(width, 1, 1)

    def forward(self, features: Tensor) -> Tensor:
        """[N, C, h, w] -> [N, h * w]"""
        x = F.leaky_relu(self.squeeze(features), 0.2)
        x = F.leaky_relu(x + self.look(x), 0.2)
        return self.score(x).flatten(1)


class PatchDiscriminator(nn.Module):
    """The realness of small patches, on the pixels themselves; circular, so that no place is a border."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            [
                _conv(3, width, 3),
                _conv(width, width * 2, 3, 2),
                _conv(width * 2, width * 2, 3, 2),
                _conv(width * 2, 1, 1),
            ]
        )

    def forward(self, images: Tensor) -> Tensor:
        """[N, 3, H, W] -> [N, H / 4 * W / 4]"""
        x = images
        for layer in self.layers[:-1]:
            x = F.leaky_relu(layer(x), 0.2)
        return self.layers[-1](x).flatten(1)


class Discriminator(nn.Module):
    """Heads on frozen feature maps, and a patch discriminator on the pixels.

    `features` is not registered: it is somebody else's, frozen, and not part of the checkpoint.
    """

    def __init__(
        self, features: FeatureMaps, channels: Sequence[int], *, head_width: int = 64, patch_width: int = 24
    ) -> None:
        super().__init__()
        self._features = features
        self.heads = nn.ModuleList(Head(c, head_width) for c in channels)
        self.patches = PatchDiscriminator(patch_width)

    def look(self, images: Tensor) -> list[Tensor]:
        """What the heads see of the images, once; may be scored several times."""
        return [*self._features(images), images]

    def score(self, seen: Sequence[Tensor]) -> list[Tensor]:
        """Realness, one tensor [N, places] for each head and one for the patches."""
        *maps, images = seen
        return [head(m) for head, m in zip(self.heads, maps, strict=True)] + [self.patches(images)]


def discriminator_loss(real: Sequence[Tensor], fake: Sequence[Tensor]) -> Tensor:
    """The hinge loss, summed over heads. Source: Lim and Ye 2017."""
    return torch.stack([F.relu(1 - r).mean() + F.relu(1 + f).mean() for r, f in zip(real, fake, strict=True)]).sum()


def generator_loss(fake: Sequence[Tensor]) -> Tensor:
    """-D(G(z)), summed over heads."""
    return torch.stack([-f.mean() for f in fake]).sum()


def range_loss(images: Tensor) -> Tensor:
    """How far pictures leave [-1, 1], mean of squares: frozen features say little of values that no picture has."""
    return F.relu(images.abs() - 1).square().mean()
