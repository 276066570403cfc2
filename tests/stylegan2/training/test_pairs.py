from __future__ import annotations

import dataclasses
import math

import pytest
import torch
import torch.nn.functional as F
from latent_loom.stylegan2.config import GeneratorConfig
from latent_loom.stylegan2.errors import CheckpointError, ConfigError
from latent_loom.stylegan2.inputs import sample_inputs
from latent_loom.stylegan2.networks import Generator
from latent_loom.stylegan2.training.loop import train
from latent_loom.stylegan2.training.pairs import PairTrainer, PairTraining

CONFIG = GeneratorConfig(
    z_dim=4,
    w_dim=8,
    resolution=16,
    channels=(8, 8, 8),
    mapping_layers=2,
    mapping_lr_multiplier=1.0,
    const_size=1,
    input_map=0.1,
    lattice=True,
    tile="xy",
)


def features(images: torch.Tensor):
    """At 8 px alone, as a CLIP has one size."""
    assert images.shape[-1] == 8
    return [images, F.avg_pool2d(images, 4)], None


def lesson(z: torch.Tensor, thorough: bool) -> torch.Tensor:
    """The sign of the first number; in a thorough lesson its share of the length, too."""
    sign, share = z[:, :1].sign(), z[:, :1].square() / z.square().sum(1, keepdim=True)
    return torch.cat([sign, share], 1) if thorough else sign


def make_trainer(device: str = "cpu", **settings) -> PairTrainer:
    torch.manual_seed(0)
    settings = {"images": 64, "batch": 4, "small": 0, "lessons": 0} | settings
    generator = Generator(CONFIG).to(device)
    return PairTrainer(generator, features, PairTraining(**settings), features_size=8, lesson=lesson)


def pair(step: int = 0, batch: int = 4):
    """Bright pictures for z with a positive first number, dark ones for the others; stripes and grain on both."""
    rng = torch.Generator().manual_seed(step)
    z = torch.randn(batch, 4, generator=rng)
    stripes = torch.tensor([0.2, -0.2]).repeat(8).expand(batch, 3, 16, 16)
    grain = 0.05 * torch.randn(batch, 3, 16, 16, generator=rng)
    pictures = 0.5 * z[:, 0].sign().view(-1, 1, 1, 1) + stripes + grain
    return z, sample_inputs(CONFIG, batch, generator=rng), pictures


def made(trainer: PairTrainer, z: torch.Tensor, inputs) -> torch.Tensor:
    with torch.no_grad():
        return trainer.generator.synthesize(trainer.generator.map(z), inputs)


def test_pictures_come_to_be_those_that_belong_to_their_latents():
    trainer = make_trainer(images=4 * 240, lessons=150)
    trainer.have_lessons(lambda done: None)
    train(trainer, (pair(step) for step in range(240)), after_step=lambda trainer, losses: None)
    z, inputs, _ = pair(1000, batch=64)
    pictures = made(trainer, z, inputs)
    means = pictures.mean((1, 2, 3))
    assert means[z[:, 0] > 0.3].mean() - means[z[:, 0] < -0.3].mean() > 0.6
    columns = pictures - pictures.mean((1, 2, 3), keepdim=True)
    assert (columns[..., ::2].mean() - columns[..., 1::2].mean()) > 0.15, "the lattice tells even pixels from odd ones"


def test_half_the_size_is_compared_with_the_picture_made_smaller(monkeypatch):
    trainer = make_trainer(small=8)
    sizes = []
    losses = trainer._losses
    monkeypatch.setattr(trainer, "_losses", lambda a, b, *seen: sizes.append((a.shape, b.shape)) or losses(a, b, *seen))
    for step in range(3):
        trainer.step(*pair(step))
    assert [a[-1] for a, _ in sizes] == [8, 8, 16] and all(a == b for a, b in sizes)


def test_lessons_teach_the_mapping_and_leave_the_pictures_network_alone():
    trainer = make_trainer(lessons=150)
    before = {name: p.clone() for name, p in trainer.generator.synthesis.named_parameters()}
    done = []
    trainer.have_lessons(done.append)
    assert done == list(range(1, 151))
    z = torch.randn(256, 4, generator=torch.Generator().manual_seed(7))
    told = trainer._readout(trainer.average.mapping(z))
    assert (told[:, 0].sign() == z[:, 0].sign()).float().mean() > 0.95
    assert (told[:, 1] - lesson(z, True)[:, 1]).abs().mean() < 0.15, "0.27 of a constant"
    assert all(torch.equal(p, before[name]) for name, p in trainer.generator.synthesis.named_parameters())


def test_a_resumed_training_goes_on_as_one_that_was_not_broken(tmp_path):
    whole, first = make_trainer(), make_trainer()
    for step in range(4):
        whole.step(*pair(step))
        if step < 2:
            first.step(*pair(step))
    first.save(tmp_path / "checkpoint.pt")
    second = make_trainer()
    second.resume(tmp_path / "checkpoint.pt")
    assert second.steps_done == 2
    for step in (2, 3):
        second.step(*pair(step))
    for a, b in zip(whole.average.parameters(), second.average.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_close_view_is_one_window_wherever_it_lies_and_the_other_the_whole_made_smaller():
    trainer = make_trainer()
    images = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    window = trainer._for_features(images, True, torch.tensor([12, 3]))
    assert torch.equal(window, images.roll((-12, -3), (2, 3))[..., :8, :8])
    assert torch.equal(trainer._for_features(images, False, torch.tensor([12, 3])), F.avg_pool2d(images, 2))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_a_checkpoint_of_a_processor_goes_on_on_a_gpu(tmp_path):
    first = make_trainer()
    first.step(*pair())
    first.save(tmp_path / "checkpoint.pt")
    second = make_trainer(device="cuda")
    second.resume(tmp_path / "checkpoint.pt")
    for step in range(1, 6):
        z, inputs, pictures = pair(step)
        losses = second.step(z.cuda(), inputs.to("cuda"), pictures.cuda())
    assert second.steps_done == 6 and all(map(math.isfinite, losses.values()))


def test_a_damaged_checkpoint_is_refused_in_a_sentence(tmp_path):
    (tmp_path / "checkpoint.pt").write_bytes(b"no checkpoint")
    with pytest.raises(CheckpointError, match=r"'checkpoint.pt' is damaged .*\.$"):
        make_trainer().resume(tmp_path / "checkpoint.pt")


@pytest.mark.parametrize(
    "change", [{"images": 0}, {"batch": 0}, {"learning_rate": 0.0}, {"small": -1}, {"lessons": -1}]
)
def test_settings_that_train_nothing_are_refused(change):
    with pytest.raises(ConfigError, match=r"^Give .*\.$"):
        PairTraining(**change)


def test_the_rate_rises_stays_and_falls():
    trainer = make_trainer(images=4 * 1000)
    rates = []
    for steps in (0, 99, 400, 750, 999):
        trainer.steps_done = steps
        rates.append(trainer._rate() / trainer.settings.learning_rate)
    assert rates == pytest.approx([0.01, 1.0, 1.0, 0.5, 0.02], abs=0.001)
    assert dataclasses.replace(trainer.settings, images=4000).steps == 1000
