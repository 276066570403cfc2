"""Training by several processes, each with its share of a batch: gradients are averaged, so that all stay equal.

Gradients are reduced by hand, after the backward pass, since a step runs parts of both networks in an order of its own.
`torchrun` starts the processes and says in their environment who they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
import torch.distributed as dist
from torch import Tensor, nn


class Processes:
    """This process among `count`; rank 0 writes the files."""

    def __init__(self, rank: int = 0, count: int = 1) -> None:
        self.rank, self.count = rank, count

    @property
    def first(self) -> bool:
        return self.rank == 0

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace every gradient by its mean over the processes, in one message."""
        gradients = [p.grad for p in parameters if p.grad is not None]
        if self.count > 1 and gradients:
            flat = self._sum(torch.cat([g.flatten() for g in gradients])) / self.count
            for gradient, mean in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
                gradient.copy_(mean.view_as(gradient))

    def mean(self, value: Tensor) -> float:
        """The mean of a scalar over the processes."""
        return (self._sum(value.detach().clone()) / self.count).item() if self.count > 1 else value.item()

    def any(self, flag: bool, device: torch.device | str = "cpu") -> bool:
        """Whether any process has the flag: all must stop at the same step, or the others would wait for ever."""
        return self._sum(torch.tensor(float(flag), device=device)).item() > 0 if self.count > 1 else flag

    @staticmethod
    def _sum(value: Tensor) -> Tensor:
        dist.all_reduce(value)
        return value

    def leave(self) -> None:
        """Part from the others, once all are here: who closes early breaks the last message of who is late."""
        if self.count > 1:
            dist.barrier()
            dist.destroy_process_group()


ALONE = Processes()


def join(environment: Mapping[str, str], device: torch.device | str) -> Processes:
    """The processes that `torchrun` started, met by this one; `ALONE` where it did not."""
    count = int(environment.get("WORLD_SIZE", "1"))
    if count < 2:
        return ALONE
    dist.init_process_group("nccl" if torch.device(device).type == "cuda" else "gloo")
    return Processes(dist.get_rank(), count)
