from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from latent_loom.backend.adaptation.style import Style
from latent_loom.backend.errors import AlreadyExists, BadCheckpoint, BadRequest, CannotWrite, NotFound
from latent_loom.backend.models.store import Store, check_name
from latent_loom.stylegan2.checkpoints import generator_hash, save_generator

from .textures.conftest import make_generator, make_style


@pytest.fixture
def store(tmp_path) -> Store:
    builtin = tmp_path / "builtin.safetensors"
    save_generator(make_generator(), builtin)
    return Store(tmp_path / "data", builtin=builtin)


def test_the_builtin_generator_comes_first_and_says_what_it_is(store):
    store.add_generator(make_generator(resolution=16, channels=(8, 8, 8), tile="none"), "aaa")
    builtin, other = store.generators()
    assert (builtin.name, builtin.builtin, builtin.resolution, builtin.tile) == ("builtin", True, 32, "xy")
    assert (other.name, other.builtin, other.resolution, other.tile) == ("aaa", False, 16, "none")
    assert builtin.hash == generator_hash(store.generator()) and builtin.broken is None
    assert builtin.bytes == store.builtin.stat().st_size and builtin.parameters > 1000


def test_an_empty_store_writes_nothing_and_has_no_styles(store):
    assert [e.name for e in store.generators()] == ["builtin"] and store.styles() == []
    assert not store.root.exists()


def test_a_generator_is_loaded_once_and_again_when_its_file_changes(store):
    store.add_generator(make_generator(), "mine")
    first = store.generator("mine")
    assert store.generator("mine") is first
    with torch.no_grad():
        changed = make_generator()
        changed.synthesis.b4.const += 1
    store.add_generator(changed, "mine", overwrite=True)
    os.utime(store.root / "generators" / "mine.safetensors", ns=(1, 1))
    assert torch.equal(store.generator("mine").synthesis.b4.const, changed.synthesis.b4.const)
    assert store.generator_hash("mine") == generator_hash(changed) != generator_hash(first)


def test_a_style_survives_the_disk(store):
    style = make_style("mossy")
    path = store.add_style(style)
    entry = store.styles()[0]
    assert entry.path == path and entry.info == style.info and entry.bytes == path.stat().st_size
    assert torch.equal(
        store.style("mossy").tensors["synthesis.b16.conv1.bias"], style.tensors["synthesis.b16.conv1.bias"]
    )
    assert store.style("mossy") is store.style("mossy")


def test_broken_files_are_listed_and_stop_nobody(store):
    store.add_style(make_style("mossy"))
    (store.root / "styles" / "cut.safetensors").write_bytes(
        (store.root / "styles" / "mossy.safetensors").read_bytes()[:50]
    )
    (store.root / "generators").mkdir()
    (store.root / "generators" / "bad.safetensors").write_bytes(b"not a model")
    assert [(e.name, e.broken is None) for e in store.styles()] == [("cut", False), ("mossy", True)]
    assert [(e.name, e.broken is None) for e in store.generators()] == [("builtin", True), ("bad", False)]
    assert "damaged" in store.styles()[0].broken
    for use in (lambda: store.style("cut"), lambda: store.generator_hash("bad"), lambda: store.generator("bad")):
        with pytest.raises(BadCheckpoint):
            use()


def test_files_that_are_not_ours_are_not_listed(store):
    store.add_style(make_style("mossy"))
    for name in (".mossy.safetensors.12.partial", "Notes.safetensors", "a b.safetensors", "readme.txt"):
        (store.root / "styles" / name).write_bytes(b"")
    assert [e.name for e in store.styles()] == ["mossy"]


def test_styled_folds_the_styles_in_and_leaves_the_base_alone(store):
    store.add_style(make_style("mossy"))
    base = store.generator()
    before = generator_hash(base)
    styled = store.styled("builtin", [("mossy", 0.5)])
    expected = base.synthesis.b16.conv1.bias + 0.5 * store.style("mossy").deltas()["synthesis.b16.conv1.bias"]
    assert torch.allclose(styled.synthesis.b16.conv1.bias, expected)
    assert generator_hash(base) == before
    assert store.styled("builtin", [("mossy", 0.5)]) is styled
    assert store.styled("builtin", [("mossy", 0.6)]) is not styled
    assert store.styled("builtin", [("mossy", 0.0)]) is base is store.styled("builtin")


