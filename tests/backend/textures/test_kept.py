"""Kept textures: the file, the folder, and the pictures that they make again."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
import torch
from latent_loom.backend.adaptation.style import METADATA_KEY as STYLE_KEY
from latent_loom.backend.errors import AlreadyExists, BadCheckpoint, BadRequest, NotFound
from latent_loom.backend.textures.generate import texture
from latent_loom.backend.textures.keep import KeepSettings, keep_seed, kept_picture
from latent_loom.backend.textures.kept import KeptInfo, KeptTexture, halved
from latent_loom.stylegan2.inputs import draw_inputs
from safetensors.torch import load, save

SIZE = (32, 32)


def kept(store, name="wall", **settings) -> KeptTexture:
    return keep_seed(store, KeepSettings(**({"seed": 5, "name": name} | settings)))


def arranged(store, name="found", *, grid=(4, 4), offsets=None) -> KeptTexture:
    """A texture with an arrangement of its own, as a projection keeps it."""
    base = kept(store, f"{name}-seed")
    generator = store.generator("builtin")
    return KeptTexture(
        info=KeptInfo(
            name=name, generator="builtin", generator_hash=store.generator_hash("builtin"), seed=5,
            origin="projection", grid=grid, measures={"psnr_db": 30.0}, settings={"steps": 3},
        ),
        ws=base.ws,
        arrangement=halved(draw_inputs(generator.config, [77], grid)),
        offsets=offsets or {},
        thumbnail=base.thumbnail,
    )  # fmt: skip


def test_a_kept_seed_is_that_seed_s_picture_at_any_size_and_tile(store):
    kept(store)
    found = store.kept_texture("wall", "builtin")
    generator = store.generator("builtin")
    for size, tile in ((SIZE, "xy"), ((48, 80), "x"), ((64, 64), "none")):
        expected = texture(generator, 5, size=size, tile=tile, psi=0.8)
        assert np.array_equal(kept_picture(generator, found, size=size, tile=tile), expected)


def test_a_texture_survives_the_disk(store):
    made = arranged(store, offsets={"b8.conv0": torch.linspace(-1, 1, 8)})
    store.keep(made)
    found = store.kept_texture("found", "builtin")
    assert found.info == made.info
    assert torch.equal(found.ws, made.ws)
    assert torch.equal(found.arrangement.input_map, made.arrangement.input_map)
    assert all(torch.equal(a, b) for a, b in zip(found.arrangement.noise, made.arrangement.noise, strict=True))
    assert torch.equal(found.offsets["b8.conv0"], made.offsets["b8.conv0"])
    assert np.array_equal(found.thumbnail, made.thumbnail)


def test_the_same_texture_gives_the_same_bytes_without_clock_and_path(store, tmp_path):
    made = arranged(store)
    made.save(tmp_path / "a.safetensors")
    made.save(tmp_path / "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    assert str(tmp_path).encode() not in (tmp_path / "a.safetensors").read_bytes()


def test_the_stored_arrangement_is_the_whole_picture_at_its_own_size_and_a_part_of_a_larger_one(store):
    made, generator = arranged(store), store.generator("builtin")
    small, large = (made.inputs(generator.config, grid) for grid in ((4, 4), (8, 8)))
    assert torch.equal(small.input_map, made.arrangement.input_map)
    for stored, own, wider in zip(made.arrangement.noise, small.noise, large.noise, strict=True):
        assert torch.equal(own, stored)
        assert torch.equal(wider[..., : stored.shape[2], : stored.shape[3]], stored)
    around = draw_inputs(generator.config, [5], (8, 8))
    assert torch.equal(large.input_map[..., 4:, :], around.input_map[..., 4:, :])
    whole = kept_picture(generator, made, size=SIZE, tile="xy").astype(int)
    part = kept_picture(generator, made, size=(64, 64), tile="xy").astype(int)[:32, :32]
    # What lies around reaches into it, from its edges inward.
    assert np.abs(whole - part)[12:20, 12:20].mean() < 0.5 * np.abs(whole - part)[:, :2].mean()


def test_a_smaller_grid_shows_a_part_of_the_arrangement(store):
    made, generator = arranged(store, grid=(6, 6)), store.generator("builtin")
    inputs = made.inputs(generator.config, (4, 4))
    assert torch.equal(inputs.input_map, made.arrangement.input_map[..., :4, :4])


def test_offsets_change_the_picture_and_styles_add_to_them(store):
    offsets = {"b32.torgb": torch.full([6], 0.5)}
    plain, moved = arranged(store, "plain"), arranged(store, "moved", offsets=offsets)
    base, styled = store.generator("builtin"), store.styled("builtin", (("mossy", 1.0),))
    pictures = [kept_picture(g, t, size=SIZE, tile="xy") for g in (base, styled) for t in (plain, moved)]
    assert len({p.tobytes() for p in pictures}) == 4
    assert torch.equal(base.synthesis.b32.torgb.affine.bias, store.generator("builtin").synthesis.b32.torgb.affine.bias)


def test_a_texture_of_another_generator_is_refused(store):
    torch.manual_seed(9)
    other = store.generator("builtin").__class__(store.generator("builtin").config)
    store.add_generator(other, "other")
    kept(store)
    with pytest.raises(BadRequest, match="--generator builtin"):
        store.kept_texture("wall", "other")


def test_names_are_listed_renamed_and_deleted(store):
    kept(store)
    store.textures.rename("wall", "fence")
    assert [(e.name, e.info.name, e.info.origin) for e in store.kept()] == [("fence", "fence", "seed")]
    store.textures.delete("fence")
    assert store.kept() == []
    with pytest.raises(NotFound, match="no texture called 'fence'"):
        store.kept_texture("fence", "builtin")


def test_a_taken_name_is_kept_unless_it_may_be_overwritten(store):
    kept(store)
    with pytest.raises(AlreadyExists):
        kept(store, seed=6)
    assert store.kept_texture("wall", "builtin").info.seed == 5
    kept(store, seed=6, overwrite=True)
    assert store.kept_texture("wall", "builtin").info.seed == 6


@pytest.mark.parametrize("name", ["", "../wall", "a/b", "Wall", "x" * 65])
def test_a_name_that_leaves_the_folder_is_refused(store, name):
    with pytest.raises(BadRequest, match="is not a name"):
        kept(store, name)


@pytest.mark.parametrize("wrong", [{"seed": -1}, {"seed": 2**32}, {"psi": float("nan")}, {"psi": 3.0}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(BadRequest):
        KeepSettings(**({"seed": 1, "name": "a"} | wrong))


def rewritten(path, change):
    """The file with its tensors and provenance changed."""
    raw = path.read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    metadata = json.loads(raw[8 : 8 + length])["__metadata__"]
    tensors = load(raw)
    (key,) = metadata
    about = json.loads(metadata[key])
    key = change(tensors, about) or key
    path.write_bytes(save(tensors, {key: json.dumps(about)}))


def not_finite(tensors, about):
    tensors["ws"][0, 0] = float("nan")


def no_ws(tensors, about):
    del tensors["ws"]


def extra(tensors, about):
    tensors["other"] = torch.zeros(3)


def other_grid(tensors, about):
    about["grid"] = [5, 4]


def giant_grid(tensors, about):
    about["grid"] = [10**9, 10**9]


def bad_seed(tensors, about):
    about["seed"] = -1


def no_hash(tensors, about):
    del about["generator_hash"]


def newer(tensors, about):
    about["format"] = 99


def a_style(tensors, about):
    return STYLE_KEY


def flat_noise(tensors, about):
    tensors["noise.1"] = torch.zeros(64)


@pytest.mark.parametrize(
    "change",
    [not_finite, no_ws, extra, other_grid, giant_grid, bad_seed, no_hash, newer, a_style, flat_noise],
    ids=lambda f: f.__name__,
)
def test_a_file_that_lies_is_refused_in_a_sentence(store, change):
    path = store.keep(arranged(store))
    rewritten(path, change)
    with pytest.raises(BadCheckpoint, match=r"damaged|no kept texture|newer") as told:
        store.kept_texture("found", "builtin")
    assert str(told.value).endswith(".")


def test_a_file_with_latents_of_another_length_is_refused(store):
    path = store.keep(arranged(store))

    def longer(tensors, about):
        tensors["ws"] = torch.zeros(99, 8)

    rewritten(path, longer)
    with pytest.raises(BadCheckpoint, match="damaged"):
        store.kept_texture("found", "builtin")


def test_offsets_and_maps_of_other_shapes_are_refused(store):
    for name, key, value in (("a", "offset.b8.conv0", torch.zeros(3)), ("b", "offset.none", torch.zeros(8)),
                             ("c", "input_map", torch.zeros(3, 4, 4).half())):  # fmt: skip
        path = store.keep(arranged(store, name))

        def swap(tensors, about, key=key, value=value):
            tensors[key] = value

        rewritten(path, swap)
        with pytest.raises(BadCheckpoint, match="damaged"):
            store.kept_texture(name, "builtin")


def test_a_cut_file_is_listed_as_broken_and_stops_nobody(store):
    kept(store, "good")
    path = store.keep(arranged(store))
    whole = path.read_bytes()
    for end in (0, 7, 100, len(whole) - 1):
        path.write_bytes(whole[:end])
        with pytest.raises(BadCheckpoint, match="damaged"):
            store.kept_texture("found", "builtin")
    path.write_bytes(b"not a texture")
    entries = {entry.name: entry for entry in store.kept()}
    assert "damaged" in entries["found"].broken
    assert entries["good"].broken is None
