"""Projection of pictures on a small random generator: what it must find, keep and leave alone."""

from __future__ import annotations

import pytest
import torch
from latent_loom.stylegan2.config import GeneratorConfig
from latent_loom.stylegan2.errors import ConfigError, ShapeError, StyleGAN2Error
from latent_loom.stylegan2.inputs import SynthesisInputs, draw_inputs
from latent_loom.stylegan2.latents import z_from_seed
from latent_loom.stylegan2.likeness import PatchStatistics, whiteness_loss
from latent_loom.stylegan2.networks import Generator
from latent_loom.stylegan2.projection import Projection, ProjectionSettings, normalise, ramp

QUICK = {"candidates": 4, "material": 4, "arrangement": 6}


@pytest.fixture(scope="module")
def generator() -> Generator:
    torch.manual_seed(3)
    generator = Generator(
        GeneratorConfig(
            z_dim=8, w_dim=8, resolution=16, channels=(8, 8, 8), mapping_layers=2, mapping_lr_multiplier=1.0,
            tile="xy", input_map=1.0, const_size=1,
        )
    )  # fmt: skip
    with torch.no_grad():
        for name, parameter in generator.named_parameters():
            if name.endswith("noise_strength"):
                parameter.fill_(0.1)
            if "torgb.weight" in name:
                parameter.mul_(0.2)
    return generator.eval().requires_grad_(False)


def picture(generator: Generator, seed: int, grid=(4, 4)) -> torch.Tensor:
    ws = generator.map(z_from_seed(seed, 8)[None])
    with torch.no_grad():
        return generator(ws, draw_inputs(generator.config, [seed], grid))


def projected(generator, target, **settings) -> Projection:
    run = Projection(generator, target, ProjectionSettings(**(QUICK | settings)))
    while run.done < run.total:
        run.step()
    return run


def error(run: Projection, target: torch.Tensor) -> float:
    return (run.picture() - target).square().mean().item()


@pytest.mark.parametrize("space", ["w", "w+", "style"])
def test_a_picture_of_the_generator_comes_back_nearly_exactly(generator, space):
    target = picture(generator, 1000)
    run = projected(generator, target, space=space, material=20, arrangement=80)
    assert error(run, target) < 0.06 * target.var()
    found = run.latents()
    assert bool(found.offsets) == (space == "style")
    if space == "w":
        assert (found.ws == found.ws[:, :1]).all()


def test_the_latents_make_the_picture_without_the_projection(generator):
    run = projected(generator, picture(generator, 1000))
    found = run.latents()
    assert torch.allclose(generator(found.ws, found.inputs), run.picture(), atol=1e-6)


def test_the_same_seed_gives_the_same_latents_and_another_seed_others(generator):
    target = picture(generator, 1000)
    first, again, other = (projected(generator, target, seed=seed).latents() for seed in (0, 0, 1))
    assert torch.equal(first.ws, again.ws)
    assert torch.equal(first.inputs.noise[-1], again.inputs.noise[-1])
    assert not torch.equal(first.ws, other.ws)


def test_the_generator_is_left_as_it_was(generator):
    before = {name: tensor.clone() for name, tensor in generator.state_dict().items()}
    projected(generator, picture(generator, 1000), space="style")
    assert all(torch.equal(tensor, before[name]) for name, tensor in generator.state_dict().items())


def test_the_search_takes_the_best_candidate(generator):
    """One candidate is the very texture that is looked for."""
    run = Projection(generator, picture(generator, 2), ProjectionSettings(**QUICK))
    for _ in range(4):
        run.step()
    assert torch.equal(run.latents().ws, generator.map(z_from_seed(2, 8)[None]))


def test_the_inputs_stay_like_noise(generator):
    found = projected(generator, picture(generator, 1000), arrangement=60).latents().inputs
    for noise in found.noise:
        assert noise.mean().abs() < 1e-4
        assert abs(noise.square().mean() - 1) < 1e-3
    assert abs(found.input_map.square().mean() - 1) < 1e-3


