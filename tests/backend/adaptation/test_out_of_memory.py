"""A training step that meets a full device: other models go, activations are computed twice, the batch is divided."""

from __future__ import annotations

import pytest
import torch
from latent_loom.backend.adaptation import Adaptation, AdaptSettings
from latent_loom.backend.adaptation.gradients import Gradients
from latent_loom.backend.errors import OutOfMemory
from latent_loom.backend.models.memory import MODELS

from .conftest import make_clip, make_generator


class Short(Gradients):
    """Gradients of which the next `times` attempts fail in the middle, after random numbers were drawn."""

    times = 0

    def _once(self, tensors, rng):
        if self.times > 0:
            type(self).times -= 1
            self.subject.draw(self.settings.batch, rng)
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return super()._once(tensors, rng)


@pytest.fixture(scope="module")
def clip():
    return make_clip()


def begun(clip, batch=4) -> Adaptation:
    settings = AdaptSettings(source="stone", target="mossy stone", batch=batch, iterations=5)
    run = Adaptation(make_generator(), settings, clips=[clip], judge=clip)
    run.gradients = Short(run.subject, settings, run.objective)
    return run


def stepped(run, times) -> dict[str, torch.Tensor]:
    Short.times = times
    try:
        for _ in range(2):
            run.step()
    finally:
        Short.times = 0
    return run.tensors


@pytest.mark.parametrize("times", [1, 2])
def test_what_needs_less_memory_at_first_changes_no_bit(clip, times):
    plain, spared = begun(clip), begun(clip)
    wanted, made = stepped(plain, 0), stepped(spared, times)
    assert all(torch.equal(wanted[name], made[name]) for name in wanted)
    assert spared.gradients.freed and spared.subject.checkpointing == (times == 2) and spared.gradients.parts == 1


def test_other_models_are_let_go_first(clip):
    MODELS.device.get(("other",), lambda: torch.zeros(8))
    stepped(begun(clip), 1)
    assert len(MODELS.device) == 0


def test_then_the_batch_is_divided_and_stays_so(clip):
    run = begun(clip)
    drawn = []
    real = run.subject.pair
    run.subject.pair = lambda part, tensors: (drawn.append(len(part.ws)), real(part, tensors))[1]
    before = {name: t.clone() for name, t in run.tensors.items()}
    made = stepped(run, 3)
    assert run.gradients.parts == 2 and drawn == [2, 2, 2, 2]
    assert any(not torch.equal(before[name], made[name]) for name in made)
    assert all(t.isfinite().all() for t in made.values())


def test_where_one_picture_is_too_much_it_is_said_and_the_tensors_stay(clip):
    run = begun(clip)
    before = {name: t.detach().clone() for name, t in run.tensors.items()}
    Short.times = 1000
    try:
        with pytest.raises(OutOfMemory, match="even for one picture at a time; use a smaller --train-size"):
            run.step()
    finally:
        Short.times = 0
    assert all(torch.equal(before[name], t) for name, t in run.tensors.items()) and run.gradients.parts == 4
