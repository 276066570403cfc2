"""How much of a node a task takes: arithmetic."""

from __future__ import annotations

import pytest
from latent_loom.backend.cluster.shares import Node, Share, slots, style_share, texture_share


def node(cpus=8, gpus=0, memory_mib=65536, gpu_mib=0) -> Node:
    return Node(id="a", name="a", cpus=cpus, gpus=gpus, memory_mib=memory_mib, gpu_mib=gpu_mib)


def test_without_gpus_a_texture_takes_a_core_and_its_memory():
    share = texture_share([node()], predicted_mib=300, weights_mib=100)
    assert share == Share(cpus=1, gpus=0, memory_mib=1536)
    assert slots([node(), node(cpus=2)], share) == 10
    assert slots([node(memory_mib=4096)], share) == 2


@pytest.mark.parametrize(
    "nodes, together",
    [
        ([node(cpus=32, gpus=1, gpu_mib=80_000)], 16),
        ([node(cpus=32, gpus=4, gpu_mib=80_000)], 8),
        ([node(cpus=2, gpus=1, gpu_mib=80_000)], 2),
        ([node(cpus=16, gpus=1, gpu_mib=5_000)], 3),
        ([node(cpus=16, gpus=1, gpu_mib=80_000), node(cpus=16, gpus=1, gpu_mib=2_000)], 1),
        ([node(cpus=16, gpus=1, gpu_mib=1_000)], 1),
    ],
)
def test_textures_share_a_gpu_as_its_memory_and_the_cores_allow(nodes, together):
    share = texture_share(nodes, predicted_mib=500, weights_mib=400)
    assert share.gpus == pytest.approx(1 / together, abs=1e-4) and share.gpus * together <= 1
    assert slots(nodes[:1], share) == together * nodes[0].gpus


def test_a_style_takes_a_whole_gpu_or_the_threads_that_it_has_here():
    assert style_share([node(gpus=2)], threads=8, predicted_mib=1000).gpus == 1
    assert style_share([node(cpus=4), node(cpus=2)], threads=3, predicted_mib=1000).cpus == 3
    assert style_share([node(cpus=4)], threads=16, predicted_mib=1000).cpus == 4
