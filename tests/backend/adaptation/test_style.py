from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from latent_loom.backend.adaptation.style import DOWN, UP, Style, StyleInfo, blend
from latent_loom.backend.errors import BadCheckpoint, BadRequest

from .conftest import make_generator


def make_style(name: str = "mossy", **tensors: torch.Tensor) -> Style:
    info = StyleInfo(
        name=name,
        generator="builtin",
        generator_hash="0" * 64,
        source="stone",
        target="mossy stone",
        method="lowrank",
        iterations=10,
        seed=3,
        clips=("builtin",),
        measures={"direction": 0.5},
    )
    return Style(info=info, tensors=tensors, thumbnail=np.arange(48, dtype=np.uint8).reshape(4, 4, 3))


def some_style(generator) -> Style:
    rng = torch.Generator().manual_seed(5)
    weight = "synthesis.b8.conv0.weight"
    return make_style(
        **{
            "synthesis.b8.conv0.affine.bias": torch.randn(8, generator=rng),
            weight + UP: torch.randn(8, 2, generator=rng),
            weight + DOWN: torch.randn(2, 8, 3, 3, generator=rng),
        }
    )


def test_a_style_survives_its_file_and_the_same_style_gives_the_same_bytes(tmp_path, generator):
    style = some_style(generator)
    style.save(tmp_path / "a.safetensors")
    style.save(tmp_path / "b.safetensors")
    loaded = Style.load(tmp_path / "a.safetensors")
    assert loaded.info == style.info
    assert loaded.tensors.keys() == style.tensors.keys()
    assert all(torch.equal(loaded.tensors[k], style.tensors[k]) for k in style.tensors)
    assert np.array_equal(loaded.thumbnail, style.thumbnail)
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    assert Style.read_info(tmp_path / "a.safetensors") == style.info
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.safetensors", "b.safetensors"]


def test_a_low_rank_delta_is_the_product_of_its_halves(generator):
    style = some_style(generator)
    up, down = (style.tensors["synthesis.b8.conv0.weight" + half] for half in (UP, DOWN))
    expected = (up @ down.flatten(1)).view(8, 8, 3, 3)
    assert torch.allclose(style.deltas()["synthesis.b8.conv0.weight"], expected, atol=1e-5)


def test_blending_is_linear_in_the_strength_and_leaves_the_source_alone(generator):
    style = some_style(generator)
    before = {k: v.clone() for k, v in generator.state_dict().items()}
    name = "synthesis.b8.conv0.weight"
    weight = dict(generator.named_parameters())[name]
    half = dict(blend(generator, [(style, 0.5)]).named_parameters())[name]
    both = dict(blend(generator, [(style, 0.5), (style, 0.25)]).named_parameters())[name]
    delta = style.deltas()[name]
    assert torch.allclose(half, weight + 0.5 * delta, atol=1e-6)
    assert torch.allclose(both, weight + 0.75 * delta, atol=1e-6)
    assert all(torch.equal(before[k], v) for k, v in generator.state_dict().items())


def test_a_style_for_other_shapes_is_refused_with_the_name_of_its_generator(generator):
    other = make_generator(channels=(8, 10, 8, 6))
    with pytest.raises(BadRequest, match="'mossy' was made for the generator 'builtin'"):
        blend(other, [(some_style(generator), 1.0)])


@pytest.mark.parametrize("keep", [0, 4, 60, 200, -1])
def test_a_truncated_style_file_is_refused_in_a_sentence(tmp_path, generator, keep):
    path = tmp_path / "mossy.safetensors"
    some_style(generator).save(path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(BadCheckpoint, match=r"mossy\.safetensors is damaged"):
        Style.load(path)


def test_a_foreign_safetensors_file_is_not_taken_for_a_style(tmp_path):
    from safetensors.torch import save_file

    save_file({"x": torch.zeros(2)}, tmp_path / "x.safetensors")
    with pytest.raises(BadCheckpoint, match="is not a Latent Loom style"):
        Style.load(tmp_path / "x.safetensors")


def test_a_style_with_nan_is_refused(tmp_path):
    make_style(**{"synthesis.b4.conv1.bias": torch.tensor([1.0, float("nan")])}).save(tmp_path / "n.safetensors")
    with pytest.raises(BadCheckpoint, match="not finite"):
        Style.load(tmp_path / "n.safetensors")


@pytest.mark.parametrize("down", [{}, {"synthesis.b4.conv1.weight" + DOWN: torch.zeros(3, 8, 3, 3)}])
def test_half_a_low_rank_change_is_refused(tmp_path, down):
    make_style(**{"synthesis.b4.conv1.weight" + UP: torch.zeros(8, 2)} | down).save(tmp_path / "half.safetensors")
    with pytest.raises(BadCheckpoint, match="half a low-rank change"):
        Style.load(tmp_path / "half.safetensors")


def test_unknown_fields_of_a_newer_version_are_passed_over():
    newer = {"format": 1, "name": "a", "generator": "g", "generator_hash": "h", "source": "s", "target": "t"}
    newer |= {"method": "style", "iterations": 1, "seed": 0, "clips": ["builtin"], "mood": "sunny"}
    assert StyleInfo.from_json(json.dumps(newer)).clips == ("builtin",)


def test_a_style_of_a_newer_format_asks_for_an_update():
    with pytest.raises(BadCheckpoint, match="newer Latent Loom"):
        StyleInfo.from_json('{"format": 2}')