def test_a_replaced_style_is_seen(store):
    store.add_style(make_style("mossy"))
    before, old_hash = store.styled("builtin", [("mossy", 1.0)]), store.style_hash("mossy")
    path = store.add_style(make_style("mossy", size=3.0), overwrite=True)
    os.utime(path, ns=(1, 1))
    after = store.styled("builtin", [("mossy", 1.0)])
    assert not torch.equal(before.synthesis.b16.conv1.bias, after.synthesis.b16.conv1.bias)
    assert store.style_hash("mossy") != old_hash


def test_a_style_of_other_shapes_is_refused(store):
    store.add_generator(make_generator(channels=(8, 8, 12, 6)), "wide")
    store.add_style(make_style("mossy"))
    with pytest.raises(BadRequest, match="does not fit"):
        store.styled("wide", [("mossy", 1.0)])


def test_unknown_names_are_answered_with_near_ones(store):
    store.add_style(make_style("mossy"))
    with pytest.raises(NotFound, match="did you mean 'mossy'"):
        store.style("mosy")
    with pytest.raises(NotFound, match="did you mean 'builtin'"):
        store.generator("bultin")
    with pytest.raises(NotFound, match="no style called 'snow'"):
        store.styled("builtin", [("snow", 0.0)])


@pytest.mark.parametrize("name", ["", "Mossy", "../x", "a/b", "-a", "a.b", "x" * 65, "ä", "a\n", "a b"])
def test_names_that_break_the_rule_are_refused_everywhere(store, name):
    with pytest.raises(BadRequest, match="small letters, digits"):
        check_name(name)
    for use in (store.style, store.delete_style, store.generator, store.delete_generator):
        with pytest.raises(BadRequest):
            use(name)
    with pytest.raises(BadRequest):
        store.add_style(make_style(name))
    with pytest.raises(BadRequest):
        store.add_generator(make_generator(), name)


def test_a_taken_name_is_refused_unless_overwriting_is_asked_for(store):
    path = store.add_style(make_style("mossy"))
    before = path.read_bytes()
    with pytest.raises(AlreadyExists, match="called 'mossy' already"):
        store.add_style(make_style("mossy", size=2.0))
    assert path.read_bytes() == before
    store.add_style(make_style("mossy", size=2.0), overwrite=True)
    assert path.read_bytes() != before


def test_the_builtin_generator_can_be_neither_replaced_nor_deleted(store):
    with pytest.raises(BadRequest, match="choose another name"):
        store.add_generator(make_generator(), "builtin", overwrite=True)
    with pytest.raises(BadRequest, match="cannot be deleted"):
        store.delete_generator("builtin")


def test_a_missing_builtin_generator_is_told_and_not_listed(tmp_path):
    store = Store(tmp_path, builtin=tmp_path / "none.safetensors")
    assert store.generators() == []
    with pytest.raises(NotFound, match="install Latent Loom again"):
        store.generator()


def test_deleting_and_renaming(store):
    store.add_style(make_style("mossy"))
    store.add_style(make_style("snowy"))
    with pytest.raises(AlreadyExists):
        store.rename_style("mossy", "snowy")
    path = store.rename_style("mossy", "green")
    assert Style.read_info(path).name == "green"
    store.delete_style("snowy")
    assert [e.name for e in store.styles()] == ["green"]
    with pytest.raises(NotFound):
        store.delete_style("snowy")
    store.add_generator(make_generator(), "mine")
    store.delete_generator("mine")
    assert [e.name for e in store.generators()] == ["builtin"]


def test_a_data_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "data").write_bytes(b"a file")
    with pytest.raises(CannotWrite, match="choose another data folder"):
        Store(tmp_path / "data").add_style(make_style("mossy"))


def test_the_origin_of_a_picture_names_what_really_took_part(store):
    store.add_style(make_style("mossy"))
    origin = store.origin("builtin", [("mossy", 0.5), ("mossy", 0.0)])
    assert origin["styles"] == [["mossy", 0.5, store.style_hash("mossy")]]
    assert origin["generator_hash"] == generator_hash(store.generator())


def test_the_default_root_is_the_users_data_folder(monkeypatch, tmp_path):
    from latent_loom.protocol.data_folder import data_folder

    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert Store().root == data_folder()
    assert isinstance(Store("~/x").root, Path) and "~" not in str(Store("~/x").root)
