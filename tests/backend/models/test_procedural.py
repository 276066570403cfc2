from __future__ import annotations

import pytest
import torch
from latent_loom.backend.models.procedural import fields
from latent_loom.backend.models.procedural.captions import (
    CONDITION_NAMES,
    FAMILY_NAMES,
    NOTHING,
    TEMPLATES,
    Attributes,
    describe,
    matches,
    vocabulary,
)
from latent_loom.backend.models.procedural.conditions import CONDITIONS
from latent_loom.backend.models.procedural.families import FAMILIES
from latent_loom.backend.models.procedural.stream import MaterialBank, draw_attributes, render


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def seam_ratio(pictures: torch.Tensor) -> float:
    """Mean gradient across the wrap edge over the mean inside, both axes. A grid's own lines are rolled away first."""
    total, inside = 0.0, 0.0
    for seed in range(8):
        shift = torch.randint(pictures.shape[-1], (2,), generator=rng(seed)).tolist()
        p = pictures.roll(shift, (2, 3)) if seed else pictures
        total += (p[..., 0] - p[..., -1]).abs().mean().item() + (p[..., 0, :] - p[..., -1, :]).abs().mean().item()
        inside += p.diff(dim=3).abs().mean().item() + p.diff(dim=2).abs().mean().item()
    return total / inside


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_seeded_periodic_and_varied(family):
    kind = Attributes(FAMILY_NAMES.index(family))
    one, two = (render([kind] * 4, size=32, rng=rng()) for _ in range(2))
    assert torch.equal(one, two)
    assert one.min() >= 0 and one.max() <= 1 and one.std() > 0.01
    assert (one[0] - one[1]).abs().mean() > 0.01
    assert seam_ratio(render([kind] * 12, size=32, rng=rng(1))) < 1.25


@pytest.mark.parametrize("condition", CONDITIONS)
def test_every_condition_changes_a_surface_and_keeps_it_periodic(condition):
    plain = Attributes(0)
    weathered = Attributes(0, CONDITION_NAMES.index(condition))
    before, after = render([plain] * 4, size=32, rng=rng()), render([weathered] * 4, size=32, rng=rng())
    assert (before.mean((2, 3)) - after.mean((2, 3))).abs().mean() > 0.01
    assert seam_ratio(render([weathered] * 12, size=32, rng=rng(1))) < 1.25


def test_noise_is_periodic_with_zero_mean_and_unit_variance():
    field = fields.noise(rng(), 3, 64, beta=1.0)
    assert field.mean().abs() < 1e-4
    assert torch.allclose(field.flatten(1).std(dim=1), torch.ones(3), atol=1e-3)


def test_a_warp_by_whole_pixels_is_a_roll():
    field = torch.rand(2, 16, 16, generator=rng())
    moved = fields.warp(field, torch.full((2, 16, 16), 3 / 16), torch.zeros(2, 16, 16))
    assert torch.allclose(moved, field.roll(-3, 1), atol=1e-5)


def test_a_caption_is_true_of_its_own_picture_and_says_only_known_words():
    words = set(vocabulary())
    attributes = draw_attributes(200, rng(), weathered=0.7, tinted=0.5)
    for a in attributes:
        text, said = describe(a, rng(a.family))
        assert set(text.split()) <= words
        assert matches([a], [said]).item()


def test_a_caption_without_a_condition_is_not_true_of_a_weathered_picture():
    stone, mossy = Attributes(0), Attributes(0, 0)
    red_mossy, some_mossy = Attributes(0, 0, 1), Attributes(NOTHING, 0)
    truth = matches([stone, mossy, red_mossy], [stone, mossy, some_mossy])
    assert truth.tolist() == [[True, False, False], [False, True, True], [False, True, True]]


def test_every_template_takes_the_prompt():
    assert all(t.count("{}") == 1 for t in TEMPLATES)


def bank(start: int = 0, **changes) -> MaterialBank:
    settings = {"size": 16, "capacity": 128, "refresh": 32, "seed": 4, "weathered": 0.5, "tinted": 0.2}
    return MaterialBank(**(settings | changes), start=start)


def test_a_bank_repeats_with_its_seed_and_goes_on_from_any_batch_as_an_unbroken_one():
    one, two = bank(), bank()
    (a, names), (b, _) = one.batch(8), two.batch(8)
    assert torch.equal(a, b) and a.shape == (8, 3, 16, 16) and len(names) == 8
    assert a.min() >= -1 and a.max() <= 1
    for _ in range(3):
        last, said = one.batch(8)
    later, also_said = bank(start=3).batch(8)
    assert torch.equal(last, later) and said == also_said
    assert not torch.equal(a, bank(seed=5).batch(8)[0])


def test_a_bank_makes_its_oldest_pictures_anew():
    stream = bank()
    before = stream.pictures.clone()
    for _ in range(3):  # a block of 64 is due at the third
        stream.batch(8)
    assert (stream.pictures != before).flatten(1).any(1).tolist() == [True] * 64 + [False] * 64
