"""How much of a node a task takes, and how many fit: arithmetic, without Ray.

On a cluster with GPUs everything runs on its GPUs, so that all pictures come from one kind of device. Several textures
share a GPU, because maps and encoding are the processor's: while one is encoded the others keep the GPU busy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

MOST_PER_GPU = 16
"""Processes on one GPU: maps and encoding take a core hundreds of times as long as generation a GPU (docs/scale.md)."""
CONTEXT_MIB = 600
"""Of CUDA in each process. Assumed: no GPU was measured."""
PROCESS_MIB = 900
"""A worker with PyTorch and a small generator: 724 MiB measured (`bench outputs`, docs/LOG.md)."""
MEMORY_STEP_MIB = 256
"""Ray keeps a set of workers for each kind of share; a few kinds are enough."""


@dataclass(frozen=True, kw_only=True)
class Node:
    """One node as Ray lists it. gpu_mib: memory of one of its GPUs; 0 = not known."""

    id: str
    name: str
    cpus: float
    gpus: float
    memory_mib: float
    gpu_mib: int = 0


@dataclass(frozen=True, kw_only=True)
class Share:
    """What a task is promised: cores, GPUs (a fraction of one), memory of the host."""

    cpus: int
    gpus: float
    memory_mib: int

    def options(self) -> dict[str, float]:
        """As Ray takes them."""
        return {"num_cpus": self.cpus, "num_gpus": self.gpus, "memory": self.memory_mib << 20}


def texture_share(nodes: Sequence[Node], predicted_mib: int, weights_mib: int) -> Share:
    """Of one texture: one core, and of a GPU as much as its memory or its share of the node's cores asks for.

    predicted_mib  what making it adds to a process (`memory.predicted_mib`)
    weights_mib    the generator's file
    """
    needed = predicted_mib + weights_mib
    memory_mib = math.ceil((needed + PROCESS_MIB) / MEMORY_STEP_MIB) * MEMORY_STEP_MIB
    with_gpus = [node for node in nodes if node.gpus >= 1]
    if not with_gpus:
        return Share(cpus=1, gpus=0, memory_mib=memory_mib)
    together = MOST_PER_GPU
    for node in with_gpus:
        together = min(together, int(node.cpus // node.gpus))
        if node.gpu_mib:
            together = min(together, node.gpu_mib // (needed + CONTEXT_MIB))
    return Share(cpus=1, gpus=_fraction(max(1, together)), memory_mib=memory_mib)


def style_share(nodes: Sequence[Node], threads: int, predicted_mib: int) -> Share:
    """Of training a style: a whole GPU; without GPUs as many cores as it has threads, or the largest node's."""
    memory_mib = math.ceil((predicted_mib + PROCESS_MIB) / MEMORY_STEP_MIB) * MEMORY_STEP_MIB
    if any(node.gpus >= 1 for node in nodes):
        return Share(cpus=1, gpus=1, memory_mib=memory_mib)
    most = max((int(node.cpus) for node in nodes), default=1)
    return Share(cpus=max(1, min(threads, most)), gpus=0, memory_mib=memory_mib)


def slots(nodes: Sequence[Node], share: Share) -> int:
    """How many tasks of that share fit on the cluster at once."""
    return sum(_slots(node, share) for node in nodes)


def _slots(node: Node, share: Share) -> int:
    fit = [node.cpus // share.cpus, node.memory_mib // share.memory_mib]
    if share.gpus >= 1:
        fit.append(node.gpus // share.gpus)
    elif share.gpus:
        fit.append(int(node.gpus) * (1 // share.gpus))
    return int(min(fit))


def _fraction(together: int) -> float:
    """1/together in Ray's steps of a ten-thousandth, rounded down so that `together` of them fit."""
    return 1.0 if together == 1 else math.floor(10_000 / together) / 10_000
