"""Styles that come with the program: listed, used, and not changed; the starter styles' table and their measure."""

from __future__ import annotations

import pytest
import torch
from latent_loom.backend.adaptation.clip import load_clip
from latent_loom.backend.adaptation.style import Style, StyleInfo
from latent_loom.backend.errors import BadRequest
from latent_loom.backend.models.starter_styles import STARTERS, Effect, StarterTraining, compact
from latent_loom.backend.models.store import BUILTIN_FILE, Store
from latent_loom.backend.models.style_library import StyleLibrary
from latent_loom.backend.models.style_list import BUILTIN_STYLES, list_styles, read_entry
from latent_loom.stylegan2.checkpoints.hashing import generator_hash


def make_style(name: str, value: float = 1.0) -> Style:
    info = StyleInfo(
        name=name, generator="builtin", generator_hash="0", source="material", target=f"{name} material",
        method="style", iterations=1, seed=0, clips=("builtin",),
    )  # fmt: skip
    return Style(info=info, tensors={"synthesis.b4.conv1.bias": torch.full((4,), value)})


@pytest.fixture
def library(tmp_path) -> StyleLibrary:
    builtin = tmp_path / "builtin"
    builtin.mkdir()
    make_style("mossy").save(builtin / "mossy.safetensors")
    return StyleLibrary(tmp_path / "own", builtin)


def test_a_built_in_style_is_listed_and_used_by_name_and_cannot_be_changed(library):
    (entry,) = library.entries()
    assert entry.name == "mossy" and entry.builtin and library.entry("mossy").builtin
    assert library.style("mossy").info.target == "mossy material"
    for change in (
        lambda: library.delete("mossy"),
        lambda: library.rename("mossy", "green"),
        lambda: library.rewrite(make_style("mossy", 2.0)),
    ):
        with pytest.raises(BadRequest, match="'mossy' came with the program"):
            change()
    assert not library.folder.exists()


def test_a_style_of_ones_own_hides_the_built_in_one_until_it_is_deleted(library):
    library.add(make_style("mossy", 2.0))
    (entry,) = library.entries()
    assert not entry.builtin and library.style("mossy").tensors["synthesis.b4.conv1.bias"][0] == 2
    library.delete("mossy")
    assert library.entries()[0].builtin and library.style("mossy").tensors["synthesis.b4.conv1.bias"][0] == 1


def test_shipped_styles_belong_to_the_shipped_generator_and_are_small():
    """Otherwise: latent-loom train styles --out backend/models/builtin/styles"""
    own = generator_hash(Store(builtin=BUILTIN_FILE).generator())
    for path in sorted(BUILTIN_STYLES.glob("*.safetensors")):
        entry = read_entry(path)
        assert entry.broken is None and entry.info.generator_hash == own and entry.bytes < 200_000
        assert entry.info.licence == "CC0-1.0" and Style.load(path).thumbnail is not None


def test_the_clips_know_every_prompt_of_the_table():
    for starter in STARTERS.values():
        for clip in map(load_clip, ("builtin", "judge")):
            assert clip.unknown_words(starter.settings.target) == {}
    assert len(STARTERS) >= 10


def test_a_starter_style_is_kept_in_half_the_bytes():
    style = compact(make_style("mossy"))
    assert style.tensors["synthesis.b4.conv1.bias"].dtype == torch.float16 and style.info.licence == "CC0-1.0"
    assert style.deltas()["synthesis.b4.conv1.bias"].dtype == torch.float32
    assert compact(make_style("mossy"), 1.5).tensors["synthesis.b4.conv1.bias"][0] == 1.5


def test_merit_prefers_a_style_that_reaches_both_targets():
    reached = Effect(before=0.05, after=0.65, family=0.72)
    strong, faint = Effect(before=0.05, after=0.99, family=0.5), Effect(before=0.05, after=0.3, family=1.0)
    assert reached.reached and not strong.reached and not faint.reached
    assert reached.merit > max(strong.merit, faint.merit)
    assert not Effect(before=0.3, after=0.9, family=0.9).reached  # it was there before


def test_an_unknown_starter_is_refused_with_the_names_there_are():
    with pytest.raises(BadRequest, match="mossy"):
        StarterTraining(only="mosy")
    assert StarterTraining(only="mossy, rusty").names == ("mossy", "rusty")


def test_an_empty_folder_lists_the_built_in_styles_without_pytorch(library):
    assert [e.name for e in list_styles(library.folder, library.builtin)] == ["mossy"]
