"""How a run goes: losses by weight, presets, what is undone, going on, memory and time foretold, disks that fill."""

from __future__ import annotations

import errno
import os
from dataclasses import replace

import pytest
import torch
from latent_loom.backend.adaptation import Adaptation, AdaptSettings, adapt, predict
from latent_loom.backend.adaptation import objective as objectives
from latent_loom.backend.adaptation.losses import decay_loss, patch_loss, target_loss
from latent_loom.backend.adaptation.presets import PRESETS, with_preset
from latent_loom.backend.adaptation.snapshots import load_snapshots, load_state, save_snapshots
from latent_loom.backend.errors import BadCheckpoint, BadRequest, NonFinite, NotFound, OutOfMemory
from latent_loom.backend.job import Job

from .conftest import make_clip, make_generator

TEXT = {"source": "stone", "target": "mossy stone"}


def settings(**changes) -> AdaptSettings:
    return AdaptSettings(**(TEXT | {"batch": 2, "iterations": 3} | changes))


def begun(generator, clip, **changes) -> Adaptation:
    return Adaptation(generator, settings(**changes), clips=[clip], judge=clip)


# ---- losses


def test_the_global_loss_is_the_weighted_distance_to_the_goals():
    e, goals = torch.eye(3)[:2], torch.eye(3)[1:] * 2
    assert target_loss(e, goals, torch.tensor([0.25, 0.75])).item() == pytest.approx((1 + 0.75) / 2)


def test_the_patch_loss_weighs_the_wordings_that_fit():
    source, adapted = torch.zeros(1, 3), torch.tensor([[0.0, 5.0, 0.0]])
    c = torch.tensor([1.0, 0.0])
    expected = (c.softmax(0) * (1 - c)).sum()
    assert patch_loss(source, adapted, torch.tensor([[0.0, 1, 0], [1, 0, 0]])).item() == pytest.approx(
        expected.item(), abs=1e-3
    )


def test_the_decay_counts_everything_but_the_inner_halves_of_low_rank_changes():
    tensors = {"a": torch.tensor([3.0, 1.0]), "b.lora_up": torch.zeros(2), "b.lora_down": torch.full((9,), 7.0)}
    assert decay_loss(tensors).item() == pytest.approx(10 / 4)


@pytest.mark.parametrize("loss", ["global_loss", "patch", "decay", "contrast"])
def test_every_loss_counts_by_its_weight(generator, clip, loss):
    def first(**changes) -> float:
        run = begun(generator, clip, **changes)
        for tensor in run.tensors.values():
            tensor.data.add_(0.1)
        return run.step()["loss"]

    none, one, two = (first(**{"contrast": 0.0, loss: weight}) for weight in (0.0, 1.0, 2.0))
    if loss == "patch":  # it draws places, and everything after the first draw is another
        assert one > none
    else:
        assert one > none and two - none == pytest.approx(2 * (one - none), rel=1e-3)


def test_a_clip_counts_by_its_weight_and_one_of_weight_0_is_not_even_loaded(generator, clip, monkeypatch):
    asked = []
    monkeypatch.setattr("latent_loom.backend.adaptation.run.load_clip", lambda name, device: asked.append(name) or clip)
    run = Adaptation(generator, settings(clips=("one*0.5", "two*0", "three")), judge=clip)
    assert asked == ["one", "three"]
    assert list(run.objective.weights) == [0.5, 1.0]


def test_texts_are_embedded_once_a_run(generator, monkeypatch):
    clip = make_clip("counted")
    run = begun(generator, clip)
    calls = []
    monkeypatch.setattr(clip.model, "encode_text", lambda *_: calls.append(1))
    run.step()
    run.snapshot()
    assert calls == []


# ---- presets


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_makes_settings_and_is_overridden_by_what_is_given(name):
    merged = with_preset(name, {**TEXT, "in_domain": 0.125})
    assert AdaptSettings(**merged).in_domain == 0.125
    assert AdaptSettings(**with_preset(name, {**TEXT, "method": "full"})).method == "full"


