from __future__ import annotations

import itertools

import pytest
import torch
from latent_loom.backend.adaptation.clip import load_clip
from latent_loom.backend.errors import BadRequest, Cancelled
from latent_loom.backend.job import Job
from latent_loom.backend.models.clip_trainer import contrastive_loss
from latent_loom.backend.models.kinds import kind_names
from latent_loom.backend.models.train_clip import ClipTraining
from latent_loom.backend.models.train_generator import (
    GeneratorTraining,
    TokenMaps,
    architecture,
    begin_calmly,
    train_generator,
)
from latent_loom.stylegan2.checkpoints import load_generator
from latent_loom.stylegan2.checkpoints.native import read_header
from latent_loom.stylegan2.errors import ConfigError
from latent_loom.stylegan2.inputs import draw_inputs
from latent_loom.stylegan2.networks import Generator
from latent_loom.stylegan2.training.pairs import PairTrainer, PairTraining
from latent_loom.stylegan2.training.trainer import GanTraining


def recipe(images: int, **settings) -> GeneratorTraining:
    pairs = PairTraining(images=images, batch=2, small=2, lessons=2)
    return GeneratorTraining(**{"pairs": pairs, "size": 64, "bank": 64, "refresh": 0, "save_every": 4} | settings)


def test_the_generators_recipe_leaves_weights_a_sheet_and_a_checkpoint_and_goes_on_from_it(tmp_path):
    out, work, seen = tmp_path / "g.safetensors", tmp_path / "work", []
    card = train_generator(recipe(4), out, work, Job(seen.append))
    assert card["images"] == 4 and [(p.stage, p.done) for p in seen] == [
        ("lessons", 1),
        ("lessons", 2),
        ("generator", 1),
        ("generator", 2),
    ]
    assert sorted(p.name for p in work.iterdir()) == ["checkpoint.pt", "sheet-0000004.png"]
    first = load_generator(out)
    assert first.config.tile == "xy" and first.config.const_size == 1 and first.config.lattice
    assert kind_names(read_header(out))[5] == "brick"
    seen.clear()
    train_generator(recipe(8), out, work, Job(seen.append))
    assert [p.done for p in seen] == [3, 4], "and no lesson is given twice"
    assert not torch.equal(first.synthesis.b4.conv1.weight, load_generator(out).synthesis.b4.conv1.weight)
    trained = out.read_bytes()
    out.unlink()
    train_generator(recipe(8), out, work)  # nothing is left to train, and the result is written all the same
    assert out.read_bytes() == trained


def test_training_begins_with_quiet_pictures():
    generator = Generator(architecture(64))
    begin_calmly(generator)
    with torch.no_grad():
        z = torch.randn(16, 64, generator=torch.Generator().manual_seed(0))
        images = generator.synthesize(generator.map(z), draw_inputs(generator.config, range(16)))
    assert images.abs().mean() < 1


def test_a_cancelled_recipe_stops_after_the_step_it_is_in(tmp_path):
    asked = itertools.count()  # before the first pairs are rendered, and after the first step
    with pytest.raises(Cancelled):
        cancelled = Job(cancelled=lambda: next(asked) > 0)
        lessons = PairTraining(images=100, batch=2, lessons=0)
        train_generator(recipe(100, pairs=lessons), tmp_path / "g.safetensors", tmp_path / "work", cancelled)
    assert (tmp_path / "work" / "checkpoint.pt").exists()


@pytest.mark.parametrize("lessons", [0, 2])
def test_a_recipe_can_be_cancelled_before_its_first_step(tmp_path, monkeypatch, lessons):
    monkeypatch.setattr(PairTrainer, "step", lambda *_: pytest.fail("no step should be made"))
    settings = recipe(100, pairs=PairTraining(images=100, batch=2, lessons=lessons))
    with pytest.raises(Cancelled):
        train_generator(settings, tmp_path / "g.safetensors", tmp_path / "work", Job(cancelled=lambda: True))


def test_token_maps_are_those_of_every_layer_and_carry_gradients_to_the_pixels():
    maps = TokenMaps(load_clip("builtin"))
    images = torch.rand(2, 3, 64, 64, requires_grad=True)
    seen, embedding = maps(images)
    assert embedding.shape == (2, 128)
    assert [tuple(m.shape) for m in seen] == [(2, 128, 8, 8)] * 4 and maps.channels == [128] * 4
    seen[0].sum().backward()
    assert images.grad is not None and images.grad.abs().sum() > 0


def test_token_maps_leave_no_hook_on_the_clip_that_others_share():
    clip = load_clip("builtin")
    TokenMaps(clip)(torch.rand(1, 3, 64, 64))
    assert not any(block._forward_hooks for block in clip.model.visual.transformer.resblocks)


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        (GanTraining, {"images": 0}),
        (GanTraining, {"batch": 0}),
        (GanTraining, {"learning_rate": 0.0}),
        (GanTraining, {"range_weight": -1.0}),
        (GeneratorTraining, {"size": 96}),
        (GeneratorTraining, {"bank": 0}),
        (ClipTraining, {"steps": 0}),
        (ClipTraining, {"batch": 1}),
        (ClipTraining, {"learning_rate": float("nan")}),
    ],
)
def test_settings_that_train_nothing_are_refused(kind, change):
    with pytest.raises((BadRequest, ConfigError), match=r"^(Give|The|There) .*\.$"):
        kind(**change)


def test_every_true_pair_counts_as_a_positive():
    """Two pictures and two captions that are all true of each other: telling them apart earns nothing."""
    features = torch.nn.functional.normalize(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), dim=1)
    same = torch.nn.functional.normalize(torch.ones(2, 2), dim=1)
    everything, diagonal = torch.ones(2, 2), torch.eye(2)
    scale = torch.tensor(10.0)
    assert contrastive_loss(features, features, diagonal, scale) < contrastive_loss(same, same, diagonal, scale)
    assert contrastive_loss(same, same, everything, scale) < contrastive_loss(features, features, everything, scale)


def test_the_built_in_clip_tells_conditions_apart_on_the_built_in_generators_own_prompts():
    clip, judge = load_clip("builtin"), load_clip("judge")
    for model in (clip, judge):
        stone, mossy, overgrown = (
            torch.nn.functional.normalize(model.embed_prompt(p).mean(0), dim=0)
            for p in ("stone", "mossy stone", "stone covered with moss")
        )
        assert mossy @ overgrown > mossy @ stone
