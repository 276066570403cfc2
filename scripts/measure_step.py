"""What an adaptation's step owes to two of its parts (docs/LOG.md): memory that is kept, and copies that are not.

    python scripts/measure_step.py [--steps 8] [--threads 1]

Seconds and page faults of a step of the default method (256 px, ViT-B/32, batch 2, random weights), with freed memory
going back to the system and staying, in turn. And what the backward pass of that CLIP keeps beside its weights in mixed
precision, with its own layers and with ours.
"""

from __future__ import annotations

import argparse
import contextlib
import resource
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from latent_loom.backend.adaptation.tower import pack_tower
from latent_loom.backend.cli.bench_adaptation_worker import ours, random_clip
from latent_loom.backend.heap import freed_memory_kept

SETTINGS = {"device": "cpu", "size": 256, "batch": 2, "fields": {"method": "auto"}}
TURNS = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=8, help="timed for each, of which the median counts")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    for packed in (False, True):
        print(f"kept for the backward pass, {'our' if packed else 'its own'} layers: {kept_mib(packed):.0f} MiB")
    step = ours(SETTINGS)
    found: dict[str, list[tuple[float, int]]] = {"goes back": [], "stays": []}
    for _ in range(TURNS):
        found["goes back"] += timed(step, args.steps // TURNS)
        with freed_memory_kept():
            found["stays"] += timed(step, args.steps // TURNS)
    for name, steps in found.items():
        seconds, faults = (statistics.median(column) for column in zip(*steps, strict=True))
        print(f"freed memory {name}: {seconds:.2f} s a step, {faults:,.0f} page faults")


def timed(step: Callable[[], Any], count: int) -> list[tuple[float, int]]:
    """(seconds, page faults) of each of so many steps, after one that is not counted."""
    step()
    return [once(step) for _ in range(count)]


def once(step: Callable[[], Any]) -> tuple[float, int]:
    faults, began_s = resource.getrusage(resource.RUSAGE_SELF).ru_minflt, time.perf_counter()
    step()
    return time.perf_counter() - began_s, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults


def kept_mib(packed: bool) -> float:
    """What autograd keeps of a batch of two pictures, the tower's own parameters left out."""
    tower = random_clip("cpu").visual
    if packed:
        pack_tower(tower)
    own = {p.untyped_storage().data_ptr() for p in tower.parameters()}
    kept: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage
        return tensor

    images = torch.randn(2, 3, 224, 224, requires_grad=True)
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor))
        stack.enter_context(torch.autocast("cpu", dtype=torch.bfloat16))
        tower(images)
    return sum(storage.nbytes() for storage in kept.values()) / 2**20


if __name__ == "__main__":
    main()
