"""A training step on a GPU as one CUDA graph: launching its thousands of small kernels takes longer than they do.

Source  https://docs.pytorch.org/docs/stable/notes/cuda.html#whole-network-capture
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

WARM_UP = 3
"""Times that a function runs as it is written before it is recorded: libraries choose their kernels in them."""
log = logging.getLogger(__name__)


class _Record(NamedTuple):
    graph: torch.cuda.CUDAGraph
    places: list[Tensor]
    result: Tensor


class Recorded:
    """A function (key, tensors) -> tensor, which changes weights and never waits for the GPU: recorded, then replayed.

    A key stands for one course of the function, with tensors of the same shapes every time; each is recorded apart. On
    a processor the function simply runs. Where recording fails it goes on running as it is written, and says so.
    What is returned is overwritten by the next call.
    """

    def __init__(self, function: Callable[[Hashable, Sequence[Tensor]], Tensor], device: torch.device) -> None:
        self._function, self._records = function, dict[Hashable, _Record]()
        self._calls: Counter[Hashable] = Counter()
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self._pool = torch.cuda.graph_pool_handle() if self._stream else None

    def __call__(self, key: Hashable, tensors: Sequence[Tensor]) -> Tensor:
        self._calls[key] += 1
        if self._stream is None:
            return self._function(key, tensors)
        if self._calls[key] <= WARM_UP:
            return self._aside(key, tensors)
        if key not in self._records:
            try:
                self._records[key] = self._record(key, tensors)
            except RuntimeError as error:
                log.warning("Steps are not recorded (%s); training goes on, more slowly.", str(error).splitlines()[0])
                self._stream = None
                return self._function(key, tensors)
        record = self._records[key]
        torch._foreach_copy_(record.places, list(tensors))
        record.graph.replay()
        return record.result

    def _aside(self, key: Hashable, tensors: Sequence[Tensor]) -> Tensor:
        """On a stream of its own, as what is to be recorded has to run before."""
        assert self._stream is not None
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            result = self._function(key, tensors)
        torch.cuda.current_stream().wait_stream(self._stream)
        return result

    def _record(self, key: Hashable, tensors: Sequence[Tensor]) -> _Record:
        """Recording runs nothing: the first replay does."""
        places, graph = [tensor.clone() for tensor in tensors], torch.cuda.CUDAGraph()
        # what other threads do meanwhile, a texture for somebody else, is theirs
        with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
            result = self._function(key, places)
        return _Record(graph, places, result)


class Losses(Mapping[str, float]):
    """Numbers by name that may still be on their way; reading them waits for the device."""

    def __init__(self, names: Sequence[str], numbers: Tensor) -> None:
        self._names, self._numbers = tuple(names), numbers

    def __getitem__(self, name: str) -> float:
        return dict(zip(self._names, self._numbers.tolist(), strict=True))[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
