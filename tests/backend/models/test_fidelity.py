from __future__ import annotations

import pytest
import torch
from latent_loom.backend.models.fidelity import covered, fidelity, frechet_distance


def cloud(n: int, seed: int, shift: float = 0.0, scale: float = 1.0) -> torch.Tensor:
    return torch.randn(n, 3, generator=torch.Generator().manual_seed(seed)) * scale + shift


def test_a_set_beside_another_of_its_kind_is_covered_and_near():
    found = fidelity(cloud(400, 1), cloud(400, 2))
    assert found.precision > 0.85 and found.recall > 0.85 and found.frechet < 0.1


def test_one_mode_of_two_has_precision_without_recall():
    real = torch.cat([cloud(200, 1), cloud(200, 2, shift=50)])
    found = fidelity(real, cloud(200, 3))
    assert found.precision > 0.85 and 0.4 < found.recall < 0.5


def test_pictures_far_from_the_real_ones_have_neither():
    found = fidelity(cloud(100, 1), cloud(100, 2, shift=50))
    assert found.precision == 0 and found.recall == 0


def test_the_frechet_distance_of_two_gaussians_is_the_formulas():
    """Means 2 apart along each of 3 axes, deviations 1 and 3: 3 * 2^2 + 3 * (3 - 1)^2."""
    assert frechet_distance(cloud(20_000, 1), cloud(20_000, 2, shift=2, scale=3)) == pytest.approx(24, rel=0.05)
    assert frechet_distance(cloud(50, 1), cloud(50, 1)) == pytest.approx(0, abs=1e-9)


def test_a_point_counts_as_covered_within_the_distance_to_the_third_neighbour():
    line = torch.tensor([[0.0], [1.0], [2.0], [3.0]])
    assert covered(torch.tensor([[6.0]]), line) == 1 and covered(torch.tensor([[6.1]]), line) == 0
