"""What else moved, and what is kept from moving."""

from __future__ import annotations

import pytest
import torch
from latent_loom.backend.adaptation import Adaptation, AdaptSettings
from latent_loom.backend.adaptation.aims import Pictures, find_aim, text_direction
from latent_loom.backend.adaptation.bias import probe_direction, probes_for, project_out, shifts
from latent_loom.backend.errors import PromptError


def test_what_is_kept_fixed_is_no_part_of_the_direction_any_more(clip):
    direction = text_direction(clip, "stone", "mossy stone")
    for words in (["green"], ["green", "wet"], ["green", "green"]):
        left = project_out(direction, clip, "stone", words)
        assert left.norm().item() == pytest.approx(1, abs=1e-5)
        for word in words:
            assert abs((left @ probe_direction(clip, "stone", word)).item()) < 1e-4
    assert torch.equal(project_out(direction, clip, "stone", []), direction)


def test_the_run_aims_where_nothing_of_the_fixed_words_is(generator, clip):
    settings = AdaptSettings(source="stone", target="mossy stone", keep_fixed=("green",), batch=2)
    run = Adaptation(generator, settings, clips=[clip], judge=clip)
    assert abs((run.aims[0].direction @ probe_direction(clip, "stone", "green")).item()) < 1e-4


def test_keeping_the_target_itself_fixed_is_refused(clip):
    settings = AdaptSettings(source="stone", target="mossy stone", keep_fixed=("mossy",))
    with pytest.raises(PromptError, match="Nothing of the target is left when 'mossy' must stay"):
        find_aim(clip, settings, Pictures(), torch.zeros(2, 3, 32, 32))


@pytest.mark.parametrize(("word", "said"), [("sunny", "does not know"), ("", "empty"), ("{}", "empty")])
def test_a_fixed_word_that_says_nothing_is_refused(clip, word, said):
    with pytest.raises(PromptError, match=said):
        project_out(text_direction(clip, "stone", "mossy stone"), clip, "stone", [word])


def test_a_shift_is_the_mean_move_along_a_probe_in_the_source_s_own_spread(clip):
    p = probe_direction(clip, "stone", "wet")
    before = torch.nn.functional.normalize(torch.randn(8, len(p), generator=torch.Generator().manual_seed(0)), dim=1)
    after = before + 0.5 * p
    found = shifts(clip, before, after, source="stone", direction=p, probes=("green", "wet", "stone"))
    wet = next(shift for shift in found if shift.probe == "wet")
    assert wet.shift == pytest.approx(0.5 / (before @ p).std().item(), rel=1e-2) and wet.asked == pytest.approx(1)
    assert [abs(s.shift) for s in found] == sorted((abs(s.shift) for s in found), reverse=True)
    assert "stone" not in {s.probe for s in found}, "the source's own word moves nothing"


def test_a_material_is_a_probe_of_its_own_and_a_gap_is_filled_with_the_source(clip):
    wood = (clip.embed_prompt("wood") - clip.embed_prompt("stone")).mean(0)
    covered = (clip.embed_prompt("stone covered with moss") - clip.embed_prompt("stone")).mean(0)
    for probe, expected in (("wood", wood), ("{} covered with moss", covered)):
        assert torch.allclose(probe_direction(clip, "stone", probe), expected / expected.norm(), atol=1e-5)


def test_only_words_that_the_clip_knows_are_probes_each_once(clip):
    probes = probes_for(clip)
    assert {"mossy", "green", "wood"} <= set(probes) and len(set(probes)) == len(probes)
    assert not any(clip.unknown_words(probe) for probe in probes)
