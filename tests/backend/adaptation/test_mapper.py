"""The latent mapper: what it may do to a generator, what it must not, and that it helps on the built-in models."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from latent_loom.backend.adaptation.mapper import Mapper, MinedGenerator, MineSettings, Mining, mine, mined
from latent_loom.backend.adaptation.style import Style, StyleInfo, blend
from latent_loom.backend.errors import BadCheckpoint, BadRequest, Cancelled
from latent_loom.backend.job import Job
from latent_loom.backend.models.store import Store

from .conftest import make_generator


@pytest.fixture
def style(generator) -> Style:
    """A style that turns the colours of the test generator."""
    info = StyleInfo(
        **{"name": "turned", "generator": "test", "generator_hash": "", "source": "stone", "target": "mossy stone"},
        **{"method": "style", "iterations": 1, "seed": 0, "clips": ("builtin",)},
    )
    return Style(info=info, tensors={"synthesis.b32.torgb.bias": torch.tensor([-0.3, 0.4, -0.3])})


@pytest.fixture
def mined_style(generator, clip, style) -> Style:
    settings = MineSettings(iterations=3, batch=2, learning_rate=0.05)
    return mine(generator, style, settings, clips=[clip], judge=clip)


def test_a_fresh_mapper_changes_nothing(generator):
    mapper = Mapper.fresh(generator.mapping.w_avg, 1.0, torch.Generator().manual_seed(0))
    z = torch.randn(3, 8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert torch.equal(MinedGenerator(generator, [(mapper, 1.0)]).map(z), generator.map(z))


def test_mining_moves_the_samples_and_leaves_the_weights_and_the_style_alone(generator, style, mined_style):
    assert style.mapper == {} and set(mined_style.tensors) == set(style.tensors)
    z = torch.randn(3, 8, generator=torch.Generator().manual_seed(1))
    adapted = blend(generator, [(style, 1.0)])
    moved = mined(adapted, [(mined_style, 1.0)], 1.0)
    assert moved.synthesis is adapted.synthesis
    with torch.no_grad():
        before, half, whole = adapted.map(z), mined(adapted, [(mined_style, 0.5)], 1.0).map(z), moved.map(z)
    assert not torch.allclose(before, whole)
    assert torch.allclose(half - before, (whole - before) / 2, atol=1e-6)


def test_where_a_latent_goes_does_not_depend_on_its_batch(generator, mined_style):
    z = torch.randn(5, 8, generator=torch.Generator().manual_seed(1))
    moved = mined(generator, [(mined_style, 1.0)], 1.0)
    with torch.no_grad():
        assert torch.equal(moved.map(z)[3:4], moved.map(z[3:4]))


def test_the_same_seed_gives_the_same_mapper(generator, clip, style, mined_style):
    again = mine(generator, style, MineSettings(iterations=3, batch=2, learning_rate=0.05), clips=[clip], judge=clip)
    other = mine(
        generator, style, MineSettings(iterations=3, batch=2, learning_rate=0.05, seed=1), clips=[clip], judge=clip
    )
    assert all(torch.equal(again.mapper[n], mined_style.mapper[n]) for n in again.mapper)
    assert not torch.equal(other.mapper["coarse.out"], again.mapper["coarse.out"])


def test_a_style_keeps_its_mapper_in_its_file(mined_style, tmp_path):
    mined_style.save(tmp_path / "s.safetensors")
    read = Style.load(tmp_path / "s.safetensors").renamed("other")
    assert set(read.tensors) == set(mined_style.tensors)
    assert all(torch.equal(read.mapper[n], mined_style.mapper[n]) for n in mined_style.mapper)
    assert read.info.settings["mine"]["iterations"] == 3 and "mined_quality" in read.info.measures


@pytest.mark.parametrize("spoil", ["missing", "shape"])
def test_a_damaged_mapper_is_refused_in_a_sentence(generator, mined_style, spoil):
    mapper = dict(mined_style.mapper)
    if spoil == "missing":
        del mapper["fine.out"]
    else:
        mapper["fine.out"] = torch.zeros(3, 3)
    with pytest.raises(BadCheckpoint, match="styles mine"):
        mined(generator, [(replace(mined_style, mapper=mapper), 1.0)], 1.0)


def test_a_style_without_a_mapper_and_a_generator_of_another_width_are_refused(generator, style, mined_style):
    with pytest.raises(BadRequest, match="styles mine"):
        mined(generator, [(style, 1.0)], 1.0)
    with pytest.raises(BadRequest, match="needs a style"):
        mined(generator, [], 1.0)
    with pytest.raises(BadRequest, match="another width"):
        mined(make_generator(z_dim=4, w_dim=4), [(mined_style, 1.0)], 1.0)


def test_a_style_of_pictures_needs_a_target_in_words(generator, clip, style):
    pictures = replace(style, info=replace(style.info, settings={"target": ""}))
    with pytest.raises(BadRequest, match="--target"):
        mine(generator, pictures, clips=[clip], judge=clip)
    settings = MineSettings(iterations=1, batch=2, target="wet stone")
    assert mine(generator, pictures, settings, clips=[clip], judge=clip).mapper


def test_mining_can_be_cancelled(generator, clip, style):
    with pytest.raises(Cancelled):
        mine(generator, style, clips=[clip], judge=clip, job=Job(cancelled=lambda: True))


@pytest.mark.parametrize("wrong", [{"iterations": 0}, {"batch": 65}, {"decay": -1.0}, {"diversity_floor": 1.5}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(BadRequest, match="must be between"):
        MineSettings(**wrong)


def test_nothing_of_the_adapted_generator_is_trained(generator, clip, style):
    run = Mining(generator, style, MineSettings(batch=2), clips=[clip], judge=clip)
    before = {n: p.clone() for n, p in run.generator.named_parameters()}
    run.step()
    assert all(torch.equal(before[n], p) for n, p in run.generator.named_parameters())


def test_on_the_built_in_models_it_raises_the_judge_s_quality_and_keeps_diversity_over_its_floor(style):
    generator = Store().generator()
    info = replace(style.info, target="red brick", settings={"judge": "judge"})
    settings = MineSettings(iterations=25, batch=4, learning_rate=0.01, in_domain=0.5, diversity_floor=0.9)
    measures = mine(generator, Style(info=info, tensors={}), settings).info.measures
    assert measures["mined_quality"] > measures["unmined_quality"] + 0.03
    assert measures["mined_retention"] >= 0.9
