"""The same bits every time, on a GPU too: PyTorch's deterministic algorithms, strictly.

With warnings alone PyTorch would go on with operations that do not repeat themselves (the gradient of its fused
attention among them), so that is never asked for: what has no repeatable form stops the run with a sentence. cuBLAS
keeps its order of summation only with a workspace of fixed size, which it reads from the environment.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import torch

from ..errors import BadRequest

WORKSPACE = ("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
"""8 buffers of 4 MiB."""


@contextlib.contextmanager
def repeatable(wanted: bool) -> Iterator[None]:
    """Deterministic algorithms while this lasts, where they are wanted; what held before holds again afterwards.

    Raises  BadRequest at an operation that has no repeatable form on this device
    """
    if not wanted:
        yield
        return
    os.environ.setdefault(*WORKSPACE)
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        yield
    except RuntimeError as error:
        if "deterministic" not in str(error):
            raise
        raise BadRequest(
            "This device has no repeatable form of an operation that the adaptation needs; leave deterministic out. "
            f"({str(error).splitlines()[0]})"
        ) from error
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
