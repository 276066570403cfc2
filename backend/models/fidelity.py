"""How near one set of pictures is to another, by their features [N, D]; nothing here knows what the features are.

precision  share of the made pictures that lie among the real ones
recall     share of the real pictures that lie among the made ones
frechet    distance of two Gaussians fitted to the two sets
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor

NEIGHBOURS = 3
"""As in the paper: large enough to be stable, small enough to keep gaps between pictures gaps."""


@dataclass(frozen=True, kw_only=True)
class Fidelity:
    precision: float
    recall: float
    frechet: float

    def as_dict(self) -> dict[str, float]:
        return {name: round(value, 4) for name, value in asdict(self).items()}


def fidelity(real: Tensor, made: Tensor, neighbours: int = NEIGHBOURS) -> Fidelity:
    """All three of two feature sets [N, D] and [M, D], N and M above `neighbours`."""
    return Fidelity(
        precision=covered(made, real, neighbours),
        recall=covered(real, made, neighbours),
        frechet=frechet_distance(real, made),
    )


def covered(points: Tensor, cloud: Tensor, neighbours: int = NEIGHBOURS) -> float:
    """Share of `points` [N, D] that lie within some point of `cloud` [M, D]'s distance to its k-th neighbour there.

    Source  Kynkaanniemi et al. 2019, equations 1 and 2: precision = covered(made, real), recall = covered(real, made)
    """
    # the nearest of a point in its own cloud is itself
    radius = torch.cdist(cloud, cloud).kthvalue(neighbours + 1, dim=1).values
    return (torch.cdist(points, cloud) <= radius).any(1).float().mean().item()


def frechet_distance(a: Tensor, b: Tensor) -> float:
    """|mean_a - mean_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2)). Source: Heusel et al. 2017, equation 6."""
    one, two = (x.double().cpu().numpy() for x in (a, b))
    cov_one, cov_two = np.cov(one, rowvar=False), np.cov(two, rowvar=False)
    # The eigenvalues of C_a C_b are those of the symmetric A C_b A with A A = C_a.
    values, vectors = np.linalg.eigh(cov_one)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    cross = np.sqrt(np.linalg.eigvalsh(root @ cov_two @ root).clip(0)).sum()
    shift = np.square(one.mean(0) - two.mean(0)).sum()
    return float(shift + np.trace(cov_one) + np.trace(cov_two) - 2 * cross)
