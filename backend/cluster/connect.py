"""Reaching a Ray cluster, and refusing, in a sentence, one that cannot do: unreachable, or of other versions.

The process that runs the batch becomes a driver of the cluster. It runs on one of the cluster's nodes (or in a job that
was submitted to it); the nodes need the same Python environment.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import logging
import os
import platform
import re
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import BadRequest, LoomError, NotFound
from .shares import Node

MIB = 1 << 20
REACH_S = 5.0
ANSWER_S = 120.0
"""Within which a node must have started a process and told its versions; on a slow disk the start takes a minute."""
COMPARED = ("latent-loom", "torch", "ray")
START = "start one with `ray start --head` (docs/guide.md, Many machines)"


@dataclass(frozen=True)
class Cluster:
    """A cluster that is connected. gpu_mib: node's id -> memory of one of its GPUs."""

    ray: Any
    gpu_mib: Mapping[str, int]

    def nodes(self) -> list[Node]:
        """The nodes that are there now."""
        found = []
        for entry in self.ray.nodes():
            has = entry["Resources"]
            if entry["Alive"] and has.get("CPU", 0) >= 1:
                node = Node(
                    id=entry["NodeID"], name=f"{entry['NodeManagerHostname']} ({entry['NodeManagerAddress']})",
                    cpus=has["CPU"], gpus=has.get("GPU", 0), memory_mib=has.get("memory", 0) / MIB,
                    gpu_mib=self.gpu_mib.get(entry["NodeID"], 0),
                )  # fmt: skip
                found.append(node)
        with_gpus = [node for node in found if node.gpus >= 1]
        return with_gpus or found

    def on(self, node: Node) -> Any:
        """Ray's way to say that a task runs on that node and on no other."""
        return self.ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(node.id, soft=False)


@contextlib.contextmanager
def connected(address: str) -> Iterator[Cluster]:
    """A cluster of usable nodes, by "auto" or HOST:PORT, for as long as the context lasts.

    Raises  BadRequest (Ray is not installed, no address, other versions), NotFound (no cluster there), LoomError (no
            node answers)
    """
    ray = load_ray()
    _check_address(address)
    with _sentences(address):
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    try:
        cluster = Cluster(ray, {})
        yield Cluster(ray, _look_at(cluster))
    finally:
        ray.shutdown()


def load_ray() -> Any:
    """The module ray, told to report its use to nobody. Raises BadRequest naming the extra where it is missing."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        ray = importlib.import_module("ray")
        importlib.import_module("ray.util.scheduling_strategies")
    except ImportError as error:
        raise BadRequest(
            "A batch on a cluster needs Ray, which is not installed; run pip install 'latent-loom[cluster]', or leave "
            "out --cluster."
        ) from error
    return ray


def versions_here() -> dict[str, str]:
    """Of this process: Python's, and those of the packages that decide what a picture's bytes are."""
    return {"python": platform.python_version()} | {name: _version(name) for name in COMPARED}


def different(node: str, there: Mapping[str, str], here: Mapping[str, str]) -> str | None:
    """A sentence where the versions of `node` are not those `here`; None where they are."""
    for name, version in here.items():
        found = there.get(name, "")
        if found != version:
            has = f"{name} {found}" if found else f"no {name}"
            return (
                f"The node {node} has {has}, this machine {version or 'none'}; install the same version on all nodes."
            )
    return None


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _check_address(address: str) -> None:
    """Ray tries for minutes, and ends the process, where nothing answers; so knock first."""
    named = os.environ.get("RAY_ADDRESS", "") if address == "auto" else address
    if address == "auto" and not named:
        return
    match = re.fullmatch(r"(?:ray://)?(\[[0-9a-fA-F:]+\]|[^:/\s]+):(\d{1,5})", named)
    if not match or not 0 < int(match[2]) < 65536:
        raise BadRequest(f"{named!r} is no address of a cluster; write HOST:PORT, like 10.0.0.1:6379, or auto.")
    try:
        socket.create_connection((match[1].strip("[]"), int(match[2])), timeout=REACH_S).close()
    except OSError as error:
        raise NotFound(f"No Ray cluster answers at {named} ({error.strerror or error}); {START}.") from error


@contextlib.contextmanager
def _sentences(address: str) -> Iterator[None]:
    """What Ray says while it connects, as one sentence each."""
    try:
        yield
    except LoomError:
        raise
    except (Exception, SystemExit) as error:
        said = str(error)
        versions = re.findall(r"Ray: (\S+)\s+Python: (\S+)", said)
        if "Version mismatch" in said and len(versions) == 2:
            (ray, python), (ray_here, python_here) = versions
            raise BadRequest(
                f"The cluster at {address} runs Ray {ray} and Python {python}, this machine Ray {ray_here} and Python "
                f"{python_here}; install the same versions on all nodes."
            ) from error
        if isinstance(error, ConnectionError) and address == "auto":
            raise NotFound(f"No Ray cluster runs on this machine; {START}, or name one by HOST:PORT.") from error
        first = next((line.strip() for line in said.splitlines() if line.strip()), type(error).__name__)
        raise NotFound(f"The Ray cluster at {address} cannot be joined ({first.rstrip('.')}); {START}.") from error


def _look_at(cluster: Cluster) -> dict[str, int]:
    """Ask every node for its versions; node's id -> memory of one of its GPUs. Raises BadRequest, LoomError."""
    ray, nodes, here = cluster.ray, cluster.nodes(), versions_here()
    if not nodes:
        raise LoomError("The cluster has no node with a processor to compute on; start nodes with `ray start`.")
    probe = ray.remote(max_calls=0)(_probe())
    asked = {
        probe.options(
            num_cpus=0, num_gpus=0.01 if node.gpus >= 1 else 0, scheduling_strategy=cluster.on(node)
        ).remote(): node
        for node in nodes
    }  # fmt: skip
    done, silent = ray.wait(list(asked), num_returns=len(asked), timeout=ANSWER_S)
    if silent:
        raise LoomError(f"The node {asked[silent[0]].name} of the cluster does not answer; restart it or take it out.")
    memory = {}
    for ref in done:
        node = asked[ref]
        try:
            versions, gpu_mib = ray.get(ref)
        except ray.exceptions.RayError as error:
            raise LoomError(f"The node {node.name} of the cluster was lost; restart it or take it out.") from error
        told = different(node.name, versions, here)
        if told:
            raise BadRequest(told)
        if node.gpus >= 1 and not gpu_mib:
            raise BadRequest(f"The node {node.name} offers a GPU that PyTorch there cannot use; check its driver.")
        memory[node.id] = gpu_mib
    return memory


def _probe():
    """A function that Ray sends as it is, since a node may lack this package: () -> (versions, MiB of its GPU)."""
    names = COMPARED

    def probe():
        import importlib.metadata
        import platform

        versions = {"python": platform.python_version()}
        for name in names:
            try:
                versions[name] = importlib.metadata.version(name)
            except importlib.metadata.PackageNotFoundError:
                versions[name] = ""
        gpu_mib = 0
        if __import__("ray").get_gpu_ids() and versions["torch"]:
            import torch

            if torch.cuda.is_available():
                gpu_mib = torch.cuda.get_device_properties(0).total_memory >> 20
        return versions, gpu_mib

    return probe
