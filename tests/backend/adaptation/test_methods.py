"""Methods: what each trains, the map from latents to layers, the selection, sparse offsets."""

from __future__ import annotations

import pytest
import torch
from latent_loom.backend.adaptation import Adaptation, AdaptSettings, adapt, selection
from latent_loom.backend.adaptation import run as running
from latent_loom.backend.adaptation.methods import METHODS, convolutions
from latent_loom.backend.adaptation.stylegan2 import StyleGAN2Subject, result_bytes
from latent_loom.backend.errors import BadRequest

from .conftest import make_generator

TEXT = {"source": "stone", "target": "mossy stone", "batch": 2}


def begun(generator, clip, **changes) -> Adaptation:
    return Adaptation(generator, AdaptSettings(**(TEXT | changes)), clips=[clip], judge=clip)


def test_the_index_map_gives_each_latent_the_convolution_that_it_drives_and_never_a_torgb(generator):
    """Moving vector i alone changes the style that layer's affine makes, and no other convolution's."""
    subject = StyleGAN2Subject(generator)
    for layer in convolutions(subject):
        moved = torch.zeros(subject.codes)
        moved[layer.code] = 1.0
        assert [chosen.name for chosen in selection.chosen_by_codes(subject, moved, 1)] == [layer.name]
        ws = torch.randn(1, subject.codes, 8)
        seen = {}
        hooks = [
            generator.synthesis.get_submodule(f"{other.name}.affine").register_forward_hook(
                lambda module, given, out, name=other.name, seen=seen: seen.setdefault(name, []).append(
                    given[0].clone()
                )
            )
            for other in subject.layers()
        ]
        with torch.no_grad():
            generator.synthesize(ws)
            changed = ws.clone()
            changed[:, layer.code] += 1
            generator.synthesize(changed)
        for hook in hooks:
            hook.remove()
        driven = {name for name, (a, b) in seen.items() if not torch.equal(a, b)}
        assert {name for name in driven if "torgb" not in name} == {layer.name}


def test_the_last_vector_drives_a_torgb_alone_and_selects_nothing(generator):
    subject = StyleGAN2Subject(generator)
    moved = torch.zeros(subject.codes)
    moved[-1] = 9.0
    moved[2] = 1.0
    assert [layer.code for layer in selection.chosen_by_codes(subject, moved, 1)] == [2]


def test_layers_trains_the_chosen_convolutions_alone(generator, clip, monkeypatch):
    run = begun(generator, clip, method="layers", top_layers=2)
    chosen = convolutions(run.subject)[3:5]
    monkeypatch.setattr(running, "select_layers", lambda *_: chosen)
    run.step()
    assert {name.split(".")[1] + "." + name.split(".")[2] for name in run.tensors} == {layer.name for layer in chosen}
    assert all(tensor.abs().max() > 0 for tensor in run.tensors.values())


def test_layers_chosen_earlier_keep_what_they_learnt_and_no_longer_train(generator, clip, monkeypatch):
    run = begun(generator, clip, method="layers", top_layers=1, select_every=1)
    first, second = convolutions(run.subject)[1], convolutions(run.subject)[4]
    turns = iter([[first], [second]])
    monkeypatch.setattr(running, "select_layers", lambda *_: next(turns))
    run.step()
    learnt = run.tensors[first.weight].detach().clone()
    run.step()
    assert learnt.abs().max() > 0 and torch.equal(run.tensors[first.weight], learnt)
    assert run.tensors[second.weight].abs().max() > 0


def test_layers_are_chosen_again_every_n_steps(generator, clip, monkeypatch):
    run, real, calls = begun(generator, clip, method="layers", top_layers=2, select_every=3), running.select_layers, []
    monkeypatch.setattr(running, "select_layers", lambda *given: calls.append(1) or real(*given))
    for _ in range(7):
        run.step()
    assert len(calls) == 3


