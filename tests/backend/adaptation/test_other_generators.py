"""The interface that a generator needs, proved by one that is no StyleGAN2."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from latent_loom.backend.adaptation import Adaptation, AdaptSettings, adapt
from latent_loom.backend.adaptation.style import Style
from latent_loom.backend.errors import BadRequest

from .other_generator import NoisySubject


def settings(**changes) -> AdaptSettings:
    return AdaptSettings(**({"source": "stone", "target": "mossy stone", "iterations": 2, "batch": 4} | changes))


@pytest.mark.parametrize("method", ["full", "lowrank"])
def test_another_kind_of_generator_is_adapted_saved_and_keeps_its_weights(clip, tmp_path, method):
    subject = NoisySubject()
    before = subject.hash()
    style = adapt(subject, settings(method=method), clips=[clip], judge=clip, generator_name="noisy")
    style.save(tmp_path / "s.safetensors")
    assert subject.hash() == before == Style.load(tmp_path / "s.safetensors").info.generator_hash
    assert max(delta.abs().max() for delta in style.deltas().values()) > 0


def test_what_else_a_layer_has_is_changed_by_low_rank_factors_or_whole_where_it_is_a_vector(clip):
    subject = NoisySubject()
    plain = subject.layers()
    subject.layers = lambda: [replace(layer, bias=None, others=(layer.bias, "first.weight")) for layer in plain[1:]]
    tensors = Adaptation(subject, settings(method="lowrank", rank=2), clips=[clip], judge=clip).tensors
    assert tensors["second.bias"].shape == (12,) and tensors["colour.bias"].shape == (3,)
    assert tensors["first.weight.lora_up"].shape == (12, 2)
    assert tensors["first.weight.lora_down"].shape == (2, 6, 3, 3)


def test_training_moves_another_kind_of_generator_towards_the_target(clip):
    run = Adaptation(NoisySubject(), settings(method="full", batch=6), clips=[clip], judge=clip)
    assert abs(run.snapshot().measures.direction) < 1e-3
    for _ in range(30):
        run.step()
    assert run.snapshot().measures.direction > 0.05


def test_identical_weights_give_it_bit_identical_pairs(clip):
    run = Adaptation(NoisySubject(), settings(method="lowrank"), clips=[clip], judge=clip)
    assert torch.equal(*run.subject.pair(run.draw(), run.tensors))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"method": "style"}, "no styles"),
        ({"method": "layers", "top_layers": 1}, "cannot be told apart"),
        ({"tile": "x"}, "StyleGAN2"),
    ],
)
def test_what_such_a_generator_cannot_do_is_refused_in_a_sentence(clip, change, why):
    with pytest.raises(BadRequest, match=why):
        Adaptation(NoisySubject(), settings(**change), clips=[clip], judge=clip).step()
