from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from latent_loom.backend.adaptation.aims import text_direction
from latent_loom.backend.adaptation.clip import unit
from latent_loom.backend.adaptation.losses import directional_loss, diversity_loss, gamut_loss, in_domain_loss
from latent_loom.backend.adaptation.measures import diversity, pinned_score, structure_score
from latent_loom.backend.adaptation.resize import fit_square, resize
from latent_loom.backend.adaptation.views import _cut, draw_patches, draw_views


def vectors(n: int, seed: int) -> torch.Tensor:
    return unit(torch.randn(n, 16, generator=torch.Generator().manual_seed(seed)))


def test_the_directional_loss_is_one_minus_the_mean_cosine():
    before, after, direction = vectors(5, 1), vectors(5, 2), vectors(1, 3)[0]
    expected = 1 - F.cosine_similarity(after - before, direction[None]).mean()
    assert torch.allclose(directional_loss(before, after, direction), expected, atol=1e-3)


def test_the_directional_loss_of_equal_pictures_is_one_with_a_gentle_gradient():
    before = vectors(3, 1)
    after = before.clone().requires_grad_(True)
    loss = directional_loss(before, after, vectors(1, 2)[0])
    loss.backward()
    assert loss.item() == 1.0
    assert 0 < after.grad.abs().max() < 100


def test_the_in_domain_loss_is_the_mean_squared_change_of_the_cosines_over_all_pairs():
    before, after = vectors(4, 1), vectors(4, 2)
    changes = [(before[i] @ before[j] - after[i] @ after[j]) ** 2 for i in range(4) for j in range(i)]
    assert torch.allclose(in_domain_loss(before, after), torch.stack(changes).mean())
    assert in_domain_loss(before[:1], after[:1]) == 0


def test_the_diversity_loss_is_the_squared_share_of_diversity_that_is_lost_and_nothing_where_some_is_won():
    few, many = unit(vectors(4, 1) + 2), vectors(4, 2)
    lost = 1 - diversity(few) / diversity(many)
    assert lost > 0.1
    assert diversity_loss(many, few).item() == pytest.approx(lost**2, rel=1e-4)
    assert diversity_loss(few, many) == diversity_loss(many[:1], few[:1]) == 0


def test_the_diversity_loss_has_no_slope_where_all_pictures_are_one():
    same = vectors(1, 1).repeat(4, 1).requires_grad_(True)
    diversity_loss(same.detach(), same).backward()
    assert same.grad is not None and same.grad.abs().max() == 0


def test_the_text_direction_is_a_unit_vector_and_turns_round_with_the_prompts(clip):
    there, back = text_direction(clip, "stone", "mossy stone"), text_direction(clip, "mossy stone", "stone")
    assert torch.allclose(there.norm(), torch.tensor(1.0))
    assert torch.allclose(there, -back, atol=1e-6)
    assert there.dtype == torch.float32


def test_diversity_is_the_mean_cosine_distance_over_pairs():
    e = vectors(5, 4)
    distances = [1 - e[i] @ e[j] for i in range(5) for j in range(i)]
    assert abs(diversity(e) - torch.stack(distances).mean().item()) < 1e-6


def test_the_pinned_score_tells_a_fixed_place_from_independent_ones():
    torch.manual_seed(0)
    source = torch.zeros(16, 3, 32, 32)
    spot = torch.rand(1, 1, 32, 32)
    assert pinned_score(source, source + spot) > 0.99
    assert abs(pinned_score(source, source + torch.rand(16, 1, 32, 32)) - 0.25) < 0.03


def test_structure_is_one_for_a_change_of_brightness_and_low_for_another_picture():
    torch.manual_seed(0)
    source = torch.rand(4, 3, 32, 32)
    assert structure_score(source, source * 0.5 + 0.1) > 0.999
    assert structure_score(source, torch.rand(4, 3, 32, 32)) < 0.2


def test_the_resize_agrees_with_pytorchs_antialiased_bicubic():
    x = torch.rand(2, 3, 96, 80, generator=torch.Generator().manual_seed(0))
    for size in ((32, 40), (64, 64), (224, 224)):
        expected = F.interpolate(x, size=size, mode="bicubic", antialias=True, align_corners=False)
        assert torch.allclose(resize(x, *size), expected, atol=1e-5)


