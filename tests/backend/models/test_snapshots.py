"""Snapshots beside a style: kept, listed, selected, mixed, and harmless when damaged."""

from __future__ import annotations

import errno
import json
import os

import pytest
import torch
from latent_loom.backend.adaptation import snapshots as shots
from latent_loom.backend.adaptation.snapshots import between, thin
from latent_loom.backend.adaptation.style import expand
from latent_loom.backend.errors import BadCheckpoint, BadRequest, CannotWrite, NotFound
from latent_loom.backend.models.headers import read_header
from latent_loom.backend.models.snapshot_index import read_snapshots
from latent_loom.backend.models.store import Store

from .conftest import BIAS, WEIGHT, make_snapshots, make_tensors, style_of


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_every_snapshot_can_be_had_again_bit_for_bit(store):
    for kept in make_snapshots(25, 50, 60):
        style = store.style("mossy", iterations=kept.iterations)
        assert same(style.tensors, kept.tensors)
        assert (style.info.iterations, style.info.measures) == (kept.iterations, kept.measures.as_dict())
    assert same(store.style("mossy@50").tensors, store.style("mossy").tensors)


def test_the_list_names_the_snapshots_and_reads_headers_only(store, monkeypatch):
    monkeypatch.setattr(shots, "safe_open", None)
    assert store.styles()[0].snapshots == (25, 50, 60)
    assert store.library.snapshots("mossy").points[0].measures["direction"] == 0.25


@pytest.mark.parametrize(("position", "before", "after"), [(30, 25, 50), (42.5, 25, 50), (10, None, 25), (0, None, 25)])
def test_between_two_snapshots_the_deltas_are_mixed_in_proportion(store, position, before, after):
    deltas = store.style("mossy", iterations=position).deltas()
    later = expand(make_tensors(after))
    earlier = expand(make_tensors(before)) if before else {name: torch.zeros_like(t) for name, t in later.items()}
    share = (position - (before or 0)) / (after - (before or 0))
    for name in (BIAS, WEIGHT):
        assert torch.allclose(deltas[name], torch.lerp(earlier[name], later[name], share), atol=1e-5)


def test_a_mixed_low_rank_change_stays_a_low_rank_one():
    mixed = between(make_tensors(1), make_tensors(2), 0.25)
    assert mixed[WEIGHT + ".lora_up"].shape == (8, 4) and mixed[WEIGHT + ".lora_down"].shape == (4, 8, 3, 3)


@pytest.mark.parametrize("reference", ["mossy@61", "mossy@100000"])
def test_a_position_after_the_last_snapshot_names_those_that_there_are(store, reference):
    with pytest.raises(BadRequest, match="the snapshots are 25, 50, 60"):
        store.style(reference)


@pytest.mark.parametrize("at", ["", "x", "-1", "nan", "1e9", "5@5", "٣", "1000000000"])
def test_what_is_no_position_is_refused(store, at):
    with pytest.raises(BadRequest, match="write NAME or NAME@ITERATIONS"):
        store.style(f"mossy@{at}")


def test_a_style_without_snapshots_says_so(store):
    store.add_style(style_of(make_snapshots(25)[0], "plain"))
    with pytest.raises(NotFound, match="No snapshots of the style 'plain' are kept"):
        store.style("plain@25")
    assert store.library.entry("plain").snapshots == ()


def test_a_snapshot_is_blended_and_has_a_hash_of_its_own(store):
    base, styled = store.generator(), store.styled("builtin", [("mossy@25", 0.5)])
    expected = base.synthesis.b16.conv1.bias + 0.5 * make_tensors(25)[BIAS]
    assert torch.allclose(styled.synthesis.b16.conv1.bias, expected)
    hashes = {store.style_hash(name) for name in ("mossy", "mossy@25", "mossy@50")}
    assert len(hashes) == 3
    assert store.origin("builtin", [("mossy@25", 0.5)])["styles"] == [["mossy@25", 0.5, store.style_hash("mossy@25")]]


def test_a_choice_changes_the_style_and_can_be_undone(store):
    store.library.choose("mossy", 25)
    assert same(store.style("mossy").tensors, make_tensors(25))
    assert store.style("mossy").info.measures["direction"] == 0.25
    assert store.library.entry("mossy").snapshots == (25, 50, 60)
    store.library.choose("mossy", 50)
    assert same(store.style("mossy").tensors, make_tensors(50))


def test_snapshots_go_with_their_style_when_it_is_renamed_and_deleted(store):
    store.rename_style("mossy", "green")
    assert store.library.entry("green").snapshots == (25, 50, 60)
    store.delete_style("green")
    assert list((store.root / "styles").iterdir()) == []


