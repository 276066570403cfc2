"""A real Ray cluster of several nodes on this machine, and a store with a tiny generator and a style."""

from __future__ import annotations

import pytest
import torch
from latent_loom.backend.adaptation.style import Style, StyleInfo
from latent_loom.backend.models.store import Store
from latent_loom.backend.service.handlers import HANDLERS, Context
from latent_loom.stylegan2.config import GeneratorConfig
from latent_loom.stylegan2.networks import Generator

STORE_BYTES = 80 << 20
"""Of each node's object store: Ray's least."""
TRIES = 3
"""Ray gives a node 30 s to start, which a busy machine may need more than once."""


@pytest.fixture(scope="module")
def cluster():
    """Two nodes of one core each; the second, `cluster.worker_nodes`, may be killed."""
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'latent-loom[cluster]'")
    from latent_loom.backend.cluster.connect import load_ray

    load_ray()
    from ray.cluster_utils import Cluster

    made = Cluster()
    node = {"num_cpus": 1, "object_store_memory": STORE_BYTES}
    try:
        _start(made, **node, include_dashboard=False)
        _start(made, **node)
        yield made
    finally:
        made.shutdown()


def _start(cluster, **node) -> None:
    for left in reversed(range(TRIES)):
        try:
            cluster.add_node(**node)
            return
        except Exception:
            if not left:
                raise


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("data")
    config = GeneratorConfig(
        z_dim=8, w_dim=8, resolution=16, channels=(8, 8, 8), mapping_layers=2, tile="xy", input_map=1.0, const_size=1
    )
    store, generator = Store(folder), Generator(config)
    store.add_generator(generator, "tiny")
    bias = "synthesis.b16.conv1.bias"
    info = StyleInfo(
        name="frosty", generator="tiny", generator_hash="0" * 64, source="stone", target="frosty stone",
        method="style", iterations=1, seed=0, clips=("builtin",),
    )  # fmt: skip
    store.add_style(Style(info=info, tensors={bias: torch.randn(dict(generator.named_parameters())[bias].shape)}))
    return folder


@pytest.fixture
def ask(root):
    def asked(job=None, /, **params):
        from latent_loom.backend.job import Job

        return HANDLERS["batch"](Context(store=Store(root)), params, {}, job or Job()).value

    return asked
