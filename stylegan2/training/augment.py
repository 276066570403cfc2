"""Adaptive augmentation: what keeps a discriminator from learning a small set of pictures by heart.

Real and generated pictures pass through the same random changes before they are judged. Each change is made with
probability p < 1, so the generator can still tell what untouched pictures look like and does not learn the changes.

Source  Karras et al. 2020b (ADA): section 2.2 and appendix B for the changes, section 3.1 for p
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

TARGET = 0.6
"""Of E[sign D(real)]: 0 = real and made are not told apart, 1 = the real ones are known by heart."""
MOST = 0.85
"""Above it the changes would leak into what is generated."""
LUMA = (3**-0.5,) * 3


class Augmentation:
    """The changes, and their probability `p`, which follows the discriminator's certainty.

    wraps       whether pictures are periodic: what a shift moves out comes in again, instead of mirrored pictures
    ramp        images after which p has gone from 0 to 1 if the discriminator stays too certain
    """

    def __init__(self, *, wraps: bool, ramp: float = 100_000, p: float = 0.0) -> None:
        self.wraps, self.ramp, self.p = wraps, ramp, p
        self.certainty = 0.0

    def __call__(self, images: Tensor, rng: Generator) -> Tensor:
        """Images [N, 3, R, R] changed, differentiable; all randomness comes from `rng`, a generator on the CPU."""
        if self.p <= 0:
            return images
        return recolour(move(images, self.p, rng, wraps=self.wraps), self.p, rng)

    def adapt(self, certainty: float, images: int) -> None:
        """Follow E[sign D(real)] of a batch of `images`: more changes while it is above the target, fewer below."""
        self.certainty += (certainty - self.certainty) * min(1.0, images / 1_000)
        self.p = min(max(self.p + math.copysign(images / self.ramp, self.certainty - TARGET), 0.0), MOST)


def move(images: Tensor, p: float, rng: Generator, *, wraps: bool) -> Tensor:
    """Mirror, quarter turn, shift, turn and scale, each with probability p: one affine map for each picture."""
    n, _, side, _ = images.shape
    matrix = torch.eye(2).repeat(n, 1, 1)
    mirror = torch.where(_chosen(n, p, rng) & (torch.rand(n, generator=rng) < 0.5), -1.0, 1.0)
    quarters = torch.where(_chosen(n, p, rng), torch.randint(4, (n,), generator=rng), 0) * (math.pi / 2)
    turn = torch.where(_chosen(n, p, rng), (torch.rand(n, generator=rng) - 0.5) * (math.pi / 6), 0.0)
    scale = torch.where(_chosen(n, p, rng), torch.exp2(0.2 * torch.randn(n, generator=rng).clamp(-2, 2)), 1.0)
    angle = quarters + turn
    cos, sin = angle.cos() * scale, angle.sin() * scale
    matrix[:, 0, 0], matrix[:, 0, 1], matrix[:, 1, 0], matrix[:, 1, 1] = cos * mirror, -sin, sin * mirror, cos
    shift = torch.where(_chosen(n, p, rng)[:, None], (torch.rand(n, 2, generator=rng) - 0.5) * 0.25, 0.0)
    # Half a picture on every side: enough for the largest scale at an angle of 45 degrees, and the shift.
    pad = side // 2
    padded = F.pad(images, (pad,) * 4, mode="circular" if wraps else "reflect")
    y, x = torch.meshgrid(*(torch.linspace(-1, 1, side + 1)[:-1] + 1 / side,) * 2, indexing="ij")
    places = torch.einsum("nij,jhw->nhwi", matrix, torch.stack([x, y])) + 2 * shift[:, None, None]
    half = padded.shape[-1] / side
    return F.grid_sample(
        padded, (places / half).to(images), mode="bilinear", padding_mode="reflection", align_corners=False
    )


def recolour(images: Tensor, p: float, rng: Generator) -> Tensor:
    """Brightness, contrast, hue and saturation, each with probability p: one 3x4 matrix for each picture."""
    n = len(images)
    grey = torch.tensor(LUMA)
    luma = torch.outer(grey, grey)
    contrast = torch.where(_chosen(n, p, rng), torch.exp2(0.5 * torch.randn(n, generator=rng)), 1.0)
    brightness = torch.where(_chosen(n, p, rng), 0.2 * torch.randn(n, generator=rng), 0.0)
    hue = torch.where(_chosen(n, p, rng), (torch.rand(n, generator=rng) - 0.5) * 2 * math.pi, 0.0)
    saturation = torch.where(_chosen(n, p, rng), torch.exp2(torch.randn(n, generator=rng)), 1.0)
    # Rodrigues' rotation about the grey axis; saturation scales what is across it.
    cross = torch.tensor([[0, -grey[2], grey[1]], [grey[2], 0, -grey[0]], [-grey[1], grey[0], 0]])
    cos, sin = hue.cos()[:, None, None], hue.sin()[:, None, None]
    across = (torch.eye(3) - luma) * cos + cross * sin
    matrix = contrast[:, None, None] * (luma + saturation[:, None, None] * across)
    changed = torch.einsum("nij,njhw->nihw", matrix.to(images), images)
    return changed + brightness.to(images).view(n, 1, 1, 1)


def _chosen(n: int, p: float, rng: Generator) -> Tensor:
    return torch.rand(n, generator=rng) < p
