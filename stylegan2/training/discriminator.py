"""A discriminator that looks through frozen features: cheap to train, and quick to teach a small generator.

Source  Sauer et al. 2021 (Projected GANs), Sauer et al. 2023 (StyleGAN-T): heads on the token maps of every layer of a
        frozen transformer. To them is added a shallow discriminator on the pixels, for grain that the features miss.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from ..ops.padding import wrap

FeatureMaps = Callable[[Tensor], tuple[Sequence[Tensor], Tensor | None]]
"""Images [N, 3, H, W] in [-1, 1] -> feature maps [N, C_k, h_k, w_k], and an embedding [N, E] of each image where there
is one; differentiable, frozen."""


@dataclass(frozen=True)
class Seen:
    """What was seen of some images: feature maps, the images themselves, and their embedding or None."""

    maps: Sequence[Tensor]
    images: Tensor
    embedding: Tensor | None = None

    def first(self, n: int) -> Seen:
        """What was seen of the first n images."""
        embedding = None if self.embedding is None else self.embedding[:n]
        return Seen([m[:n] for m in self.maps], self.images[:n], embedding)

    def detached(self) -> Seen:
        return Seen([m.detach() for m in self.maps], self.images.detach())


class WrappedConv(nn.Conv2d):
    """A 3x3 convolution padded with what lies across the edge; `padding_mode="circular"` has a dear gradient."""

    def forward(self, x: Tensor) -> Tensor:
        return self._conv_forward(wrap(x, 1, "xy"), self.weight, self.bias)


def _conv(c_in: int, c_out: int, kernel: int, stride: int = 1, *, wraps: bool = True) -> nn.Module:
    """Under spectral normalisation (Miyato et al. 2018); padded with what lies across the edge, or with the edge."""
    if kernel == 3 and wraps:
        return spectral_norm(WrappedConv(c_in, c_out, kernel, stride))
    mode: Literal["zeros", "replicate"] = "zeros" if kernel == 1 else "replicate"  # even a padding of 0 would be a copy
    return spectral_norm(nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, padding_mode=mode))


class Verdict(nn.Module):
    """The last layer: realness of every place, and, with classes, how well it fits the class.

    Source  Miyato and Koyama 2018 (projection discriminator): psi(x) + <embedding of the class, x>
    """

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.score = _conv(width, 1, 1)
        self.embed = spectral_norm(nn.Linear(classes, width, bias=False)) if classes else None

    def forward(self, x: Tensor, labels: Tensor | None) -> Tensor:
        """x [N, width, h, w], labels [N, classes] (one-hot) or None -> [N, h * w]"""
        realness = self.score(x)
        if self.embed is not None and labels is not None:
            realness = realness + (self.embed(labels)[:, :, None, None] * x).sum(1, keepdim=True)
        return realness.flatten(1)


class Head(nn.Module):
    """One map's realness, at every place of it: 1x1, 3x3, 1x1 convolutions under spectral normalisation."""

    def __init__(self, channels: int, width: int, classes: int = 0, *, wraps: bool = True) -> None:
        super().__init__()
        self.squeeze, self.look = _conv(channels, width, 1), _conv(width, width, 3, wraps=wraps)
        self.verdict = Verdict(width, classes)

    def forward(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        """[N, C, h, w], labels [N, classes] -> [N, h * w]"""
        x = F.leaky_relu(self.squeeze(features), 0.2)
        x = F.leaky_relu(x + self.look(x), 0.2)
        return self.verdict(x, labels)


class PatchDiscriminator(nn.Module):
    """The realness of small patches, on the pixels themselves; circular, so that no place is a border.

    The first halving makes each 2x2 pixels one place of 12 channels: nothing is lost, and a full-size layer is spared.
    """

    def __init__(self, width: int, classes: int = 0, *, halvings: int = 2, wraps: bool = True) -> None:
        super().__init__()
        widths = [12, width] + [width * 2] * (halvings - 1)
        self.layers = nn.ModuleList(
            _conv(c_in, c_out, 3, 1 if i == 0 else 2, wraps=wraps)
            for i, (c_in, c_out) in enumerate(itertools.pairwise(widths))
        )
        self.verdict = Verdict(widths[-1], classes)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """[N, 3, H, W] -> [N, H / 2^halvings * W / 2^halvings]"""
        x = F.pixel_unshuffle(images, 2).contiguous(memory_format=torch.channels_last)
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.2)
        return self.verdict(x, labels)


