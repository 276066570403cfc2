"""A real Ray cluster of several nodes on this machine, and a store with a tiny generator and a style."""

from __future__ import annotations

import gc
import warnings

import pytest
import torch
from latent_loom.backend.adaptation.style import Style, StyleInfo
from latent_loom.backend.cli.bench_cluster import start_node
from latent_loom.backend.models.store import Store
from latent_loom.backend.service.handlers import HANDLERS, Context
from latent_loom.stylegan2.config import GeneratorConfig
from latent_loom.stylegan2.networks import Generator

PATIENCE = {"RAY_worker_register_timeout_seconds": "600"}
"""Ray's with a machine that has much else to do."""


@pytest.fixture(scope="module")
def cluster():
    """Two nodes of one core each; the second, `cluster.worker_nodes`, may be killed."""
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'latent-loom[cluster]'")
    from latent_loom.backend.cluster.connect import load_ray

    with pytest.MonkeyPatch.context() as patch:
        for name, value in PATIENCE.items():
            patch.setenv(name, value)
        load_ray()
        from ray.cluster_utils import Cluster

        made = Cluster()
        try:
            start_node(made, cores=1)
            start_node(made, cores=1)
            yield made
        finally:
            made.shutdown()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ResourceWarning)  # Ray drops processes that it has killed
                del made
                gc.collect()


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
