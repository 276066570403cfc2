"""A generator that is no StyleGAN2: three ordinary convolutions on a small random map. It is here to be adapted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import torch
import torch.nn.functional as F
from latent_loom.backend.adaptation.style import expand
from latent_loom.backend.adaptation.subject import Cost, Layer
from latent_loom.stylegan2.checkpoints import generator_hash
from torch import Tensor, nn
from torch.func import functional_call


class Noisy(nn.Module):
    """[N, 6, 8, 8] random numbers -> [N, 3, 32, 32]: convolve, enlarge, convolve, enlarge, colour."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.first, self.second = nn.Conv2d(6, 12, 3), nn.Conv2d(12, 12, 3)
        self.colour = nn.Conv2d(12, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        for layer in (self.first, self.second):
            x = F.interpolate(layer(F.pad(x, (1, 1, 1, 1), mode="circular")).relu(), scale_factor=2)
        return self.colour(x).tanh()


class NoisySubject:
    tile, base, codes, kinds, sides = "xy", (), 0, (), (32, 32)

    def __init__(self) -> None:
        self.network = Noisy().requires_grad_(False)

    @property
    def device(self) -> torch.device:
        return torch.device("cpu")

    def hash(self) -> str:
        return generator_hash(self.network)

    def parameters(self) -> Mapping[str, Tensor]:
        return dict(self.network.named_parameters())

    def layers(self) -> Sequence[Layer]:
        kinds = {"first": "conv", "second": "conv", "colour": "colour"}
        return [Layer(name=n, kind=k, weight=f"{n}.weight", bias=f"{n}.bias") for n, k in kinds.items()]

    def draw(self, n: int, rng: torch.Generator, *, psi: float = 1.0, mixing: float = 0.0) -> Any:
        return SimpleNamespace(x=torch.randn(n, 6, 8, 8, generator=rng))

    def fixed(self, n: int) -> Any:
        return self.draw(n, torch.Generator().manual_seed(77))

    def some(self, drawn: Any, chosen: slice) -> Any:
        return SimpleNamespace(x=drawn.x[chosen])

    def pair(self, drawn: Any, tensors: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            source = self.pictures(drawn)
        return source, self.pictures(drawn, tensors)

    def pictures(self, drawn: Any, tensors: Mapping[str, Tensor] | None = None) -> Tensor:
        own = self.parameters()
        changed = {name: own[name] + delta for name, delta in expand(dict(tensors or {})).items()}
        return functional_call(self.network, changed, (drawn.x,))

    def cost(self, names: Sequence[str]) -> Cost:
        return Cost()
