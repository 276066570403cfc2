"""The switch for the same bits on a GPU, as far as a processor shows it."""

from __future__ import annotations

import os

import pytest
import torch
from latent_loom.backend.adaptation import AdaptSettings, adapt
from latent_loom.backend.adaptation.repeatable import repeatable
from latent_loom.backend.errors import BadRequest
from latent_loom.backend.job import Job


def modes() -> tuple[bool, bool]:
    return torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()


@pytest.mark.parametrize("method", ["lowrank", "style", "layers", "full"])
def test_a_repeatable_run_is_strict_while_it_lasts_and_not_afterwards(generator, clip, method):
    seen, settings = [], AdaptSettings(
        source="stone", target="mossy stone", batch=2, iterations=2, method=method, deterministic=True
    )  # fmt: skip
    adapt(generator, settings, clips=[clip], judge=clip, job=Job(lambda progress: seen.append(modes()), lambda: False))
    assert set(seen) == {(True, False)}  # warnings alone would let operations pass that do not repeat themselves
    assert modes() == (False, False)


def test_what_held_before_holds_again(monkeypatch):
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        with repeatable(True):
            assert modes() == (True, False) and os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
        assert modes() == (True, True)
        with repeatable(False):
            assert modes() == (True, True)
    finally:
        torch.use_deterministic_algorithms(False)


def test_an_operation_without_a_repeatable_form_is_refused_in_a_sentence():
    with pytest.raises(BadRequest, match="leave deterministic out"), repeatable(True):
        torch.zeros(3).put_(torch.tensor([0]), torch.ones(1))
    assert modes() == (False, False)


def test_other_errors_stay_what_they_are():
    with pytest.raises(RuntimeError, match="other") as raised, repeatable(True):
        raise RuntimeError("other")
    assert not isinstance(raised.value, BadRequest)
