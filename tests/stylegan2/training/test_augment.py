from __future__ import annotations

import pytest
import torch
from latent_loom.stylegan2.training.augment import MOST, TARGET, Augmentation, move, recolour


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_at_p_0_pictures_pass_untouched():
    images = torch.rand(3, 3, 16, 16)
    assert Augmentation(wraps=True)(images, rng()) is images
    assert torch.allclose(move(images, 0.0, rng(), wraps=True), images, atol=1e-5)
    assert torch.allclose(recolour(images, 0.0, rng()), images, atol=1e-5)


@pytest.mark.parametrize("wraps", [True, False])
def test_changes_are_seeded_differ_between_pictures_and_carry_gradients(wraps):
    images = torch.rand(1, 3, 16, 16).repeat(8, 1, 1, 1).requires_grad_(True)
    augmentation = Augmentation(wraps=wraps, p=0.8)
    one, two = (augmentation(images, rng(1)) for _ in range(2))
    assert torch.equal(one, two) and one.shape == images.shape
    assert len({tuple(picture.flatten().tolist()) for picture in one.detach()}) == 8
    one.square().sum().backward()
    assert torch.isfinite(images.grad).all() and (images.grad.abs().sum((1, 2, 3)) > 0).all()


def test_about_the_share_p_of_the_pictures_is_changed_in_each_way():
    images = torch.rand(1, 3, 8, 8).repeat(400, 1, 1, 1)
    # four ways of recolouring, each with probability .2: untouched with .8 ^ 4
    changed = (recolour(images, 0.2, rng()) - images).abs().amax((1, 2, 3)) > 1e-5
    assert changed.float().mean().item() == pytest.approx(1 - 0.8**4, abs=0.08)


def test_what_a_move_brings_in_lies_across_the_edge_or_mirrors_it():
    """A picture whose left half is dark: nothing but dark and light may appear, whatever is moved."""
    images = torch.ones(64, 3, 16, 16)
    images[..., :8] = -1
    for wraps in (True, False):
        moved = move(images, 0.9, rng(3), wraps=wraps)
        assert moved.abs().max() <= 1 + 1e-5
        assert (moved.abs() > 0.9).float().mean() > 0.6  # no third value was let in, but at blended edges


def test_hue_and_saturation_leave_grey_grey():
    grey = torch.full((16, 3, 4, 4), 0.3)
    changed = recolour(grey, 1.0, rng())
    assert torch.allclose(changed[:, :1].expand_as(changed), changed, atol=1e-5)


def test_p_rises_while_real_pictures_are_known_by_heart_and_falls_again():
    augmentation = Augmentation(wraps=True, ramp=1_000)
    for _ in range(40):
        augmentation.adapt(1.0, 50)
    assert augmentation.p == MOST and augmentation.certainty > TARGET
    for _ in range(100):
        augmentation.adapt(0.0, 50)
    assert augmentation.p == 0