def test_an_image_target_chooses_layers_by_the_image(generator, clip, tmp_path, monkeypatch):
    from PIL import Image

    Image.new("RGB", (32, 32), (30, 160, 40)).save(tmp_path / "moss.png")
    run = Adaptation(
        generator, AdaptSettings(images=(tmp_path / "moss.png",), method="layers", batch=2), clips=[clip], judge=clip
    )
    seen = []
    real = selection.target_loss
    monkeypatch.setattr(selection, "target_loss", lambda a, goals, w: seen.append(goals) or real(a, goals, w))
    run.step()
    assert seen and all(torch.equal(goals, run.aims[0].goals) for goals in seen)
    assert torch.allclose(run.aims[0].goals.norm(dim=1), torch.ones(1), atol=1e-5)  # the picture's own embedding


def test_style_offsets_without_the_coarse_layers_leave_those_alone(generator, clip):
    run = begun(generator, clip, method="style", coarse=False)
    coarse = [layer.style for layer in run.subject.layers() if layer.coarse]
    assert coarse and not set(coarse) & set(run.tensors)
    assert any("torgb" in name for name in run.tensors)


def test_sparse_offsets_keep_the_largest_share_and_train_on_alone(generator, clip):
    style = adapt(
        generator, AdaptSettings(**TEXT, method="style", keep_share=0.2, iterations=6), clips=[clip], judge=clip
    )
    values = torch.cat([t.flatten() for t in style.tensors.values()])
    assert (values != 0).sum() == round(0.2 * len(values))


def test_full_trains_the_constant_and_every_convolution_and_no_torgb_or_mapping(generator, clip):
    names = set(begun(generator, clip, method="full").tensors)
    synthesis = {n for n, _ in generator.named_parameters() if n.startswith("synthesis.") and "torgb" not in n}
    assert names == synthesis


def test_every_method_says_what_it_trains_what_it_is_for_and_how_large_its_result_is(generator, clip):
    sizes = result_bytes(generator.config)
    for name, method in METHODS.items():
        assert len(method.trains) > 20 and len(method.suits) > 10
        run = begun(generator, clip, method=name, **({"top_layers": 5} if name == "layers" else {}))
        run.step()
        made = sum(t.numel() * t.element_size() for t in run.tensors.values())
        assert made <= sizes[name] if method.selects else made == sizes[name]
    assert sizes["style"] < sizes["lowrank"] < sizes["full"]


def test_low_rank_trains_how_every_layer_s_style_depends_on_the_latent(generator, clip):
    run = begun(generator, clip, method="lowrank")
    for _ in range(2):
        run.step()
    for layer in run.subject.layers():
        up, down = (run.tensors[f"synthesis.{layer.name}.affine.weight.lora_{half}"] for half in ("up", "down"))
        assert up.shape == (generator.synthesis.get_submodule(f"{layer.name}.affine").weight.shape[0], 4)
        assert down.shape == (4, generator.config.w_dim) and up.abs().max() > 0


def test_low_rank_without_coarse_layers_shares_the_trunk(clip):
    generator = make_generator()
    run = begun(generator, clip, coarse=False)
    seen = []
    generator.synthesis.b4.conv1.register_forward_hook(lambda *_: seen.append("b4"))
    generator.synthesis.b32.conv0.register_forward_hook(lambda *_: seen.append("b32"))
    run.subject.pair(run.draw(), run.tensors)
    assert seen.count("b4") == 1 and seen.count("b32") == 2


@pytest.mark.parametrize("method", ["style", "lowrank", "full"])
def test_no_gradient_is_made_for_what_is_not_trained(generator, clip, method):
    run = begun(generator, clip, method=method)
    run.step()
    assert all(parameter.grad is None for parameter in generator.parameters())
    assert all(parameter.grad is None for parameter in clip.model.parameters())


def test_more_layers_than_there_are_are_refused_rather_than_taken_for_all(generator, clip):
    with pytest.raises(BadRequest, match="top_layers is 8, and this generator has 7 convolutions"):
        begun(generator, clip, method="layers", top_layers=8)
