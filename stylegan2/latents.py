"""Latent vectors: drawing them from seeds, truncation, and the curves that walks follow."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from .errors import ShapeError
from .seeds import check_seed


def z_from_seed(seed: int, z_dim: int) -> Tensor:
    """The latent of a seed, [z_dim] float32: the same that NVlabs' generate.py draws for it.

    numpy's RandomState is frozen by numpy's own policy (NEP 19), so a seed means the same picture next year.
    Raises  StyleGAN2Error if the seed is not in 0 .. 2^32 - 1
    """
    z = np.random.RandomState(check_seed(seed)).randn(z_dim)
    return torch.from_numpy(z.astype(np.float32))


KIND_NUMBERS = 2
"""How many of a latent's numbers, the first ones, say which kind of picture it stands for."""


def kind_of(z: Tensor, kinds: int) -> Tensor:
    """Which of some kinds of picture each latent stands for, [N] indices: the sector that its first two numbers lie in.

    z [N, z_dim]. All kinds are equally likely. A generator that was trained so needs no class beside z: any seed has a
    kind, a walk between two seeds passes from one to the other, and what lies between two kinds is a narrow ray.
    """
    turn = torch.atan2(z[:, 1], z[:, 0]) / (2 * torch.pi) + 0.5
    return (turn * kinds).long().clamp_max(kinds - 1)


def z_of_kind(z: Tensor, kind: Tensor, kinds: int) -> Tensor:
    """Latents z [N, z_dim] moved to the kinds `kind` [N]: their first two numbers are turned by whole sectors.

    A standard normal z stays what a standard normal z of that kind is.
    """
    angle = (kind - kind_of(z, kinds)) * (2 * torch.pi / kinds)
    cos, sin = angle.cos(), angle.sin()
    moved = z.clone()
    moved[:, 0], moved[:, 1] = z[:, 0] * cos - z[:, 1] * sin, z[:, 0] * sin + z[:, 1] * cos
    return moved


def seeds_of_kind(kind: int, kinds: int, z_dim: int, *, count: int, start: int = 0) -> list[int]:
    """The first `count` seeds from `start` on whose latent is of that kind; every `kinds`-th seed is, on average."""
    found: list[int] = []
    for seed in itertools.count(start):
        if len(found) == count:
            return found
        if kind_of(z_from_seed(seed, z_dim)[None], kinds).item() == kind:
            found.append(seed)
    raise AssertionError  # itertools.count has no end


def truncate(w: Tensor, w_mean: Tensor, psi: float, cutoff: int | None = None) -> Tensor:
    """Pull latents toward the mean: `w_mean + psi * (w - w_mean)`.

    w       [N, L, C] float32
    w_mean  [C]
    psi     1 = unchanged (bit for bit), 0 = the mean image
    cutoff  only the first `cutoff` of the L vectors are pulled; None = all
    Raises  ShapeError
    Source  Karras et al. 2019, appendix B
    """
    if w.ndim != 3 or w_mean.shape != w.shape[-1:]:
        raise ShapeError(f"Truncation needs w [N, L, C] and a mean [C], not {list(w.shape)} and {list(w_mean.shape)}.")
    if psi == 1 or cutoff == 0:
        return w
    pulled = w_mean.lerp(w[:, :cutoff], psi)
    return pulled if cutoff is None else torch.cat([pulled, w[:, cutoff:]], dim=1)


def lerp(a: Tensor, b: Tensor, t: float | Tensor) -> Tensor:
    """The straight line from `a` (t = 0) to `b` (t = 1): the way between two points of w."""
    return a + (b - a) * t


def slerp(a: Tensor, b: Tensor, t: float) -> Tensor:
    """The great circle from `a` (t = 0) to `b` (t = 1) over the last axis, with lengths interpolated: the way in z.

    Nearly parallel vectors, and opposite ones (where the circle is not unique), take the straight line.
    Source  Shoemake 1985; White 2016
    """
    a_length, b_length = a.norm(dim=-1, keepdim=True), b.norm(dim=-1, keepdim=True)
    a_unit, b_unit = a / a_length.clamp_min(1e-12), b / b_length.clamp_min(1e-12)
    omega = (a_unit * b_unit).sum(-1, keepdim=True).clamp(-1, 1).acos()
    sin = omega.sin()
    round_way = (((1 - t) * omega).sin() * a_unit + (t * omega).sin() * b_unit) / sin.clamp_min(1e-4)
    round_way = round_way * lerp(a_length, b_length, t)
    return torch.where(sin > 1e-3, round_way, lerp(a, b, t))


def catmull_rom(points: Tensor | Sequence[Tensor], t: float, *, closed: bool = False) -> Tensor:
    """A smooth curve through `points` at `t` in [0, 1]: uniform Catmull-Rom, its speed continuous at every point.

    points  [K, ...]; K >= 1
    closed  the curve returns to its first point at t = 1 with the same speed (a loop without a jolt)
    Source  Catmull and Rom 1974
    """
    p = points if isinstance(points, Tensor) else torch.stack(list(points))
    k = len(p)
    if k == 0:
        raise ShapeError("A curve needs at least one point.")
    if k == 1:
        return p[0].clone()
    spans = k if closed else k - 1
    u = (t % 1.0 if closed else min(max(t, 0.0), 1.0)) * spans
    i = min(int(u), spans - 1)
    u -= i

    def point(j: int) -> Tensor:
        if closed:
            return p[j % k]
        if j < 0:  # the ends are continued by reflection, so that an open curve starts with its chord's speed
            return 2 * p[0] - p[1]
        if j >= k:
            return 2 * p[-1] - p[-2]
        return p[j]

    a, b, c, d = (point(i + j) for j in (-1, 0, 1, 2))
    slope_b, slope_c = (c - a) / 2, (d - b) / 2
    return (
        (2 * u**3 - 3 * u**2 + 1) * b
        + (u**3 - 2 * u**2 + u) * slope_b
        + (3 * u**2 - 2 * u**3) * c
        + (u**3 - u**2) * slope_c
    )
