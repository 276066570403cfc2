"""A training step as a GPU records it: nothing in it waits, and its inputs have the same shapes every time."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch
from latent_loom.backend.adaptation import Adaptation, AdaptSettings
from latent_loom.backend.adaptation.gradients import Gradients
from latent_loom.backend.adaptation.repeatable import repeatable
from torch.utils._python_dispatch import TorchDispatchMode

from .conftest import make_clip, make_generator

GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
ALL_LOSSES = {"patch": 0.3, "global_loss": 0.2, "decay": 0.1, "diversity": 1.0, "in_domain": 0.5, "contrast": 0.3}
WAITS = ("_local_scalar_dense", "nonzero", "lift_fresh", "is_nonzero", "_unique")
"""Operators that ask a GPU for a number, or bring one there."""


class Waiting(TorchDispatchMode):
    """Notes every operator that a recorded step must not have."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
        if any(name in str(operator) for name in WAITS):
            self.found.append(str(operator))
        return operator(*args, **(kwargs or {}))


class Recording(Gradients):
    """Takes the way of a GPU, on which a function that is recorded simply runs here."""

    @property
    def _may_record(self) -> bool:
        return self.parts == 1


@pytest.fixture(scope="module")
def clip():
    return make_clip()


def begun(clip, device="cpu", **changes) -> Adaptation:
    settings = AdaptSettings(source="stone", target="mossy stone", batch=4, iterations=9, **changes)
    return Adaptation(make_generator().to(device), settings, clips=[clip], judge=clip)


def stepped(run: Adaptation, count: int = 6) -> dict[str, torch.Tensor]:
    for _ in range(count):
        run.step()
    return {name: t.detach().clone() for name, t in run.tensors.items()}


@pytest.mark.parametrize("method", ["style", "lowrank", "layers", "full"])
def test_nothing_in_a_step_waits_for_its_device(clip, method):
    run = begun(clip, method=method, **ALL_LOSSES)
    run.step()
    drawn, rng = run.draw(), torch.Generator().manual_seed(0)
    views = run.objective.draw(4, run.subject.sides, rng, run.subject.device)
    with Waiting() as waiting:
        run.gradients.of_batch(drawn, views, run.tensors)
    assert not waiting.found


def test_the_numbers_of_a_step_have_the_same_shapes_every_time(clip):
    run, rng = begun(clip, mixing=0.9, **ALL_LOSSES), torch.Generator().manual_seed(0)

    def shapes() -> list[torch.Size]:
        views = run.objective.draw(4, run.subject.sides, rng, run.subject.device)
        return [t.shape for t in [*run.subject.tensors_of(run.draw()), *views.tensors]]

    first = shapes()
    assert len(first) > 5 and all(shapes() == first for _ in range(20))


@pytest.mark.parametrize("changes", [ALL_LOSSES, {"method": "layers", "select_every": 3}])
def test_a_step_is_the_same_by_way_of_a_record(clip, changes):
    plain, recorded = begun(clip, **changes), begun(clip, **changes)
    recorded.gradients = Recording(recorded.subject, recorded.settings, recorded.objective)
    wanted, made = stepped(plain), stepped(recorded)
    assert all(torch.equal(wanted[name], made[name]) for name in wanted)


def test_what_was_recorded_goes_with_its_run(clip):
    run = begun(clip)
    run.gradients = Recording(run.subject, run.settings, run.objective)
    stepped(run, 2)
    kept = weakref.ref(run.gradients._recording)
    assert kept() is not None
    gc.disable()
    try:
        run.gradients = Recording(run.subject, run.settings, run.objective)
        assert kept() is None
    finally:
        gc.enable()


@GPU
@pytest.mark.parametrize("changes", [ALL_LOSSES, {"method": "layers", "select_every": 5}, {"method": "full"}])
def test_on_a_gpu_a_replayed_step_is_the_one_that_was_written(changes, caplog):
    def trained(record: bool) -> dict[str, torch.Tensor]:
        clip = make_clip()
        clip.model.cuda()
        clip._mean, clip._std = clip._mean.cuda(), clip._std.cuda()
        with repeatable(True):
            run = begun(clip, "cuda", precision="float32", **changes)
            if not record:
                run.gradients = Written(run.subject, run.settings, run.objective)
            return stepped(run, 12)

    wanted, made = trained(record=False), trained(record=True)
    assert "not recorded" not in caplog.text
    for name in wanted:
        assert torch.allclose(wanted[name], made[name], rtol=1e-3, atol=1e-4), name


class Written(Gradients):
    """Never records."""

    @property
    def _may_record(self) -> bool:
        return False