def test_the_stages_follow_one_another_and_the_state_is_whole_after_every_step(generator):
    run = Projection(generator, picture(generator, 1000), ProjectionSettings(**QUICK))
    with pytest.raises(StyleGAN2Error, match="has not begun"):
        run.latents()
    stages = []
    while run.done < run.total:
        stages.append(run.stage)
        run.step()
        assert torch.isfinite(run.latents().ws).all()
    assert stages == ["search"] * 4 + ["material"] * 4 + ["arrangement"] * 6


@pytest.mark.parametrize("empty", [{"material": 0}, {"arrangement": 0}, {"material": 0, "arrangement": 0}])
def test_a_stage_may_be_left_out(generator, empty):
    run = projected(generator, picture(generator, 1000), **empty)
    assert run.done == run.total


def test_the_loss_from_outside_leads_the_material(generator):
    """A loss that wants dark pictures makes them darker."""
    target = picture(generator, 1000)

    def dark(image):
        return image.mean()

    settings = ProjectionSettings(candidates=1, material=20, arrangement=0, likeness=5.0)
    means = []
    for likeness in (None, dark):
        run = Projection(generator, target, settings, likeness=likeness)
        while run.done < run.total:
            run.step()
        means.append(run.picture().mean().item())
    assert means[1] < means[0] - 0.05


def test_where_the_seams_are_cut_off_only_the_kept_part_is_compared(generator):
    target = picture(generator, 1000, (6, 6))[..., :16, :16]
    run = Projection(generator, target, ProjectionSettings(**QUICK), grid=(6, 6))
    run.step()
    assert run.picture().shape == target.shape
    assert run.latents().inputs.noise[-1].shape == (1, 1, 24, 24)


def test_a_target_larger_than_the_grid_is_refused(generator):
    with pytest.raises(ShapeError, match="within"):
        Projection(generator, torch.zeros(1, 3, 32, 16), ProjectionSettings(**QUICK))


@pytest.mark.parametrize("wrong", [{"space": "z"}, {"candidates": 0}, {"material": -1}, {"rate": float("nan")}])
def test_settings_that_make_no_projection_are_refused(wrong):
    with pytest.raises(ConfigError):
        ProjectionSettings(**(QUICK | wrong))


def test_a_loss_that_is_not_finite_ends_the_projection_in_a_sentence(generator):
    run = Projection(
        generator, picture(generator, 1000), ProjectionSettings(**QUICK), likeness=lambda image: image.sum() * torch.nan
    )
    with pytest.raises(StyleGAN2Error, match="diverged"):
        for _ in range(run.total):
            run.step()
    assert torch.isfinite(run.latents().ws).all()


def test_a_generator_whose_layout_is_w_alone_is_aligned_from_the_start():
    torch.manual_seed(0)
    plain = Generator(GeneratorConfig(z_dim=8, w_dim=8, resolution=16, channels=(8, 8, 8), mapping_layers=2)).eval()
    run = projected(plain, picture(plain, 7))
    assert run.latents().inputs.input_map is None


def test_patches_are_compared_wherever_they_lie():
    rng = torch.Generator().manual_seed(0)
    image = torch.rand(1, 3, 32, 32, generator=rng)
    statistics = PatchStatistics(image, "xy", rng)
    assert statistics.loss(image.roll((5, 9), (2, 3))) < 1e-3 < statistics.loss(image.flip(2) * 0.8)


def test_white_noise_is_white_and_smooth_noise_is_not():
    config = GeneratorConfig(z_dim=8, w_dim=8, resolution=16, channels=(8, 8, 8), mapping_layers=2)
    white = draw_inputs(config, [0]).noise
    smooth = tuple((n + n.roll(1, 2) + n.roll(1, 3)) / 3**0.5 for n in white)
    assert whiteness_loss(smooth) > 10 * whiteness_loss(white)


def test_normalising_changes_white_noise_little():
    noise = torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    before = noise.clone()
    normalise(SynthesisInputs((16, 16), None, (noise,)))
    assert torch.allclose(noise, before, atol=0.1)


def test_the_rate_rises_rests_and_falls():
    assert ramp(0) < 0.05 < ramp(0.02) < ramp(0.05) == 1 == ramp(0.6) > ramp(0.8) > ramp(0.99) > 0