class PixelDiscriminator(nn.Module):
    """The realness of whole pictures, on the pixels alone: residual halvings down to 4x4, for what no features know.

    Source  Miyato et al. 2018, appendix B (residual, spectral normalisation); Karras et al. 2018, section 3 (the last
            map carries the spread of its features over the batch, so that a lack of variety shows)
    """

    def __init__(self, size: int, classes: int = 0, *, width: int = 32, widest: int = 128, wraps: bool = True) -> None:
        super().__init__()
        halvings = (size // 4).bit_length() - 1
        widths = [min(width << k, widest) for k in range(halvings + 1)]
        self.first = _conv(3, widths[0], 3, wraps=wraps)
        self.inner = nn.ModuleList(_conv(a, a, 3, wraps=wraps) for a in widths[:-1])
        self.outer = nn.ModuleList(_conv(a, b, 3, wraps=wraps) for a, b in itertools.pairwise(widths))
        self.skips = nn.ModuleList(_conv(a, b, 1) for a, b in itertools.pairwise(widths))
        self.last = _conv(widths[-1] + 1, widths[-1], 3, wraps=wraps)
        self.verdict = Verdict(widths[-1], classes)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """[N, 3, size, size] -> [N, 16]"""
        x = self.first(images)
        for inner, outer, skip in zip(self.inner, self.outer, self.skips, strict=True):
            change = outer(F.leaky_relu(inner(F.leaky_relu(x, 0.2)), 0.2))
            x = F.avg_pool2d(change + skip(x), 2)
        spread = x.var(0, unbiased=False).add(1e-8).sqrt().mean()
        x = torch.cat([x, spread.expand(len(x), 1, *x.shape[2:])], 1)
        return self.verdict(F.leaky_relu(self.last(F.leaky_relu(x, 0.2)), 0.2), labels)


class Discriminator(nn.Module):
    """Heads on frozen feature maps, and a discriminator on the pixels.

    features  not registered: it is somebody else's, frozen, and not part of the checkpoint
    channels  of its maps; () = the pixels alone are judged
    pixels    images, labels -> [N, places]; None = small patches
    wraps     whether the real pictures are periodic, so that an edge is no place to be recognised by
    """

    def __init__(
        self,
        features: FeatureMaps,
        channels: Sequence[int],
        *,
        classes: int = 0,
        head_width: int = 64,
        patch_width: int = 24,
        patch_halvings: int = 2,
        pixels: nn.Module | None = None,
        wraps: bool = True,
    ) -> None:
        super().__init__()
        self._features = features if channels else lambda images: ((), None)
        self.heads = nn.ModuleList(Head(c, head_width, classes, wraps=wraps) for c in channels)
        self.patches = pixels or PatchDiscriminator(patch_width, classes, halvings=patch_halvings, wraps=wraps)

    def look(self, images: Tensor, window: int | None = None) -> Seen:
        """What the heads see of the images, once; may be scored several times.

        window  the features see this corner of the images alone: a close-up, where they would shrink the whole
        """
        maps, embedding = self._features(images[..., :window, :window])
        return Seen(maps, images, embedding)

    def score(self, seen: Seen, labels: Tensor | None = None) -> list[Tensor]:
        """Realness, one tensor [N, places] for each head and one for the patches; labels [N, classes], one-hot."""
        scores = [head(m, labels) for head, m in zip(self.heads, seen.maps, strict=True)]
        return [*scores, self.patches(seen.images, labels)]


def discriminator_loss(real: Sequence[Tensor], fake: Sequence[Tensor]) -> Tensor:
    """The hinge loss, summed over heads. Source: Lim and Ye 2017."""
    return torch.stack([F.relu(1 - r).mean() + F.relu(1 + f).mean() for r, f in zip(real, fake, strict=True)]).sum()


def generator_loss(fake: Sequence[Tensor]) -> Tensor:
    """-D(G(z)), summed over heads."""
    return torch.stack([-f.mean() for f in fake]).sum()


def range_loss(images: Tensor) -> Tensor:
    """How far pictures leave [-1, 1], mean of squares: frozen features say little of values that no picture has."""
    return F.relu(images.abs() - 1).square().mean()
