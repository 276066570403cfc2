"""Damaged files of the store: named, moved aside, and everything else usable."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch
from latent_loom.backend.adaptation.style import Style
from latent_loom.backend.errors import BadCheckpoint, Damaged, NotFound
from latent_loom.backend.models.integrity import tidy
from latent_loom.backend.models.store import Store
from latent_loom.backend.models.style_info import StyleInfo
from latent_loom.backend.textures.keep import KeepSettings, keep_seed
from latent_loom.stylegan2.config import GeneratorConfig
from latent_loom.stylegan2.networks import Generator
from safetensors.numpy import save_file


@pytest.fixture
def store(tmp_path) -> Store:
    store = Store(tmp_path)
    config = GeneratorConfig(z_dim=4, w_dim=4, resolution=8, channels=(4, 4), mapping_layers=1)
    for name in ("second", "first"):
        store.add_generator(Generator(config).eval(), name)
        info = StyleInfo(
            name=name, generator="first", generator_hash="0" * 64, source="a", target="b", method="style",
            iterations=1, seed=0, clips=("builtin",),
        )  # fmt: skip
        store.add_style(Style(info=info, tensors={"synthesis.b8.conv0.bias": torch.linspace(0, 1, 4)}))
        keep_seed(store, KeepSettings(seed=1, name=f"kept-{name}", generator="second"))
    return store


KINDS = {"generators": "first", "styles": "first", "kept": "kept-first"}


def path_of(store, kind):
    return store.root / kind / f"{KINDS[kind]}.safetensors"


def load(store, kind, name):
    return {"generators": store.generator, "styles": store.style, "kept": store.textures.texture}[kind](name)


@pytest.mark.parametrize("damage", ["cut off", "empty", "header", "longer"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_file_is_named_and_moved_aside_and_the_rest_is_usable(store, kind, damage):
    path = path_of(store, kind)
    raw = path.read_bytes()
    path.write_bytes(
        {"cut off": raw[:-5], "empty": b"", "header": raw[:8] + b"!" + raw[9:], "longer": raw + b"x"}[damage]
    )
    (sentence,) = tidy(store.root)
    there = store.root / "damaged" / kind / path.name
    assert f"{kind}/{path.name} was damaged and has been moved to {there}" in sentence
    assert there.exists() and there.with_suffix(".txt").read_text().strip() in sentence and not path.exists()
    fresh = Store(store.root)
    with pytest.raises(NotFound):
        load(fresh, kind, KINDS[kind])
    for other, name in (("generators", "second"), ("styles", "second"), ("kept", "kept-second")):
        load(fresh, other, name)
    assert tidy(store.root) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_flipped_bit_is_found_when_the_file_is_loaded_and_it_is_moved_aside(store, kind):
    path = path_of(store, kind)
    raw = bytearray(path.read_bytes())
    raw[-3] ^= 4
    path.write_bytes(raw)
    assert tidy(store.root) == []  # the header is whole
    with pytest.raises(Damaged, match="has been moved to the folder 'damaged'"):
        load(Store(store.root), kind, KINDS[kind])
    assert (store.root / "damaged" / kind / path.name).exists() and not path.exists()


def test_a_name_is_free_again_and_a_second_damaged_file_does_not_replace_the_first(store):
    path = path_of(store, "styles")
    for _ in range(2):
        path.write_bytes(b"junk")
        assert len(tidy(store.root)) == 1
    store.add_style(store.style("second").renamed("first"))
    names = sorted(p.name for p in (store.root / "damaged" / "styles").glob("*.safetensors"))
    assert names == ["first-2.safetensors", "first.safetensors"]


def test_foreign_files_stay_where_they_are(store):
    path = store.root / "styles" / "lora.safetensors"
    save_file({"a": np.zeros(3, np.float32)}, path)
    (store.root / "styles" / "notes.txt").write_text("mine")
    assert tidy(store.root) == [] and path.exists()
    with pytest.raises(BadCheckpoint, match="not a Latent Loom style"):
        store.style("lora")
    assert path.exists()


def test_what_a_killed_writer_left_is_removed_and_a_living_one_s_is_not(store):
    folder = store.root / "styles"
    dead = next(pid for pid in range(4_000_000, 4_100_000) if not os.path.exists(f"/proc/{pid}"))  # noqa: PTH110
    left = [folder / f".a.safetensors.{dead}.partial", folder / f".b.safetensors.{dead}.part"]
    mine = [folder / f".c.safetensors.{os.getpid()}.partial", folder / ".d.safetensors.0123abcd.part", folder / ".e"]
    for path in (*left, *mine):
        path.write_bytes(b"half")
    old = folder / ".f.safetensors.0123abce.part"
    old.write_bytes(b"half")
    os.utime(old, (0, 0))
    assert tidy(store.root) == []
    assert not any(path.exists() for path in (*left, old)) and all(path.exists() for path in mine)


def test_a_store_that_is_not_there_yet_is_no_fault(tmp_path):
    assert tidy(tmp_path / "none") == []


def test_where_it_cannot_be_moved_it_is_still_said(store, monkeypatch):
    path = path_of(store, "styles")
    path.write_bytes(path.read_bytes()[:-2])
    (store.root / "damaged").write_text("in the way")
    assert tidy(store.root) == []
    assert [entry.name for entry in store.styles() if entry.broken] == ["first"]
    with pytest.raises(Damaged, match="is damaged"):
        store.style("first")
