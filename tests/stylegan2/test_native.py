from __future__ import annotations

import json
import struct

import pytest
import torch
from latent_loom.stylegan2.checkpoints import generator_hash, load_generator, read_header, save_generator
from latent_loom.stylegan2.errors import CorruptTensors, ForeignCheckpoint, TruncatedCheckpoint
from safetensors.torch import load_file


@pytest.fixture
def saved(make_generator, tmp_path):
    generator = make_generator(
        const_size=1, input_map=0.5, lattice=True, tile="xy", conv_clamp=256.0, constant_noise=True
    )
    save_generator(generator, tmp_path / "g.safetensors", metadata={"licence": "CC0"})
    return generator, tmp_path / "g.safetensors"


def rewrite(path, change):
    """Change the header of a safetensors file in place; `change` gets it as a dictionary."""
    data = path.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + size])
    change(header)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + size :])


def change_config(path, **settings):
    def change(header):
        about = header["__metadata__"]
        about["config"] = json.dumps({**json.loads(about["config"]), **settings})

    rewrite(path, change)


def test_a_generator_comes_back_bit_by_bit(saved):
    generator, path = saved
    loaded = load_generator(path)
    assert loaded.config == generator.config
    assert all(torch.equal(a, loaded.state_dict()[n]) for n, a in generator.state_dict().items())
    assert generator_hash(loaded) == generator_hash(generator)
    assert not any(p.requires_grad for p in loaded.parameters())


def test_the_same_generator_gives_the_same_bytes(saved, tmp_path):
    generator, path = saved
    save_generator(generator, tmp_path / "again.safetensors", metadata={"licence": "CC0"})
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["again.safetensors", "g.safetensors"]


def test_the_file_is_one_that_the_safetensors_library_reads(saved):
    generator, path = saved
    assert load_file(path).keys() == generator.state_dict().keys()


def test_the_header_alone_says_what_it_is(saved):
    generator, path = saved
    header = read_header(path)
    assert header.config == generator.config
    assert header.metadata == {"licence": "CC0"}
    assert header.parameters == sum(t.numel() for t in generator.state_dict().values())


def test_the_hash_sees_values_shapes_and_names(make_generator):
    generator = make_generator()
    before = generator_hash(generator)
    assert len(before) == 64
    generator.synthesis.b8.conv0.bias[0] += 1e-6
    assert generator_hash(generator) != before
    assert generator_hash(make_generator()) == before


def test_the_hash_tells_shapes_and_names_apart():
    def hash_of(name, *shape):
        module = torch.nn.Module()
        module.register_buffer(name, torch.ones(shape))
        return generator_hash(module)

    assert len({hash_of("a", 2, 3), hash_of("a", 3, 2), hash_of("b", 2, 3)}) == 3


def test_a_failed_write_leaves_the_old_file(saved, monkeypatch):
    generator, path = saved
    before = path.read_bytes()

    def fail(fd):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="No space"):
        save_generator(generator, path)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_reserved_metadata_is_refused(saved):
    generator, path = saved
    with pytest.raises(ValueError, match="reserved"):
        save_generator(generator, path, metadata={"config": "{}"})


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nan_and_infinity_are_refused_by_name(make_generator, tmp_path, value):
    generator = make_generator()
    generator.synthesis.b8.conv0.weight[1, 2, 0, 0] = value
    save_generator(generator, tmp_path / "g.safetensors")
    with pytest.raises(CorruptTensors, match=r"g.safetensors the tensor synthesis.b8.conv0.weight holds NaN or inf"):
        load_generator(tmp_path / "g.safetensors")


def test_missing_and_extra_tensors_are_named(saved):
    _, path = saved

    def rename(header):
        header["strange"] = header.pop("mapping.w_avg")

    rewrite(path, rename)
    with pytest.raises(CorruptTensors, match=r"lacks 1 tensor \(mapping.w_avg\)"):
        load_generator(path)


def test_extra_tensors_are_named(saved):
    generator, path = saved
    generator.register_buffer("strange", torch.zeros(1))
    save_generator(generator, path)
    with pytest.raises(CorruptTensors, match=r"has unknown 1 tensor \(strange\)"):
        load_generator(path)


def test_a_shape_that_the_settings_contradict_is_named(saved):
    _, path = saved
    change_config(path, w_dim=9, mapping_width=8)
    with pytest.raises(CorruptTensors, match=r"tensor mapping\.w_avg has the shape \[8\] and not \[9\]"):
        load_generator(path)


@pytest.mark.parametrize(
    "settings",
    [
        {"resolution": 65536, "channels": [2**20] * 15},
        {"z_dim": 10**30},
        {"mapping_layers": 10**9},
        {"resolution": "16"},
        {"channels": None},
        {"fir": ["a", "b", "c", "d"]},
        {"conv_clamp": []},
        {"tile": 3},
        {"surprise": 1},
        {"constant_noise": "yes"},
        {"mapping_lr_multiplier": "fast"},
        {"demodulation_eps": None},
        {"input_map": "1"},
        {"eps_per_tap": []},
    ],
)
def test_settings_out_of_bounds_are_refused_before_memory_is_taken(saved, settings):
    _, path = saved
    change_config(path, **settings)
    with pytest.raises((ForeignCheckpoint, CorruptTensors)):
        load_generator(path)


def test_a_newer_format_asks_for_an_update(saved):
    _, path = saved
    rewrite(path, lambda header: header["__metadata__"].update(format_version="2"))
    with pytest.raises(ForeignCheckpoint, match="format version '2' and this program reads 1; update"):
        load_generator(path)


def test_another_safetensors_file_is_foreign(saved):
    _, path = saved
    rewrite(path, lambda header: header.pop("__metadata__"))
    with pytest.raises(ForeignCheckpoint, match="no generator of Latent Loom"):
        load_generator(path)


@pytest.mark.parametrize("keep", [0, 5, 9, 300, -1])
def test_a_file_that_was_cut_off_is_truncated(saved, keep):
    _, path = saved
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(TruncatedCheckpoint, match=r"g\.safetensors .* get it again"):
        load_generator(path)


def test_a_missing_file_is_the_operating_systems_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_generator(tmp_path / "none.safetensors")
