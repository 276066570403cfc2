from __future__ import annotations

import pytest
import torch
from latent_loom.backend.adaptation import Adaptation, AdaptSettings, adapt, blend
from latent_loom.backend.adaptation.adapt import Snapshot, best, finished
from latent_loom.backend.adaptation.losses import directional_loss
from latent_loom.backend.adaptation.measures import FIRST_SEED, Measures, fixed_latents
from latent_loom.backend.adaptation.settings import METHOD_NAMES
from latent_loom.backend.errors import Cancelled, NonFinite, PromptError
from latent_loom.backend.job import Job
from latent_loom.stylegan2.latents import z_from_seed

from .conftest import make_clip, make_generator


def settings(**changes) -> AdaptSettings:
    return AdaptSettings(**({"source": "stone", "target": "mossy stone", "iterations": 3, "batch": 2} | changes))


@pytest.mark.parametrize("input_map", [0.0, 1.0])
def test_before_training_both_generators_give_bit_identical_pictures_and_a_finite_loss(clip, input_map):
    run = Adaptation(make_generator(input_map=input_map), settings(mixing=0.5), clips=[clip])
    source, adapted = run.subject.pair(run.draw(), run.tensors)
    assert torch.equal(source, adapted)
    loss = directional_loss(clip.embed_images(source), clip.embed_images(adapted), run.aims[0].direction)
    assert abs(loss.item() - 1) < 1e-4  # CLIP's own bits differ a little with and without gradient
    loss.backward()
    gradients = [t.grad for t in run.tensors.values() if t.grad is not None]
    assert gradients and all(torch.isfinite(g).all() for g in gradients)
    assert max(g.abs().max() for g in gradients) > 0


@pytest.mark.parametrize("method", METHOD_NAMES)
def test_every_method_trains_and_leaves_the_source_as_it_was(generator, clip, method):
    before = {k: v.clone() for k, v in generator.state_dict().items()}
    style = adapt(generator, settings(method=method), clips=[clip])
    assert all(torch.equal(before[k], v) for k, v in generator.state_dict().items())
    assert style.info.method == method and style.info.iterations == 3
    assert max(d.abs().max() for d in style.deltas().values()) > 0
    assert set(style.info.measures) == {"quality", "direction", "retention", "pinned", "structure"}


def test_a_conditional_generator_is_adapted_and_measured_on_all_its_classes(clip):
    generator = make_generator(c_dim=3)
    style = adapt(generator, settings(), clips=[clip])
    assert style.info.iterations == 3
    ws, _ = fixed_latents(generator, 6)
    z = torch.stack([z_from_seed(FIRST_SEED + i, 8) for i in range(6)])
    assert torch.allclose(ws, generator.map(z, labels=torch.eye(3).repeat(2, 1)).detach(), atol=1e-5)


def test_training_raises_the_direction_score_on_latents_that_it_did_not_train(generator, clip):
    run = Adaptation(generator, settings(batch=4), clips=[clip], judge=clip)
    assert abs(run.snapshot().measures.direction) < 1e-3
    for _ in range(40):
        run.step()
    assert run.snapshot().measures.direction > 0.05


def test_the_same_seed_gives_the_same_style_bit_for_bit(generator, clip):
    one, two = (adapt(generator, settings(), clips=[clip]) for _ in range(2))
    other = adapt(generator, settings(seed=1), clips=[clip])
    assert all(torch.equal(one.tensors[k], two.tensors[k]) for k in one.tensors)
    assert not all(torch.equal(one.tensors[k], other.tensors[k]) for k in one.tensors)


def test_the_saved_style_gives_the_picture_that_was_trained(generator, clip):
    run = Adaptation(generator, settings(), clips=[clip])
    for _ in range(3):
        run.step()
    style = run.style(run.snapshot(), name="x")
    drawn = run.draw()
    folded = blend(generator, [(style, 1.0)]).synthesize(drawn.ws, drawn.inputs)
    assert torch.allclose(folded, run.subject.pictures(drawn, run.descent.average), atol=1e-5)


def test_cancel_takes_effect_within_one_iteration_and_the_last_snapshot_is_kept(generator, clip):
    seen, kept = [], []
    job = Job(seen.append, lambda: len(seen) >= 26)
    with pytest.raises(Cancelled):
        adapt(generator, settings(iterations=100), clips=[clip], job=job, keep=lambda style, *_: kept.append(style))
    assert [p.done for p in seen] == [0, *range(1, 26)]
    assert [style.info.iterations for style in kept] == [25]


