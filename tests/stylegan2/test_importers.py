from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from latent_loom.stylegan2.checkpoints import export_rosinality, import_checkpoint, save_generator
from latent_loom.stylegan2.checkpoints.rosinality import layer_name
from latent_loom.stylegan2.config import GeneratorConfig
from latent_loom.stylegan2.errors import (
    CannotExport,
    CheckpointError,
    CorruptTensors,
    ForeignCheckpoint,
    TruncatedCheckpoint,
    UnsupportedArchitecture,
)
from latent_loom.stylegan2.networks import Generator

ROSINALITY = {"constant_noise": True, "eps_per_tap": True}


def pictures(generator, psi=0.7):
    z = torch.randn(2, generator.config.z_dim, generator=torch.Generator().manual_seed(1))
    labels = torch.eye(generator.config.c_dim)[:2] if generator.config.c_dim else None
    inputs = generator.constant_inputs() if generator.config.constant_noise else None
    with torch.no_grad():
        return generator.synthesize(generator.map(z, psi=psi, labels=labels), inputs, tile="none")


def same_settings(a: GeneratorConfig, b: GeneratorConfig, *, but=()):
    """Whether configs agree once widths that default to others are written out."""

    def plain(c):
        out = {n: getattr(c, n) for n in c.__dataclass_fields__ if n not in but}
        out["mapping_width"] = c.mapping_width or c.w_dim
        out["embed_dim"] = (c.embed_dim or c.w_dim) if c.c_dim else None
        return out

    return plain(a) == plain(b)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("kind", ["converted", "training", "nada"])
def test_rosinality_files_give_the_pictures_of_their_weights(make_generator, write_rosinality, kind, zipped):
    generator = make_generator(**ROSINALITY)
    imported = import_checkpoint(write_rosinality(generator, kind, zipped=zipped))
    assert same_settings(imported.config, generator.config)
    psi = 0.7 if kind == "converted" else 1.0
    assert torch.equal(pictures(imported, psi), pictures(generator, psi))


def test_an_average_of_one_row_is_taken(make_generator, write_rosinality):
    generator = make_generator(**ROSINALITY)
    imported = import_checkpoint(write_rosinality(generator, row=True))
    assert torch.equal(imported.mapping.w_avg, generator.mapping.w_avg)


def test_a_missing_average_is_recomputed_from_a_seed(make_generator, write_rosinality):
    generator = make_generator(**ROSINALITY)
    a, b = (import_checkpoint(write_rosinality(generator, "nada")).mapping.w_avg for _ in range(2))
    assert torch.equal(a, b)
    with torch.no_grad():
        w = generator.mapping(torch.randn(20_000, 8))
    assert (a - w.mean(0)).abs().max() < 0.1 * w.std()


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_nvlabs_files_give_the_pictures_of_their_weights(make_generator, write_nvlabs, protocol):
    generator = make_generator(constant_noise=True, conv_clamp=256.0)
    imported = import_checkpoint(write_nvlabs(generator, protocol=protocol))
    assert same_settings(imported.config, generator.config)
    assert torch.equal(pictures(imported), pictures(generator))


@pytest.mark.parametrize(
    "settings",
    [
        {"c_dim": 3},
        {"c_dim": 3, "embed_dim": 5, "mapping_width": 7, "z_dim": 6},
        {"mapping_layers": 1},
        {"mapping_layers": 2, "mapping_lr_multiplier": 1.0},
        {"w_dim": 12, "z_dim": 4},
        {"conv_clamp": 0.5},
        {"image_channels": 1},
        {"resolution": 4, "channels": (8,)},
        {"resolution": 32, "channels": (8, 8, 6, 4)},
    ],
    ids=str,
)
def test_every_nvlabs_hyper_parameter_is_found(make_generator, write_nvlabs, settings):
    generator = make_generator(constant_noise=True, **settings)
    imported = import_checkpoint(write_nvlabs(generator))
    assert same_settings(imported.config, generator.config)
    assert torch.equal(pictures(imported), pictures(generator))


def test_an_nvlabs_file_without_an_average_gets_one(make_generator, write_nvlabs):
    generator = make_generator(constant_noise=True)
    imported = import_checkpoint(write_nvlabs(generator, without_average=True))
    assert imported.mapping.w_avg.abs().sum() > 0
    assert torch.equal(pictures(imported, psi=1.0), pictures(generator, psi=1.0))