def test_a_preset_s_size_of_patches_does_not_trip_who_wants_none():
    assert AdaptSettings(**with_preset("drawing", {**TEXT, "patch": 0.0})).patch == 0


def test_a_preset_s_losses_on_pairs_do_not_trip_who_trains_on_single_pictures():
    for name in PRESETS:
        AdaptSettings(**with_preset(name, {**TEXT, "batch": 1}))


def test_an_unknown_preset_offers_near_ones():
    with pytest.raises(NotFound, match="did you mean 'weathering'"):
        with_preset("wethering", TEXT)


# ---- going back, going on


def test_a_step_that_is_undone_is_told_in_the_progress_and_in_the_style(generator, clip, monkeypatch):
    run = begun(generator, clip)
    real, calls = run.gradients, []

    def first_bad(tensors, rng):
        calls.append(1)
        return real(tensors, rng) | ({"loss": float("inf")} if len(calls) == 1 else {})

    monkeypatch.setattr(run, "gradients", first_bad)
    assert run.step()["rollbacks"] == 1
    assert run.style(run.snapshot(), name="x").info.settings["rollbacks"] == 1


def test_a_run_goes_on_from_its_style_to_the_iterations_asked_for(generator, clip):
    style = adapt(generator, settings(), clips=[clip], judge=clip)
    seen = []
    longer = adapt(generator, settings(iterations=5), clips=[clip], judge=clip, job=Job(seen.append), resume=style)
    assert [p.done for p in seen] == [4, 5] and longer.info.iterations == 5
    again = adapt(generator, settings(iterations=5), clips=[clip], judge=clip, resume=style)
    assert all(torch.equal(longer.tensors[k], again.tensors[k]) for k in longer.tensors)


@pytest.mark.parametrize(
    "changes",
    [
        {"decay": 1.0, "mixing": 0.5},
        {"method": "style", "keep_share": 0.25},
        {"method": "layers", "top_layers": 2, "select_every": 2, "decay": 1.0},
    ],
    ids=["lowrank", "pruned style", "layers"],
)
def test_a_run_that_goes_on_with_its_state_has_the_bits_of_one_that_never_stopped(generator, clip, tmp_path, changes):
    asked = settings(**changes, iterations=6)
    whole = Adaptation(generator, asked, clips=[clip], judge=clip)
    for _ in range(5):  # pruning comes after the fourth
        whole.step()
    kept = whole.snapshot()
    file = tmp_path / "kept.safetensors"
    save_snapshots(file, "run", [kept], state=whole.state())
    tensors = load_snapshots(file)[kept.iterations]
    style = replace(whole.style(kept, name="x"), tensors=tensors)
    parted = Adaptation(generator, asked, clips=[clip], judge=clip, resume=style, state=load_state(file))
    for run in (whole, parted):
        run.step()
    for one, other in ((whole.tensors, parted.tensors), (whole.descent.average, parted.descent.average)):
        assert one.keys() == other.keys()
        assert all(torch.equal(t, other[name]) for name, t in one.items())


@pytest.mark.parametrize("part", ["rng", "counts", "mean/", "last/"])
def test_a_damaged_state_is_refused_in_a_sentence(generator, clip, part):
    run = begun(generator, clip, iterations=9)
    run.step()
    state, style = run.state(), run.style(run.snapshot(), name="x")
    name = next(name for name in state if name.startswith(part))
    state[name] = state[name].reshape(-1)[:1]
    with pytest.raises(BadCheckpoint, match="without --resume"):
        Adaptation(generator, settings(iterations=9), clips=[clip], judge=clip, resume=style, state=state)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"method": "full", "iterations": 9}, "other settings"),
        ({"target": "wet stone", "iterations": 9}, "other settings"),
        ({"rank": 2, "iterations": 9}, "other settings"),
        ({"iterations": 2}, "3 iterations already"),
    ],
)
def test_a_run_that_cannot_go_on_says_why(generator, clip, changes, said):
    style = adapt(generator, settings(), clips=[clip], judge=clip)
    with pytest.raises(BadRequest, match=said):
        begun(generator, clip, **changes).__class__(
            generator, settings(**changes), clips=[clip], judge=clip, resume=style
        )


