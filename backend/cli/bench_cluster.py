"""Part of `latent-loom bench outputs`: a batch on a Ray cluster of this machine's cores, beside one node of it.

Nodes are processes of this machine with one core each, started through Ray's own tool for that. What is measured:
seconds of an item on one node and on two; and of tiny items, where almost all is overhead, beside the batch here.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..models.store import Store

TINY_PX = 16
STORE_BYTES = 80 << 20


def clusters(store: Store, generator: str, *, px: int, count: int, tiny: int, scratch: Path) -> dict[str, Any]:
    """{one_s, two_s: seconds of a px x px item with all maps; speedup; overhead_s: of a tiny item; cores}.

    overhead_s  wall time of a tiny item on one node less that of the same item in a batch here
    """
    from ..cluster.connect import load_ray

    load_ray()
    from ray.cluster_utils import Cluster

    row: dict[str, Any] = {"px": px, "count": count, "cores": len(os.sched_getaffinity(0))}
    made = Cluster()
    try:
        made.add_node(num_cpus=0, include_dashboard=False, object_store_memory=STORE_BYTES)
        made.add_node(num_cpus=1, object_store_memory=STORE_BYTES)
        row["one_s"] = _seconds(store, generator, px, count, "all", made.address, scratch / "one")
        there_s = _seconds(store, generator, TINY_PX, tiny, "color", made.address, scratch / "tiny")
        here_s = _seconds(store, generator, TINY_PX, tiny, "color", None, scratch / "here")
        row |= {"tiny_s": there_s, "tiny_here_s": here_s, "overhead_s": there_s - here_s}
        made.add_node(num_cpus=1, object_store_memory=STORE_BYTES)
        row["two_s"] = _seconds(store, generator, px, count, "all", made.address, scratch / "two")
    finally:
        made.shutdown()
    return row | {"speedup": row["one_s"] / row["two_s"]}


def _seconds(store: Store, generator: str, px: int, count: int, maps: str, address: str | None, scratch: Path) -> float:
    """Of an item of a batch, without the start of the nodes' processes, which a first small batch bears."""
    from contextlib import nullcontext

    from ..cluster.connect import connected
    from ..cluster.executor import Nodes
    from ..cluster.weights import Weights
    from ..textures.batch import BatchSettings
    from ..textures.batch_run import run_batch

    def settings(seeds: str) -> BatchSettings:
        entry = {"generator": generator, "size": px, "maps": maps, "seeds": seeds, "name": "t"}
        return BatchSettings.from_mapping({"items": [entry]})

    with connected(address) if address else nullcontext() as cluster:
        weights = Weights(cluster.ray) if cluster else None
        place = (lambda folder: Nodes(cluster, store, folder, weights)) if cluster and weights else None
        run_batch(store, settings("1000000-1000007"), scratch / "start", place=place)
        began_s = time.monotonic()
        run_batch(store, settings(f"0-{count - 1}"), scratch / "batch", place=place)
        return (time.monotonic() - began_s) / count
