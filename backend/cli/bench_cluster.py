"""Part of `latent-loom bench outputs`: a batch on a Ray cluster of this machine's cores, beside one node of it.

Nodes are processes of this machine with one core each, started through Ray's own tool for that. What is measured:
seconds of an item on one node and on two; and of tiny items, where almost all is overhead, beside the batch here.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..models.store import Store

TINY_PX = 16
STORE_BYTES = 80 << 20
"""Of each node's object store: Ray's least."""


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
        start_node(made, cores=0)
        start_node(made, cores=1)
        row["one_s"] = _seconds(store, generator, px, count, "all", made.address, scratch / "one")
        there_s = _seconds(store, generator, TINY_PX, tiny, "color", made.address, scratch / "tiny")
        here_s = _seconds(store, generator, TINY_PX, tiny, "color", None, scratch / "here")
        row |= {"tiny_s": there_s, "tiny_here_s": here_s, "overhead_s": there_s - here_s}
        start_node(made, cores=1)
        row["two_s"] = _seconds(store, generator, px, count, "all", made.address, scratch / "two")
    finally:
        made.shutdown()
    return row | {"speedup": row["one_s"] / row["two_s"]}


def start_node(cluster: Any, *, cores: int) -> Any:
    """Start one more node of a `ray.cluster_utils.Cluster`; the first is its head.

    Its helpers' ports are chosen here: to be told them Ray waits some seconds only, too few on a busy machine.
    """
    helpers = ("metrics_agent_port", "metrics_export_port", "dashboard_agent_listen_port", "runtime_env_agent_port")
    with contextlib.ExitStack() as open_until_all_are_found:
        sockets = [open_until_all_are_found.enter_context(socket.socket()) for _ in helpers]
        for one in sockets:
            one.bind(("", 0))
        ports = {name: one.getsockname()[1] for name, one in zip(helpers, sockets, strict=True)}
    head = {} if cluster.head_node else {"include_dashboard": False}
    return cluster.add_node(num_cpus=cores, object_store_memory=STORE_BYTES, **ports, **head)


def _seconds(store: Store, generator: str, px: int, count: int, maps: str, address: str | None, scratch: Path) -> float:
    """Of an item of a batch, without the start of the nodes' processes, which a first small batch bears."""
    from ..cluster.connect import connected
    from ..cluster.executor import Nodes
    from ..cluster.weights import Weights
    from ..textures.batch import BatchSettings
    from ..textures.batch_run import run_batch

    def settings(seeds: str) -> BatchSettings:
        entry = {"generator": generator, "size": px, "maps": maps, "seeds": seeds, "name": "t"}
        return BatchSettings.from_mapping({"items": [entry]})

    with connected(address) if address else contextlib.nullcontext() as cluster:
        weights = Weights(cluster.ray) if cluster else None
        place = (lambda folder: Nodes(cluster, store, folder, weights)) if cluster and weights else None
        run_batch(store, settings("1000000-1000007"), scratch / "start", place=place)
        began_s = time.monotonic()
        run_batch(store, settings(f"0-{count - 1}"), scratch / "batch", place=place)
        return (time.monotonic() - began_s) / count