def test_a_setting_that_a_style_s_program_did_not_know_counts_at_its_default(generator, clip):
    style = adapt(generator, settings(), clips=[clip], judge=clip)
    known = {name: value for name, value in style.info.settings.items() if name != "decay"}
    older = replace(style, info=replace(style.info, settings=known))
    assert Adaptation(generator, settings(iterations=4), clips=[clip], judge=clip, resume=older).iterations == 3
    with pytest.raises(BadRequest, match=r"\(decay 0.0, not 1.0\)"):
        Adaptation(generator, settings(iterations=4, decay=1.0), clips=[clip], judge=clip, resume=older)


def test_a_style_from_before_the_contrast_loss_was_made_without_it(generator, clip):
    style = adapt(generator, settings(), clips=[clip], judge=clip)
    known = {name: value for name, value in style.info.settings.items() if name != "contrast"}
    older = replace(style, info=replace(style.info, settings=known))
    with pytest.raises(BadRequest, match=r"\(contrast 0.0, not 0.3\)"):
        Adaptation(generator, settings(iterations=4), clips=[clip], judge=clip, resume=older)
    assert Adaptation(generator, settings(iterations=4, contrast=0.0), clips=[clip], judge=clip, resume=older)


# ---- size, memory, time


@pytest.mark.parametrize(("last_colours", "side"), [(0.0, 64), (30.0, 128)])
def test_training_sees_sums_of_colours_where_they_show_the_clip_what_it_would_see_in_the_whole(
    clip, last_colours, side
):
    generator = make_generator(resolution=128, channels=(6, 6, 6, 6, 4, 4))
    generator.synthesis.b128.torgb.weight.data.mul_(last_colours)
    run = begun(generator, clip, iterations=1)
    assert run.subject.train_px == side
    assert any("b128" in name for name in run.tensors) == (side == 128)
    assert run.subject.pair(run.draw(), run.tensors)[1].shape[-1] == side
    assert run._fixed_source.shape[-1] == 128  # measured whole all the same


def test_a_generator_that_makes_no_colours_is_refused_in_a_sentence_whatever_its_size(clip):
    generator = make_generator(resolution=128, channels=(6, 6, 6, 6, 4, 4))
    generator.synthesis.b4.torgb.bias.data.fill_(float("nan"))
    with pytest.raises(NonFinite):
        begun(generator, clip)


def test_a_generator_without_places_is_trained_on_small_textures_that_repeat(clip):
    generator = make_generator(resolution=128, channels=(6, 6, 6, 6, 4, 4), const_size=1, input_map=1.0)
    run, whole = begun(generator, clip), begun(generator, clip, train_size=128)
    for name, tensor in run.tensors.items():
        tensor.data.add_(0.02 if name.endswith("bias") else 0.0)
    for image in run.subject.pair(run.draw(), run.tensors):
        assert (
            image.shape[-1] == 128 and torch.equal(image, image.roll(64, 2)) and torch.equal(image, image.roll(64, 3))
        )
        assert not torch.allclose(image, image.roll(32, 2), atol=0.01)
    assert any("b128" in name for name in run.tensors)
    assert run.need.kept < whole.need.kept  # a quarter of the activations
    assert begun(generator, clip, tile="none").subject.repeats == 1  # the edges of the small one would not meet


def test_a_preview_is_small_whatever_the_pictures_are(clip):
    generator = make_generator(resolution=256, channels=(6, 6, 6, 6, 4, 4, 4))
    assert begun(generator, clip, train_size=64).preview().shape == (256, 512, 3)


def test_a_size_that_the_generator_does_not_pass_through_is_refused(generator, clip):
    with pytest.raises(BadRequest, match="4, 8, 16, 32 px"):
        begun(generator, clip, train_size=24)


