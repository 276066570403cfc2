from __future__ import annotations

import copy
import dataclasses

import pytest
import torch
from latent_loom.stylegan2.config import GeneratorConfig
from latent_loom.stylegan2.networks import Generator
from latent_loom.stylegan2.training.discriminator import (
    Discriminator,
    discriminator_loss,
    generator_loss,
    range_loss,
)
from latent_loom.stylegan2.training.loop import train
from latent_loom.stylegan2.training.trainer import GanTrainer, GanTraining

CONFIG = GeneratorConfig(
    z_dim=4, w_dim=4, resolution=16, channels=(6, 6, 6), mapping_layers=1, input_map=1.0, const_size=1, tile="xy"
)


def features(images: torch.Tensor) -> tuple[list[torch.Tensor], torch.Tensor]:
    """A frozen 'network': the picture at two scales, and its mean colour for an embedding."""
    return [torch.nn.functional.avg_pool2d(images, n) for n in (2, 4)], images.mean((2, 3))


def make_trainer(images: int = 24, config: GeneratorConfig = CONFIG) -> GanTrainer:
    torch.manual_seed(0)
    discriminator = Discriminator(features, [3, 3], classes=config.kinds, head_width=8, patch_width=4)
    return GanTrainer(Generator(config), discriminator, GanTraining(images=images, batch=4, average_images=8))


def reals():
    """Endless batches of one flat grey-green."""
    while True:
        yield torch.tensor([-0.2, 0.3, -0.1]).view(1, 3, 1, 1).expand(4, 3, 16, 16) + 0.02 * torch.randn(4, 3, 16, 16)


def pairs(batches):
    """Batches without classes."""
    return ((batch, None) for batch in batches)


def test_the_losses_are_the_hinge():
    real, fake = [torch.tensor([[2.0, 0.5]])], [torch.tensor([[-2.0, 0.5]])]
    assert discriminator_loss(real, fake).item() == pytest.approx(0.25 + 0.75)
    assert generator_loss(fake).item() == pytest.approx(0.75)


def test_pictures_within_range_cost_nothing_and_those_beyond_their_excess_squared():
    assert range_loss(torch.tensor([-1.0, 1.0])) == 0
    assert range_loss(torch.tensor([-3.0, 1.0])) == 2


def test_a_step_changes_both_networks_and_the_average_but_not_the_features():
    trainer = make_trainer()
    before = [copy.deepcopy(m.state_dict()) for m in (trainer.generator, trainer.discriminator, trainer.average)]
    losses = trainer.step(next(reals()))
    after = [m.state_dict() for m in (trainer.generator, trainer.discriminator, trainer.average)]
    assert set(losses) == {"d_loss", "g_loss"} and trainer.steps_done == 1
    for old, new in zip(before, after, strict=True):
        assert any(not torch.equal(old[k], new[k]) for k in old)
    assert all(p.requires_grad for p in trainer.discriminator.parameters())


def test_training_brings_the_pictures_towards_the_data():
    trainer, batches = make_trainer(images=4 * 150), reals()
    target = torch.tensor([-0.2, 0.3, -0.1])

    def distance() -> float:
        with torch.no_grad():
            return (trainer.fakes(None).mean((0, 2, 3)) - target).abs().mean().item()

    first = distance()
    train(trainer, pairs(batches), after_step=lambda trainer, losses: None)
    assert distance() < min(0.5 * first, 0.4)


def test_a_resumed_training_goes_on_exactly_where_it_was(tmp_path):
    data = [batch for _, batch in zip(range(6), reals(), strict=False)]
    whole = make_trainer()
    for batch in data:
        whole.step(batch)
    first = make_trainer()
    for batch in data[:3]:
        first.step(batch)
    first.save(tmp_path / "checkpoint.pt")
    second = make_trainer()
    second.resume(tmp_path / "checkpoint.pt")
    for batch in data[3:]:
        second.step(batch)
    assert second.steps_done == 6
    for a, b in ((whole.generator, second.generator), (whole.average, second.average)):
        assert all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["checkpoint.pt"]


def test_a_resumed_training_obeys_another_learning_rate(tmp_path):
    first, second = make_trainer(), make_trainer()
    first.step(next(reals()))
    first.save(tmp_path / "checkpoint.pt")
    second.settings = dataclasses.replace(second.settings, learning_rate=1e-9)
    second = GanTrainer(second.generator, second.discriminator, second.settings)
    second.resume(tmp_path / "checkpoint.pt")
    second.step(next(reals()))
    for a, b in zip(first.generator.parameters(), second.generator.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def test_the_finished_generator_has_its_mean_latent():
    trainer = make_trainer(images=4)
    generator = train(trainer, pairs(reals()), after_step=lambda trainer, losses: None)
    z = torch.randn(4000, 4, generator=torch.Generator().manual_seed(9))
    assert torch.allclose(generator.mapping.w_avg, generator.mapping(z).mean(0), atol=0.1)
    assert generator.mapping.w_avg.abs().sum() > 0
