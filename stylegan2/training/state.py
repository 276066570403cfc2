"""The state of a training: on the disk whole or not at all, and random numbers that need none."""

from __future__ import annotations

import contextlib
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..errors import CheckpointError


def save_state(state: dict[str, object], path: Path) -> None:
    """Write a checkpoint, whole or not at all."""
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    partial.replace(path)


@contextlib.contextmanager
def read_state(path: Path) -> Iterator[dict[str, Any]]:
    """`with read_state(path) as state:` take up a checkpoint of `save_state`, on the CPU.

    Raises  CheckpointError for a damaged file, and where what is done with it says that it does not fit
    """
    try:
        yield torch.load(path, weights_only=True, map_location="cpu")
    except (RuntimeError, KeyError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise CheckpointError(
            f"The checkpoint {path.name!r} is damaged or was made with other settings; train with the settings "
            "that it was made with, or begin anew elsewhere."
        ) from error


def step_rng(seed: int, step: int, rank: int = 0) -> torch.Generator:
    """The random numbers of one step in one process: nothing to keep, so a resumed run has those of an unbroken one."""
    state = np.random.SeedSequence([seed, step, rank]).generate_state(1)[0]
    return torch.Generator().manual_seed(int(state))
