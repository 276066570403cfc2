from __future__ import annotations

import pytest
import torch
from latent_loom.stylegan2.errors import ShapeError
from latent_loom.stylegan2.latents import catmull_rom, kind_of, lerp, slerp, truncate, z_of_kind


def test_truncation_is_a_straight_line_to_the_mean():
    w, mean = torch.randn(2, 6, 4), torch.randn(4)
    assert truncate(w, mean, 1.0) is w
    assert torch.allclose(truncate(w, mean, 0.25), mean + 0.25 * (w - mean), atol=1e-6)
    assert torch.equal(truncate(w, mean, 0.25, cutoff=2)[:, 2:], w[:, 2:])
    assert truncate(w, mean, 0.25, cutoff=0) is w
    with pytest.raises(ShapeError):
        truncate(w, torch.randn(5), 0.5)


def test_every_kind_of_latent_is_equally_likely():
    z = torch.randn(4000, 6, generator=torch.Generator().manual_seed(1))
    assert ((kind_of(z, 4).bincount() / 4000 - 0.25).abs() < 0.03).all()


def test_a_latent_is_moved_to_the_kind_asked_for_and_stays_normal():
    z = torch.randn(4000, 6, generator=torch.Generator().manual_seed(2))
    wanted = torch.arange(4000) % 4
    moved = z_of_kind(z, wanted, 4)
    assert torch.equal(kind_of(moved, 4), wanted)
    assert torch.allclose(moved.norm(dim=1), z.norm(dim=1)) and torch.equal(moved[:, 2:], z[:, 2:])
    assert torch.equal(z_of_kind(z, kind_of(z, 4), 4), z)
    assert moved.mean(0).abs().max() < 0.05 and (moved.std(0) - 1).abs().max() < 0.05


def test_slerp_keeps_the_length_and_the_angle():
    a, b = torch.tensor([2.0, 0.0]), torch.tensor([0.0, 2.0])
    half = slerp(a, b, 0.5)
    assert torch.allclose(half, torch.full([2], 2**0.5))
    assert torch.allclose(slerp(a, b, 0.0), a, atol=1e-6)
    assert torch.allclose(slerp(a, b, 1.0), b, atol=1e-6)


@pytest.mark.parametrize("b", [[1.0, 0.0], [-1.0, 0.0], [1.0, 1e-6], [0.0, 0.0]])
def test_slerp_is_finite_where_the_circle_is_not_unique(b):
    assert slerp(torch.tensor([1.0, 0.0]), torch.tensor(b), 0.5).isfinite().all()


def test_lerp_takes_a_tensor_of_weights():
    a, b = torch.zeros(3, 2), torch.ones(3, 2)
    assert torch.equal(lerp(a, b, torch.tensor([[0.0], [0.5], [1.0]])).mean(1), torch.tensor([0.0, 0.5, 1.0]))


@pytest.mark.parametrize("closed", [False, True])
def test_the_curve_passes_through_its_points(closed):
    points = torch.randn(5, 3)
    spans = 5 if closed else 4
    for i in range(5):
        assert torch.allclose(catmull_rom(points, i / spans, closed=closed), points[i], atol=1e-5)


def test_a_closed_curve_comes_round_without_a_jolt():
    points, step = torch.randn(4, 3, dtype=torch.float64), 1e-6
    end, start = catmull_rom(points, 1 - step, closed=True), catmull_rom(points, 0.0, closed=True)
    after = catmull_rom(points, step, closed=True)
    assert torch.allclose(catmull_rom(points, 1.0, closed=True), points[0])
    assert torch.allclose((start - end) / step, (after - start) / step, atol=1e-3)


def test_an_open_curve_of_two_points_is_the_line():
    a, b = torch.randn(2, 3)
    assert torch.allclose(catmull_rom([a, b], 0.3), lerp(a, b, 0.3), atol=1e-6)


def test_one_point_is_a_resting_curve_and_none_is_refused():
    point = torch.randn(1, 3)
    assert torch.equal(catmull_rom(point, 0.7, closed=True), point[0])
    with pytest.raises(ShapeError, match="at least one point"):
        catmull_rom(torch.zeros(0, 3), 0.5)
