from __future__ import annotations

import json

import pytest
import torch
from latent_loom.backend.errors import BadRequest, NotFound
from latent_loom.backend.models.kinds import SeedsWanted, counted_seeds, kind_names, seeds_wanted
from latent_loom.stylegan2.checkpoints.native import read_header, save_generator
from latent_loom.stylegan2.config import GeneratorConfig
from latent_loom.stylegan2.latents import kind_of, z_from_seed
from latent_loom.stylegan2.networks import Generator


def header_of(tmp_path, kinds: int, names: str | None):
    config = GeneratorConfig(z_dim=8, w_dim=4, resolution=8, channels=(4, 4), mapping_layers=1, kinds=kinds)
    metadata = {} if names is None else {"kinds": names}
    save_generator(Generator(config), tmp_path / "g.safetensors", metadata=metadata)
    return read_header(tmp_path / "g.safetensors")


def test_seeds_of_a_kind_show_it_and_go_on_from_any_seed(tmp_path):
    header = header_of(tmp_path, 3, json.dumps(["stone", "brick", "moss"]))
    seeds = seeds_wanted(header, SeedsWanted(kind="brick", count=6))
    z = torch.stack([z_from_seed(seed, 8) for seed in seeds])
    assert kind_of(z, 3).tolist() == [1] * 6
    assert seeds == sorted(set(seeds))
    assert seeds_wanted(header, SeedsWanted(kind="brick", count=3, start=seeds[2] + 1)) == seeds[3:]


def test_seeds_that_are_counted_are_those_of_the_kind(tmp_path):
    header = header_of(tmp_path, 3, json.dumps(["stone", "brick", "moss"]))
    seeds = seeds_wanted(header, SeedsWanted(kind="brick", count=5))
    assert counted_seeds(header, "mine", "brick", (4, 0, 4)) == (seeds[4], seeds[0], seeds[4])
    with pytest.raises(BadRequest, match="from 0 to 4095; 5000 is too far on"):
        counted_seeds(header, "mine", "brick", (1, 5000))


@pytest.mark.parametrize("names", [None, "no json", '["one"]', "[1, 2, 3]", '{"a": 1}'])
def test_kinds_without_sound_names_have_numbers(tmp_path, names):
    assert kind_names(header_of(tmp_path, 3, names)) == ("0", "1", "2")


def test_a_generator_without_kinds_and_an_unknown_kind_are_told_in_a_sentence(tmp_path):
    with pytest.raises(BadRequest, match=r"^The generator 'builtin' knows no kinds of picture; choose seeds by eye\.$"):
        seeds_wanted(header_of(tmp_path, 0, None), SeedsWanted(kind="brick"))
    with pytest.raises(NotFound, match=r"brik.*did you mean 'brick'"):
        seeds_wanted(header_of(tmp_path, 2, '["stone", "brick"]'), SeedsWanted(kind="brik"))


@pytest.mark.parametrize("change", [{"count": 0}, {"count": 5000}, {"start": -1}, {"start": 2**32}])
def test_counts_and_starts_out_of_range_are_refused(change):
    with pytest.raises(BadRequest):
        SeedsWanted(kind="brick", **change)