def test_progress_has_numbers_and_previews_at_the_pace_asked_for(generator, clip):
    seen = []
    adapt(generator, settings(iterations=5, preview_every=2), clips=[clip], job=Job(seen.append))
    assert [p.done for p in seen] == [1, 2, 3, 4, 5] and all(p.total == 5 for p in seen)
    assert [p.done for p in seen if p.preview is not None] == [1, 2, 4, 5]
    assert seen[0].preview.shape == (64, 128, 3) and seen[0].preview.dtype == "uint8"
    assert set(seen[0].numbers) == {"loss", "direction"}


def test_a_step_that_is_not_finite_is_undone_at_half_the_rate(generator, clip, monkeypatch):
    run = Adaptation(generator, settings(), clips=[clip])
    run.step()
    kept = {k: t.detach().clone() for k, t in run.tensors.items()}
    rate, real, calls = run.descent.learning_rate, run.descent._try_step, []

    def first_bad(gradients):
        calls.append(1)
        numbers = real(gradients)
        if len(calls) == 1:
            with torch.no_grad():
                next(iter(run.tensors.values())).fill_(float("nan"))
            assert not all(torch.equal(kept[k], t) for k, t in run.tensors.items())
        return numbers

    monkeypatch.setattr(run.descent, "_try_step", first_bad)
    run.step()
    assert len(calls) == 2 and run.descent.learning_rate == rate / 2
    assert all(torch.isfinite(t).all() for t in run.tensors.values())


def test_a_style_is_the_average_of_the_last_steps(generator, clip):
    run = Adaptation(generator, settings(), clips=[clip])
    name, expected = next(iter(run.tensors)), torch.zeros(())
    for step in range(1, 6):
        run.step()
        expected = torch.lerp(expected, run.tensors[name].detach(), max(0.05, 10 / (step + 10)))
    style = run.style(run.snapshot(), name="x")
    assert torch.allclose(style.tensors[name], expected, atol=1e-7)
    assert not torch.allclose(style.tensors[name], run.tensors[name], atol=1e-4)


def test_an_adaptation_that_keeps_diverging_says_so_and_keeps_the_last_good_tensors(generator, clip, monkeypatch):
    run = Adaptation(generator, settings(), clips=[clip])
    kept = {k: t.detach().clone() for k, t in run.tensors.items()}
    monkeypatch.setattr(run.descent, "_try_step", lambda gradients: {"loss": float("nan")})
    with pytest.raises(NonFinite, match="smaller learning rate"):
        run.step()
    assert all(torch.equal(kept[k], t) for k, t in run.tensors.items())


def test_a_word_the_clip_does_not_know_is_named_with_near_ones(generator, clip):
    with pytest.raises(PromptError, match=r"'mosy' \(near it: mossy.*full CLIP"):
        adapt(generator, settings(target="mosy stone"), clips=[clip])


def test_prompts_that_mean_the_same_to_the_clip_are_refused(generator, clip):
    with pytest.raises(PromptError, match="mean the same"):
        adapt(generator, settings(source="stone", target="stone!"), clips=[clip])


def test_two_clips_are_both_listened_to(generator, clip):
    run = Adaptation(generator, settings(in_domain=0.0, contrast=0.0, gamut=0.0), clips=[clip, make_clip("second")])
    assert run.step()["loss"] == pytest.approx(2.0, abs=1e-3)


def snapshots(*scores: tuple[float, float]) -> list[Snapshot]:
    return [
        Snapshot(
            iterations=25 * (i + 1),
            tensors={},
            measures=Measures(quality=0, direction=d, retention=r, pinned=0, structure=0),
        )
        for i, (d, r) in enumerate(scores)
    ]


def test_auto_stops_at_a_plateau_or_when_diversity_stays_under_its_floor():
    rising = [(0.1 * i, 1.0) for i in range(1, 7)]
    resting = [*rising, (0.6, 1.0), (0.605, 1.0)]
    assert not finished(snapshots(*rising), 0.8)
    assert not finished(snapshots(*resting), 0.8)
    assert finished(snapshots(*resting, (0.59, 1.0)), 0.8)
    assert finished(snapshots((0.1, 1), (0.5, 0.7), (0.5, 0.6), (0.6, 0.7)), 0.8)


def test_auto_waits_for_diversity_that_comes_back():
    assert not finished(snapshots((0.5, 0.7), (0.5, 0.6)), 0.8)
    assert not finished(snapshots((0.1, 1), (0.5, 0.7), (0.5, 0.6), (0.6, 0.9)), 0.8)


def test_auto_goes_back_to_the_best_snapshot_that_keeps_its_diversity():
    assert best(snapshots((0.1, 1), (0.5, 0.9), (0.7, 0.7)), 0.8).iterations == 50
    assert best(snapshots((0.6, 0.5), (0.7, 0.4)), 0.8).iterations == 25