@pytest.mark.parametrize("suffix", [".pkl", ".pt", ".safetensors", ".txt"])
def test_the_content_decides_and_not_the_name(make_generator, write_nvlabs, write_rosinality, tmp_path, suffix):
    generator = make_generator(**ROSINALITY)
    save_generator(generator, tmp_path / "own")
    for written in (write_nvlabs(generator), write_rosinality(generator), tmp_path / "own"):
        renamed = written.rename(tmp_path / f"renamed{suffix}")
        assert import_checkpoint(renamed).config.resolution == 16


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"architecture": "resnet"}, "of the 'resnet' kind; only skip generators"),
        ({"stylegan3": True}, "is a StyleGAN3 model"),
        ({"stylegan3": "XL"}, "is a StyleGAN-XL model"),
        ({"activation": "relu"}, "another activation than leaky ReLU"),
        ({"mapping_activation": "relu"}, "another activation than leaky ReLU in its mapping"),
    ],
)
def test_other_architectures_are_named(make_generator, write_nvlabs, changes, sentence):
    with pytest.raises(UnsupportedArchitecture, match=sentence):
        import_checkpoint(write_nvlabs(make_generator(constant_noise=True), **changes))


@pytest.mark.parametrize("name", ["conv_clamp", "architecture", "activation"])
@pytest.mark.parametrize("value", ["x", [], {"a": []}, True, 10**5000], ids=lambda v: type(v).__name__)
def test_attributes_of_any_kind_raise_nothing_but_a_checkpoint_error(make_generator, write_nvlabs, name, value):
    with pytest.raises(CheckpointError):
        import_checkpoint(write_nvlabs(make_generator(constant_noise=True), **{name: value}))


@pytest.mark.parametrize("write", ["write_nvlabs", "write_rosinality"])
def test_nan_in_a_foreign_file_is_named(make_generator, write, request):
    generator = make_generator(**ROSINALITY)
    generator.synthesis.b8.conv1.weight[0, 0, 0, 0] = float("nan")
    with pytest.raises(CorruptTensors, match=r"synthesis\.b8\.conv1\.weight holds NaN"):
        import_checkpoint(request.getfixturevalue(write)(generator))


def test_missing_and_extra_tensors_of_a_foreign_file_are_named(make_generator, write_rosinality):
    generator = make_generator(**ROSINALITY)
    with pytest.raises(CorruptTensors, match=r"lacks 1 tensor \(synthesis\.b8\.conv0\.affine\.bias\)"):
        import_checkpoint(write_rosinality(generator, change=lambda s: s.pop("convs.0.conv.modulation.bias")))
    with pytest.raises(CorruptTensors, match=r"has unknown 1 tensor \(convs\.9\.surprise\)"):
        import_checkpoint(write_rosinality(generator, change=lambda s: s.update({"convs.9.surprise": torch.ones(1)})))


def test_whole_numbers_in_place_of_weights_are_refused(make_generator, write_rosinality):
    with pytest.raises(CorruptTensors, match="holds torch"):
        import_checkpoint(
            write_rosinality(
                make_generator(**ROSINALITY), change=lambda s: s.update({"conv1.activate.bias": torch.ones(8).long()})
            )
        )


def test_half_precision_weights_become_float32(make_generator, write_rosinality):
    def halve(state):
        state.update({n: t.half() for n, t in state.items()})

    imported = import_checkpoint(write_rosinality(make_generator(**ROSINALITY), change=halve))
    assert {t.dtype for t in imported.state_dict().values()} == {torch.float32}


@pytest.mark.parametrize("kernel", [torch.ones(3, 3), torch.rand(4, 4)])
def test_another_resampling_filter_is_refused(make_generator, write_rosinality, kernel):
    with pytest.raises(UnsupportedArchitecture, match="resampling filter"):
        import_checkpoint(
            write_rosinality(
                make_generator(**ROSINALITY), change=lambda s: s.update({"to_rgbs.0.upsample.kernel": kernel})
            )
        )


def test_a_separable_filter_of_other_taps_is_kept(make_generator, write_rosinality):
    line = torch.tensor([1.0, 2.0, 2.0, 1.0])

    def change(state):
        state.update({n: torch.outer(line, line) / 9 for n in state if n.endswith("kernel")})

    imported = import_checkpoint(write_rosinality(make_generator(**ROSINALITY), change=change))
    assert np.allclose(np.array(imported.config.fir) / sum(imported.config.fir), line / 6, atol=1e-5)


def test_a_discriminator_alone_is_foreign(tmp_path):
    torch.save({"d": {"final.weight": torch.zeros(2, 2)}}, tmp_path / "d.pt")
    with pytest.raises(ForeignCheckpoint, match=r"d\.pt is a PyTorch file without a StyleGAN2 generator"):
        import_checkpoint(tmp_path / "d.pt")


@pytest.mark.parametrize("suffix", [".pkl", ".pt", ".safetensors"])
@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"hello, world", "is a text file and no model"),
        (b"(dialogue) s'il vous pla\xc3\xaet\n" * 40, "is a text file and no model"),
        (b"https://example.org/model.pkl\n", "is a text file and no model"),
        (b"{}", "is a text file and no model"),
        (b"\n<!DOCTYPE html><html>...</html>", "is a web page"),
        (b"<html>\n" + b"x" * 900, "is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n", "is a Git LFS pointer"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "is no model file that can be read"),
        (bytes(600), "is no model file that can be read"),
    ],
)
def test_other_files_are_foreign_and_texts_are_called_so(tmp_path, content, sentence, suffix):
    path = tmp_path / f"x{suffix}"
    path.write_bytes(content)
    with pytest.raises(ForeignCheckpoint, match=sentence):
        import_checkpoint(path)