def test_snapshots_of_another_run_are_none_of_a_style_s(store):
    """As after a kill between the writing of the two files."""
    first = (store.root / "styles" / "mossy.snapshots.safetensors").read_bytes()
    other = make_snapshots(10)
    store.add_style(style_of(other[0], seed=7), other, overwrite=True)
    (store.root / "styles" / "mossy.snapshots.safetensors").write_bytes(first)
    assert store.library.entry("mossy").snapshots == ()
    with pytest.raises(NotFound):
        store.style("mossy@25")


def test_a_style_that_replaces_another_takes_no_snapshots_over(store):
    store.add_style(style_of(make_snapshots(5)[0], seed=9), overwrite=True)
    assert [p.name for p in (store.root / "styles").iterdir()] == ["mossy.safetensors"]


@pytest.mark.parametrize("written", [0, 1], ids=["before the first file", "before the second"])
def test_a_disk_that_fills_while_a_style_is_replaced_keeps_the_old_one_with_its_snapshots(store, monkeypatch, written):
    real, left = os.fsync, [written]

    def full(handle):
        if left[0] == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        left[0] -= 1
        real(handle)

    before = {path.name: path.read_bytes() for path in (store.root / "styles").iterdir()}
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CannotWrite, match="free some space"):
        store.add_style(style_of(make_snapshots(5)[0], seed=9), make_snapshots(5), overwrite=True)
    assert {path.name: path.read_bytes() for path in (store.root / "styles").iterdir()} == before


def test_what_has_no_room_is_thinned_but_never_the_last_nor_the_chosen():
    snapshots = make_snapshots(*range(25, 325, 25))
    one = sum(t.numel() * 4 for t in snapshots[0].tensors.values())
    assert [s.iterations for s in thin(snapshots, 12 * one)] == list(range(25, 325, 25))
    assert [s.iterations for s in thin(snapshots, 6 * one)] == [50, 100, 150, 200, 250, 300]
    assert [s.iterations for s in thin(snapshots, 3 * one, chosen=75)] == [75, 300]
    assert [s.iterations for s in thin(snapshots, 0)][-1] == 300


def test_the_training_s_numbers_and_state_are_kept_for_a_run_that_goes_on(store):
    snapshots, state = make_snapshots(25, 50), {"rng": torch.arange(3)}
    store.library.add(style_of(snapshots[1], "half"), snapshots, history={"loss": [1.0, 0.123456789]}, state=state)
    tensors, kept, index = store.library.training("half")
    assert list(tensors) == [25, 50] and same(tensors[50], make_tensors(50))
    assert torch.equal(kept["rng"], state["rng"]) and index.history == {"loss": [1.0, 0.12346]}


def test_the_same_snapshots_give_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        shots.save_snapshots(tmp_path / name, "run", make_snapshots(25, 50), history={"loss": [1.0]})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def rewritten(path, change) -> None:
    """The file with `change` made to its metadata."""
    header, raw = read_header(path), path.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    map_ = json.loads(raw[8 : 8 + length])
    about = json.loads(header.metadata["latent_loom_snapshots"])
    change(about)
    map_["__metadata__"]["latent_loom_snapshots"] = json.dumps(about)
    text = json.dumps(map_).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + raw[8 + length :])


@pytest.mark.parametrize(
    "change",
    [
        lambda about: about.pop("run"),
        lambda about: about.update(snapshots=[]),
        lambda about: about["snapshots"].reverse(),
        lambda about: about["snapshots"].append({"iterations": 75, "measures": {}}),
        lambda about: about["snapshots"][0].update(iterations="25"),
        lambda about: about.update(history=[]),
        lambda about: about.update(format="1"),
    ],
)
def test_damaged_snapshots_are_refused_and_do_not_hide_their_style(store, change):
    path = store.root / "styles" / "mossy.snapshots.safetensors"
    rewritten(path, change)
    with pytest.raises(BadCheckpoint, match="damaged; the style itself is not"):
        read_snapshots(path)
    fresh = Store(store.root, builtin=store.builtin)
    assert fresh.library.entry("mossy").broken is None and fresh.style("mossy").info.iterations == 50


def test_a_snapshot_that_is_not_finite_is_refused(store):
    snapshots = make_snapshots(25)
    snapshots[0].tensors[BIAS][3] = float("inf")
    store.add_style(style_of(make_snapshots(25)[0], "bad"), snapshots)
    with pytest.raises(BadCheckpoint, match="not finite"):
        store.style("bad@25")