def test_a_picture_of_the_right_size_is_not_touched_and_an_oblong_one_loses_its_ends():
    x = torch.rand(1, 3, 64, 64)
    assert resize(x, 64, 64) is x
    wide = torch.zeros(1, 3, 32, 96)
    wide[..., 32:64] = 1
    assert fit_square(wide, 32).min() == 1


def test_the_gamut_loss_is_zero_inside_and_the_mean_square_of_the_excess_outside():
    assert gamut_loss(torch.tensor([-1.0, 0.3, 1.0])) == 0
    assert torch.allclose(gamut_loss(torch.tensor([-1.5, 0.0, 2.0, 0.0])), torch.tensor((0.25 + 1) / 4))


CPU = torch.device("cpu")


def test_what_is_cut_out_is_rolled_cropped_and_resized():
    x = torch.rand(1, 3, 40, 64)
    for top, left, crop in ((0, 0, 40), (7, 50, 30), (39, 3, 26)):
        rolled = x.roll((-top, -left), (2, 3))[..., :crop, :crop]
        for size in (16, crop, 48):
            seen = _cut(40, top, crop, size) @ x @ _cut(64, left, crop, size).T
            assert torch.allclose(seen, resize(rolled, size, size), atol=1e-5)


def test_views_are_of_the_size_of_each_clip_and_of_the_same_crop():
    rng, images = torch.Generator().manual_seed(0), torch.rand(2, 3, 64, 64) * 4 - 2
    for _ in range(20):
        small, large = draw_views(2, (64, 64), [16, 32], "xy", rng, CPU)
        seen = [view.of(images) - view.noise for view in (small, large)]
        assert [tuple(s.shape) for s in seen] == [(2, 3, 16, 16), (2, 3, 32, 32)]
        assert (resize(seen[1], 16, 16) - seen[0]).abs().mean() < 0.05
        # what lies outside is clamped before it is resized, as in a saved picture
        assert torch.allclose(small.of(3 * torch.ones_like(images)) - small.noise, torch.ones(1), atol=1e-5)


def test_a_mirrored_view_is_the_other_way_round():
    ramp, rng = torch.linspace(-1, 1, 64).expand(1, 3, 64, 64), torch.Generator().manual_seed(0)
    views = [draw_views(1, (64, 64), [32], "none", rng, CPU)[0] for _ in range(100)]
    rising = [bool((v.of(ramp) - v.noise).diff(dim=3).mean() > 0) for v in views]
    assert 30 <= sum(rising) <= 70
    assert all((v.of(ramp) - v.noise).diff(dim=2).abs().max() < 1e-5 for v in views)


def test_the_noise_of_a_view_is_resized_as_its_pictures_are():
    rng = torch.Generator().manual_seed(0)
    views = [draw_views(8, (64, 64), [8, 64], "xy", rng, CPU) for _ in range(20)]
    weak, strong = ([v[i].noise.std().item() for v in views] for i in (0, 1))
    assert max(strong) < 0.09 and all(w < s / 3 for w, s in zip(weak, strong, strict=True))


def test_a_view_of_a_picture_that_does_not_wrap_never_crosses_its_border():
    rng, ramp = torch.Generator().manual_seed(0), torch.linspace(-1, 1, 64).expand(1, 3, 64, 64)
    for _ in range(30):
        (view,) = draw_views(1, (64, 64), [64], "y", rng, CPU)
        steps = (view.of(ramp) - view.noise).diff(dim=3)
        assert (steps.abs() < 0.1).all()
    wraps = [draw_views(1, (64, 64), [64], "xy", rng, CPU)[0] for _ in range(30)]
    assert any(((v.of(ramp) - v.noise).diff(dim=3).abs() > 0.5).any() for v in wraps)


@pytest.mark.parametrize("share", [0.01, 0.4, 1.0])
def test_patches_of_any_size_lie_at_random_places_that_both_pictures_share(share):
    images = torch.rand(3, 3, 20, 16) * 2 - 1
    (view,) = draw_patches(3, (20, 16), [8], share, "xy", torch.Generator().manual_seed(0), CPU)
    first, second = view.of(images), view.of(-images)
    assert first.shape == (3, 3, 8, 8) and torch.equal(first, -second)
    side = max(1, round(share * 16))
    rolled = [
        images[0].roll((-i, -j), (1, 2))[None, :, :side, :side].clamp(-1, 1) for i in range(20) for j in range(16)
    ]
    assert any(torch.allclose(resize(r, 8, 8)[0], first[0], atol=1e-5) for r in rolled)