def test_an_empty_file_a_folder_and_a_missing_file_are_told_apart(tmp_path):
    (tmp_path / "x.pkl").touch()
    with pytest.raises(TruncatedCheckpoint, match="is empty"):
        import_checkpoint(tmp_path / "x.pkl")
    with pytest.raises(ForeignCheckpoint, match="is a folder"):
        import_checkpoint(tmp_path)
    with pytest.raises(FileNotFoundError):
        import_checkpoint(tmp_path / "y.pkl")


# ---- export ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def exportable():
    """A generator with the channel counts of rosinality's, and narrow elsewhere."""
    torch.manual_seed(0)
    config = GeneratorConfig(z_dim=8, w_dim=8, resolution=8, channels=(512, 512), mapping_layers=2, constant_noise=True)
    return Generator(config).requires_grad_(False).eval()


def test_an_exported_generator_imports_as_itself(exportable, tmp_path):
    export_rosinality(exportable, tmp_path / "x.pt")
    imported = import_checkpoint(tmp_path / "x.pt")
    assert same_settings(imported.config, exportable.config, but=["eps_per_tap"])
    assert all(torch.equal(a, imported.state_dict()[n]) for n, a in exportable.state_dict().items())
    assert torch.allclose(pictures(imported), pictures(exportable), atol=1e-5)


def test_an_exported_file_loads_without_running_code_and_has_every_name(exportable, tmp_path):
    export_rosinality(exportable, tmp_path / "x.pt")
    state = torch.load(tmp_path / "x.pt", weights_only=True)["g_ema"]
    expected = {f"style.{i}.{p}": None for i in (1, 2) for p in ("weight", "bias")}
    for name in ("conv1", "convs.0", "convs.1"):
        parts = ("conv.weight", "conv.modulation.weight", "conv.modulation.bias", "noise.weight", "activate.bias")
        expected |= {f"{name}.{p}": None for p in parts}
    for name in ("to_rgb1", "to_rgbs.0"):
        parts = ("conv.weight", "conv.modulation.weight", "conv.modulation.bias", "bias")
        expected |= {f"{name}.{p}": None for p in parts}
    expected |= dict.fromkeys(("input.input", "convs.0.conv.blur.kernel", "to_rgbs.0.upsample.kernel"))
    expected |= {f"noises.noise_{i}": None for i in range(3)}
    assert state.keys() == expected.keys()
    assert state["convs.0.conv.weight"].shape == (1, 512, 512, 3, 3)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({}, "channel counts"),
        ({"c_dim": 2}, "classes"),
        ({"z_dim": 4}, "differ in width"),
        ({"input_map": 1.0}, "random input map"),
        ({"lattice": True}, "a lattice"),
        ({"const_size": 1}, "constant"),
        ({"mapping_lr_multiplier": 1.0}, "rate"),
    ],
)
def test_what_rosinality_cannot_have_goes_to_safetensors(make_generator, tmp_path, settings, reason):
    with pytest.raises(CannotExport, match=f"{reason}.*export it as safetensors"):
        export_rosinality(make_generator(**settings), tmp_path / "x.pt")
    assert not list(tmp_path.iterdir())


def clamped(generator, limit):
    made = Generator(replace(generator.config, conv_clamp=limit)).requires_grad_(False).eval()
    made.load_state_dict(generator.state_dict())
    return made


def test_a_clamp_that_never_acts_is_left_out_and_told(exportable, tmp_path):
    (note,) = export_rosinality(clamped(exportable, 256.0), tmp_path / "x.pt")
    assert "clamped at 256" in note and "4 pictures were the same without" in note
    assert torch.allclose(pictures(import_checkpoint(tmp_path / "x.pt")), pictures(exportable), atol=1e-5)


def test_a_clamp_that_acts_goes_to_safetensors(exportable, tmp_path):
    with pytest.raises(CannotExport, match=r"reach the clamp.*export it as safetensors"):
        export_rosinality(clamped(exportable, 0.5), tmp_path / "x.pt")
    assert not list(tmp_path.iterdir())


def test_what_the_format_cannot_carry_is_told(exportable, tmp_path):
    assert export_rosinality(exportable, tmp_path / "x.pt") == []
    tileable = Generator(replace(exportable.config, tile="xy")).requires_grad_(False).eval()
    (note,) = export_rosinality(tileable, tmp_path / "y.pt")
    assert "Tileable padding cannot travel" in note


def test_layers_have_rosinalitys_names(make_generator):
    names = [layer_name(layer) for layer in make_generator().layers()]
    assert names == ["conv1", "to_rgb1", "convs.0", "convs.1", "to_rgbs.0", "convs.2", "convs.3", "to_rgbs.1"]
