"""What the adaptation needs of a generator, and no more: anything that fulfils `Subject` can be adapted.

`stylegan2.StyleGAN2Subject` is the one for the generators of this program; the tests adapt another, small one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One trainable layer, by the names of its parameters; None = it has no such thing.

    kind    "conv", or "colour" for one that makes the picture's colours
    weight  [O, I, k, k]
    style   the offset of its style: a vector with a number for each input channel
    others  further parameters that belong to it
    coarse  it makes the largest forms
    code    which of the generator's latent vectors drives it
    """

    name: str
    kind: str
    weight: str
    style: str | None = None
    bias: str | None = None
    noise: str | None = None
    others: tuple[str, ...] = ()
    coarse: bool = False
    code: int | None = None

    @property
    def parameters(self) -> tuple[str, ...]:
        return tuple(name for name in (self.weight, self.style, self.bias, self.noise, *self.others) if name)


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one picture costs; 0 = not known.

    shared_gmac   layers below the first trained one, computed once for both pictures
    trained_gmac  the others: twice forward, once backward
    kept_bytes    activations kept for the backward pass
    """

    shared_gmac: float = 0.0
    trained_gmac: float = 0.0
    kept_bytes: int = 0


class Subject(Protocol):
    """A generator with its way of drawing random inputs. `drawn` is the subject's own and nobody looks inside.

    tile    axes on which its pictures wrap: none | x | y | xy
    base    parameters that `full` trains beside the layers (a learned constant)
    codes   latent vectors that drive one picture; 0 = layers cannot be told apart by them
    kinds   a word for each kind of picture that it makes; () = not known
    sides   height and width of the pictures of `pair`
    """

    tile: str
    base: tuple[str, ...]
    codes: int
    kinds: tuple[str, ...]
    sides: tuple[int, int]

    @property
    def device(self) -> torch.device: ...

    def hash(self) -> str:
        """Which weights these are."""

    def parameters(self) -> Mapping[str, Tensor]:
        """Every parameter by its name, frozen."""

    def layers(self) -> Sequence[Layer]:
        """The trainable layers in the order in which they run."""

    def draw(self, n: int, rng: torch.Generator, *, psi: float = 1.0, mixing: float = 0.0) -> Any:
        """Random inputs for n pictures: everything random, so that the same `drawn` gives the same picture."""

    def fixed(self, n: int) -> Any:
        """The same n inputs at every call."""

    def some(self, drawn: Any, chosen: slice) -> Any:
        """Some of the inputs."""

    def pair(self, drawn: Any, tensors: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """(source, adapted), [N, 3, H, W] each in about [-1, 1]: with a style's tensors added, and without; gradients
        reach the tensors and nothing else. With all deltas zero both are equal bit for bit. They may be smaller than
        those of `pictures`, or repeat."""

    def pictures(self, drawn: Any, tensors: Mapping[str, Tensor] | None = None) -> Tensor:
        """The source's pictures (None), or the adapted ones, as a user gets them. Of what `fixed` gave, no gradient."""

    def cost(self, names: Sequence[str]) -> Cost:
        """Of a picture whose parameters `names` are trained."""


class CodedSubject(Subject, Protocol):
    """One whose latent vectors can be moved each for itself, which layer selection needs."""

    def with_codes(self, drawn: Any, codes: Tensor) -> Any:
        """The same inputs with other latent vectors [N, codes, D]."""

    def codes_of(self, drawn: Any) -> Tensor: ...

    def training_pictures(self, drawn: Any, tensors: Mapping[str, Tensor]) -> Tensor:
        """The adapted pictures of `pair`, with gradients of the codes too."""
