"""Random views of a batch, the same for both generators: a CLIP shall not be pleased by one pixel pattern at one place.

Source  the random augmentations of Frans et al. 2021 (CLIPDraw) and Kwon and Ye 2022 (CLIPstyler), here shared by the
        pair, because StyleGAN-NADA compares two pictures of one latent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

SMALLEST_CROP = 0.65
NOISE = 0.08


@dataclass(frozen=True, kw_only=True)
class View:
    """shift pixels (down, right); crop side, in pixels; noise [N, 3, crop, crop]."""

    shift: tuple[int, int]
    crop: int
    mirror: bool
    noise: Tensor

    def of(self, images: Tensor) -> Tensor:
        """Images [N, 3, H, W] -> [N, 3, crop, crop], clamped to [-1, 1] as a saved picture is."""
        seen = images.clamp(-1, 1).roll(self.shift, (2, 3))[..., : self.crop, : self.crop]
        return (seen.flip(-1) if self.mirror else seen) + self.noise


def patches(images: Sequence[Tensor], share: float, tile: str, rng: torch.Generator) -> list[Tensor]:
    """A random square of each picture, at the same places in each of the equal batches `images` [N, 3, H, W].

    share  its side as a share of the picture's shorter one; at least one pixel. Across the edge where pictures wrap
    """
    n, _, height, width = images[0].shape
    side = max(1, round(share * min(height, width)))
    free = (height if "y" in tile else height - side + 1, width if "x" in tile else width - side + 1)
    places = [[int(torch.randint(room, (1,), generator=rng)) for room in free] for _ in range(n)]

    def cut(batch: Tensor) -> Tensor:
        rolled = [image.roll((-down, -right), (1, 2)) for image, (down, right) in zip(batch, places, strict=True)]
        return torch.stack(rolled)[..., :side, :side].clamp(-1, 1)

    return [cut(batch) for batch in images]


def draw_view(images: Tensor, tile: str, rng: torch.Generator) -> View:
    """A view that suits such pictures: rolled along the axes on which they wrap, a crop elsewhere too."""
    n, _, height, width = images.shape
    side = min(height, width)
    crop = int(torch.randint(round(SMALLEST_CROP * side), side + 1, (1,), generator=rng))
    # Where a picture does not wrap, a crop may start anywhere that leaves it inside.
    free = (height if "y" in tile else height - crop + 1, width if "x" in tile else width - crop + 1)
    down, right = (-int(torch.randint(size, (1,), generator=rng)) for size in free)
    noise = torch.randn(n, 3, crop, crop, generator=rng) * NOISE * torch.rand(1, generator=rng)
    mirror = bool(torch.rand(1, generator=rng) < 0.5)
    return View(shift=(down, right), crop=crop, mirror=mirror, noise=noise.to(images.device))
