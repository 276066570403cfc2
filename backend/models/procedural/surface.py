"""A surface before it is photographed, and its colours."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor


@dataclass
class Surface:
    """n square, periodic surfaces.

    height  [n, S, S]     0 low, 1 high (not clipped)
    albedo  [n, 3, S, S]  sRGB 0..1
    relief  [n, 1, 1]     how deep a height of 1 is, in picture widths
    gloss   [n, S, S]     0 matt, 1 mirror-like: strength of the highlight
    """

    height: Tensor
    albedo: Tensor
    relief: Tensor
    gloss: Tensor

    def items(self, rows: Tensor) -> Surface:
        """The surfaces of some rows."""
        return Surface(self.height[rows], self.albedo[rows], self.relief[rows], self.gloss[rows])

    def mixed(self, colour: Tensor, mask: Tensor) -> Tensor:
        """The albedo with `colour` ([n, 3, 1, 1] or [n, 3, S, S]) laid over it where mask [n, S, S] is 1."""
        return torch.lerp(self.albedo, colour.expand_as(self.albedo), mask.clamp(0, 1)[:, None])


def colour(rng: Generator, n: int, *choices: tuple[float, float, float], spread: float = 0.06) -> Tensor:
    """[n, 3, 1, 1]: for each picture one of `choices` (sRGB), jittered in lightness and hue by about `spread`."""
    palette = torch.tensor(choices, device=rng.device)
    pick = torch.randint(len(choices), (n,), generator=rng, device=rng.device)
    base = palette[pick]
    light = torch.randn(n, 1, generator=rng, device=rng.device) * spread * 2
    hue = torch.randn(n, 3, generator=rng, device=rng.device) * spread * 0.6
    return (base * (1 + light + hue)).clamp(0.01, 0.98)[:, :, None, None]


def ramp(low: Tensor, high: Tensor, t: Tensor) -> Tensor:
    """Colours [n, 3, 1, 1] mixed by a field t [n, S, S] into [n, 3, S, S]."""
    return torch.lerp(low.expand(-1, -1, *t.shape[-2:]), high.expand(-1, -1, *t.shape[-2:]), t.clamp(0, 1)[:, None])