def test_a_generator_too_large_for_the_memory_is_refused_with_advice_before_any_work(clip, monkeypatch):
    generator = make_generator(resolution=128, channels=(6, 6, 6, 6, 4, 4))  # asked how small its pictures may be
    monkeypatch.setattr(predict, "free_bytes", lambda device: 2**16)
    monkeypatch.setattr(generator.synthesis, "forward", lambda *_, **__: pytest.fail("a picture was made"))
    with pytest.raises(OutOfMemory, match=r"needs about .* MiB.*--batch"):
        begun(generator, clip)


def test_short_memory_turns_checkpointing_on_and_changes_no_number(generator, clip, monkeypatch):
    plenty = begun(generator, clip)
    monkeypatch.setattr(predict, "free_bytes", lambda device: round(0.97 * plenty.need.total / predict.ROOM))
    sparing = begun(generator, clip)
    assert sparing.subject.checkpointing and not plenty.subject.checkpointing
    for run in (plenty, sparing):
        run.step()
    assert all(torch.allclose(plenty.tensors[k], sparing.tensors[k], atol=1e-6) for k in plenty.tensors)


def test_mixed_precision_keeps_the_direction_and_the_tensors_in_float32(generator, clip, monkeypatch):
    run = begun(generator, clip, precision="mixed", in_domain=0.0)
    seen, real = [], objectives.directional_loss
    monkeypatch.setattr(objectives, "directional_loss", lambda *given: seen.extend(given) or real(*given))
    run.step()
    assert all(t.dtype == torch.float32 for t in [*seen, *run.tensors.values()])
    assert all(torch.isfinite(t).all() for t in run.tensors.values())


def test_mixed_precision_computes_no_loss_in_16_bits(generator, clip, monkeypatch):
    run = begun(generator, clip, patch=0.5, diversity=1.0, global_loss=0.3)
    rng, pictures = torch.Generator().manual_seed(0), torch.zeros(2, 3, 16, 16)
    size = len(run.aims[0].direction)
    pair = tuple(torch.nn.functional.normalize(torch.randn(2, size, generator=rng), dim=-1) for _ in range(2))
    monkeypatch.setattr(objectives, "_embed_pair", lambda *given: pair)
    views = run.objective.draw(2, (16, 16), rng, run.subject.device)
    plain = run.objective(pictures, pictures, run.tensors, views)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = run.objective(pictures, pictures, run.tensors, views)
    assert mixed[0].item() == plain[0].item() and mixed[1] == plain[1]


def test_mixed_precision_shows_the_clip_pixels_that_were_resized_in_float32(clip, monkeypatch):
    seen, images = [], torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    real = clip.model.encode_image
    monkeypatch.setattr(clip.model, "encode_image", lambda pixels: seen.append(pixels) or real(pixels))
    clip.embed_images(images)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        clip.embed_images(images)
    assert torch.equal(*seen)


def test_a_long_run_foretells_its_time_and_memory_first(generator, clip):
    seen = []

    def stop() -> bool:
        return len(seen) > 1

    with pytest.raises(Exception, match="Cancelled"):
        adapt(generator, settings(iterations=60), clips=[clip], judge=clip, job=Job(seen.append, stop))
    assert seen[0].done == 0 and set(seen[0].numbers) == {"predicted_s", "predicted_mib"}
    assert seen[0].numbers["predicted_mib"] > 0


def test_foretelling_changes_nothing_of_what_is_trained(generator, clip):
    plain, rehearsed = begun(generator, clip), begun(generator, clip)
    assert rehearsed.rehearse() > 0
    for run in (plain, rehearsed):
        run.step()
    assert all(torch.equal(plain.tensors[k], rehearsed.tensors[k]) for k in plain.tensors)


# ---- disks


def test_a_disk_that_fills_while_saving_leaves_the_style_that_was_there(generator, clip, tmp_path, monkeypatch):
    style, file = adapt(generator, settings(), clips=[clip], judge=clip), tmp_path / "s.safetensors"
    style.save(file)
    before = file.read_bytes()

    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        style.renamed("other").save(file)
    assert file.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == [file.name]
