from __future__ import annotations

import pytest
import torch
from latent_loom.stylegan2.training.recorded import WARM_UP, Losses, Recorded

GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")


class Sum:
    """Adds what it is given to a weight, times its key: a step that changes something."""

    def __init__(self, device: str) -> None:
        self.weight, self.runs = torch.zeros(3, device=device), 0
        self.recorded = Recorded(self.add, torch.device(device))

    def add(self, key, tensors):
        self.runs += 1
        self.weight += key * tensors[0]
        return self.weight.sum()


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=GPU)])
def test_every_call_counts_once_whether_it_is_run_or_replayed(device):
    step = Sum(device)
    results = [
        step.recorded(key, [torch.full((3,), float(n), device=device)]).item() for n in range(8) for key in (1, 2)
    ]
    assert step.weight.tolist() == [3 * sum(range(8))] * 3
    assert results[-1] == 9 * sum(range(8))
    assert step.runs == (16 if device == "cpu" else 2 * (WARM_UP + 1))


@GPU
def test_what_cannot_be_recorded_goes_on_as_it_is_written(caplog):
    def waits(key, tensors):
        return tensors[0] * tensors[0].sum().item()

    recorded = Recorded(waits, torch.device("cuda"))
    for n in range(6):
        assert recorded("", [torch.full((2,), float(n), device="cuda")]).tolist() == [2.0 * n * n] * 2
    assert "not recorded" in caplog.text


def test_losses_are_numbers_by_name():
    losses = Losses(("loss", "pixel"), torch.tensor([1.5, 0.25]))
    assert dict(losses) == {"loss": 1.5, "pixel": 0.25} and {**losses, "more": 1}["pixel"] == 0.25
