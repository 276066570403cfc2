"""How an adapted picture is to be read: the texts, their goals, and the loss."""

from __future__ import annotations

import pytest
import torch
from latent_loom.backend.adaptation import Adaptation, AdaptSettings
from latent_loom.backend.adaptation.clip import unit
from latent_loom.backend.adaptation.reading import Reading, find_reading

from .conftest import make_generator


def reading(clip, kinds=(), **asked) -> Reading:
    found = find_reading(clip, AdaptSettings(**({"source": "stone", "target": "mossy stone"} | asked)), kinds)
    assert found is not None
    return found


def texts(clip, *prompts: str) -> torch.Tensor:
    return unit(torch.stack([clip.embed_prompt(prompt).mean(0) for prompt in prompts]))


def test_the_target_is_written_out_for_every_kind_that_the_clip_knows(clip):
    found = reading(clip, ("brick", "zebra", "wood"), target="wet Stone with moss", negatives=(("rusty stone", 1.0),))
    assert torch.allclose(found.kinds, texts(clip, "brick", "wood"))
    answers = ("wet brick with moss", "wet wood with moss", "brick", "wood", "rusty brick", "rusty wood")
    assert torch.allclose(found.answers, texts(clip, *answers))
    assert found.goals.tolist() == [[1, 0, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0]]


def test_without_kinds_or_where_a_target_does_not_name_the_source_the_prompts_stand_as_they_are(clip):
    for found in (
        reading(clip),
        reading(clip, ("brick", "wood"), target="mossy brick"),
        reading(clip, ("brick", "wood"), source="wood", target="woodwork and stone"),  # the word alone counts
    ):
        assert len(found.kinds) == 1 and len(found.answers) == 2 and found.goals.tolist() == [[1, 0]]


def test_several_targets_share_the_goal_by_their_weights(clip):
    found = reading(clip, ("brick", "wood"), targets=(("snowy stone", 3.0),))
    assert found.goals.tolist() == [[0.25, 0, 0.75, 0, 0, 0], [0, 0.25, 0, 0.75, 0, 0]]


def test_pictures_alone_ask_for_no_reading(clip):
    assert find_reading(clip, AdaptSettings(images=("a.png",)), ("brick",)) is None


def test_the_loss_is_the_divergence_from_the_target_of_the_picture_s_own_kind():
    kinds, targets = torch.eye(4)[:2], torch.eye(4)[2:]
    answers = torch.cat([targets, kinds])
    found = Reading(kinds=kinds, answers=answers, goals=torch.eye(4)[:2], temperature=50.0)
    brick, wood = kinds
    mossy_brick, mossy_wood = targets
    assert found.loss(brick[None], mossy_brick[None]).item() == pytest.approx(0, abs=1e-3)
    for wrong in (mossy_wood, brick, wood):  # another kind, or not changed at all
        assert found.loss(brick[None], wrong[None]).item() == pytest.approx(50, abs=1e-3)
    both = unit(brick + wood)[None]  # of a picture between two kinds, half of each is asked for
    assert found.loss(both, unit(mossy_brick + mossy_wood)[None]).item() == pytest.approx(0, abs=1e-3)
    halves = found.loss(torch.stack([brick, brick]), torch.stack([mossy_brick, brick]))
    assert halves.item() == pytest.approx(25, abs=1e-3)


def test_a_run_reads_the_kinds_that_its_generator_names(clip):
    generator = make_generator()
    generator.kind_names = ("brick", "wood")
    run = Adaptation(generator, AdaptSettings(source="stone", target="mossy stone", batch=2), clips=[clip], judge=clip)
    assert [len(found.kinds) for found in run.objective.readings if found] == [2]
