"""Batches on a real Ray cluster of several nodes on one machine, compared byte for byte with those of one machine."""

from __future__ import annotations

import itertools
import json
import time
from pathlib import Path

import pytest
from latent_loom.backend.cluster import connect, executor
from latent_loom.backend.cluster.weights import Weights
from latent_loom.backend.errors import BadRequest, Cancelled, LoomError, NotFound
from latent_loom.backend.job import Job
from latent_loom.backend.models.store import Store
from latent_loom.backend.textures.batch import BatchSettings
from latent_loom.backend.textures.batch_run import run_batch

DEFAULTS = {"generator": "tiny", "size": 32, "maps": ["color", "normal"]}
ADAPT = {"name": "mossy", "generator": "tiny", "source": "stone", "target": "mossy stone", "iterations": 2, "batch": 2}
JOBS = {
    "defaults": DEFAULTS,
    "items": [
        {"name": "plain", "seeds": "0-3"},
        {"name": "frost", "style": "frosty:0.5", "seeds": "4-5", "format": "webp"},
        {"name": "lost", "style": "nowhere"},
    ],
}


def contents(folder: Path) -> dict[str, bytes]:
    """All but where the run stands."""
    passing = ("batch.json", ".batch.lock")
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.name not in passing}


def many(count: int) -> dict:
    return {"defaults": DEFAULTS, "items": [{"name": "many", "seeds": f"0-{count - 1}"}]}


def test_a_cluster_writes_what_one_machine_does_byte_for_byte(cluster, ask, tmp_path):
    here = ask(jobs=JOBS, out=str(tmp_path / "here"))
    reports = []
    there = ask(Job(report=reports.append), jobs=JOBS, out=str(tmp_path / "there"), cluster=cluster.address)
    assert (there["written"], [f["name"] for f in there["failed"]]) == (12, ["lost"])
    assert there["failed"] == here["failed"]
    assert contents(tmp_path / "there") == contents(tmp_path / "here")
    assert (reports[-1].done, reports[-1].total) == (7, 7)
    resumed = ask(jobs=JOBS, out=str(tmp_path / "there"), cluster=cluster.address, resume=True)
    assert (resumed["written"], resumed["skipped"]) == (0, 12)


def test_styles_are_trained_on_the_nodes_and_come_back_as_they_are_made_here(cluster, root, ask, tmp_path):
    jobs = {"defaults": DEFAULTS, "adapt": [ADAPT, ADAPT | {"name": "zzz", "target": "qwertz"}]}
    jobs["items"] = [{"name": "moss", "style": "mossy", "seeds": "0-1"}]
    store, files = Store(root), []
    for out, cluster_at in (("there", {"cluster": cluster.address}), ("here", {})):
        made = ask(jobs=jobs, out=str(tmp_path / out), **cluster_at)
        assert (made["written"], [f["name"] for f in made["failed"]]) == (4, ["adapt zzz"])
        assert "qwertz" in made["failed"][0]["message"]
        files.append({p.name: p.read_bytes() for p in store.library.folder.glob("mossy.*")})
        store.delete_style("mossy")
    assert files[0] == files[1] and len(files[0]) >= 1
    assert contents(tmp_path / "there") == contents(tmp_path / "here")


def test_nodes_that_do_not_see_the_folder_send_the_bytes_and_fetch_each_weight_once(cluster, root, tmp_path):
    store, settings = Store(root), BatchSettings.from_mapping(JOBS)
    run_batch(store, settings, tmp_path / "here")
    put = []
    with connect.connected(cluster.address) as there:
        weights = Weights(there.ray)
        real = there.ray.put
        weights._ray = type("Counting", (), {"put": staticmethod(lambda value: put.append(1) or real(value))})
        apart = tmp_path / "apart"
        run_batch(
            store, settings, apart, place=lambda folder: executor.Nodes(there, store, folder, weights, shared=False)
        )
    assert contents(apart) == contents(tmp_path / "here")
    assert len(put) == 2  # the generator and the style that there is


def test_a_cancelled_batch_keeps_what_is_finished_and_goes_on_here(cluster, ask, tmp_path):
    done = []
    job = Job(report=lambda progress: done.append(progress.done), cancelled=lambda: len(done) >= 3)
    out = str(tmp_path / "there")
    with pytest.raises(Cancelled):
        ask(job, jobs=many(40), out=out, cluster=cluster.address)
    listed = [json.loads(line)["file"] for line in (tmp_path / "there" / "manifest.jsonl").read_text().splitlines()]
    assert 6 <= len(listed) < 80 and not list((tmp_path / "there").glob(".*.part"))
    resumed = ask(jobs=many(40), out=out, resume=True)
    assert resumed["skipped"] >= len(listed) and resumed["written"] + resumed["skipped"] == 80
    ask(jobs=many(40), out=str(tmp_path / "here"))
    assert contents(tmp_path / "there") == contents(tmp_path / "here")


@pytest.mark.parametrize(
    "address, error, sentence",
    [
        ("127.0.0.1:1", NotFound, r"No Ray cluster answers at 127.0.0.1:1 \(.*ray start --head"),
        ("nowhere.invalid:6379", NotFound, "No Ray cluster answers at nowhere.invalid:6379"),
        ("here", BadRequest, "'here' is no address of a cluster; write HOST:PORT"),
        ("host:99999", BadRequest, "no address of a cluster"),
    ],
)
def test_a_cluster_that_cannot_be_reached_is_told_in_a_sentence_and_nothing_is_written(
    ask, tmp_path, address, error, sentence
):
    pytest.importorskip("ray", reason="Ray is not installed")
    with pytest.raises(error, match=sentence):
        ask(jobs=JOBS, out=str(tmp_path / "out"), cluster=address)
    assert not (tmp_path / "out").exists()


def test_other_versions_of_ray_and_of_packages_are_refused(cluster, ask, tmp_path, monkeypatch):
    import ray

    with monkeypatch.context() as patch:
        patch.setattr(ray, "__version__", "2.0.1")
        with pytest.raises(BadRequest, match=r"runs Ray \S+ and Python \S+, this machine Ray 2.0.1 and Python"):
            ask(jobs=JOBS, out=str(tmp_path / "out"), cluster=cluster.address)
    monkeypatch.setattr(connect, "versions_here", lambda: {"latent-loom": "9.9"})
    with pytest.raises(
        BadRequest, match=r"The node \S+ \(\S+\) has latent-loom \S+, this machine 9.9; install the same"
    ):
        ask(jobs=JOBS, out=str(tmp_path / "out"), cluster=cluster.address)
    assert not (tmp_path / "out").exists()


def test_a_machine_without_ray_is_told_the_extra(ask, tmp_path, monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(connect.importlib, "import_module", missing)
    with pytest.raises(BadRequest, match=r"pip install 'latent-loom\[cluster\]'"):
        ask(jobs=JOBS, out=str(tmp_path / "out"), cluster="auto")


def test_a_texture_larger_than_any_node_fails_alone(cluster, ask, tmp_path, monkeypatch):
    real = executor.predicted_mib
    monkeypatch.setattr(
        executor, "predicted_mib", lambda c, size, *rest: 10**9 if size[0] == 48 else real(c, size, *rest)
    )
    jobs = {"defaults": DEFAULTS, "items": [{"name": "a"}, {"name": "b", "size": 48}]}
    made = ask(jobs=jobs, out=str(tmp_path), cluster=cluster.address)
    assert made["written"] == 2 and "no node of the cluster has" in made["failed"][0]["message"]


def test_a_batch_waits_for_nodes_for_a_while_and_then_ends_in_a_sentence(cluster, ask, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(executor, "PATIENCE_S", 1.0)
        patch.setattr(executor, "LOOK_S", 0.0)
        real, seen = connect.Cluster.nodes, itertools.count()
        patch.setattr(connect.Cluster, "nodes", lambda self: real(self) if next(seen) < 8 else [])
        patch.setattr(executor, "result_of", lambda ray, arrived: time.sleep(9))
        with pytest.raises(LoomError, match="has had no node that could make these textures"):
            ask(jobs=many(9), out=str(tmp_path / "there"), cluster=cluster.address)
        patch.setattr(connect.Cluster, "nodes", lambda self: [])
        with pytest.raises(LoomError, match="no node with a processor"):
            ask(jobs=many(9), out=str(tmp_path / "there"), cluster=cluster.address)
    assert ask(jobs=many(9), out=str(tmp_path / "there"), resume=True)["failed"] == []


def test_a_node_that_is_killed_in_the_middle_costs_nothing(cluster, ask, tmp_path):
    """Last, since it takes one node out of the cluster."""
    killed = itertools.count()

    def report(progress):
        if progress.done >= 10 and next(killed) == 0:
            cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)

    made = ask(Job(report=report), jobs=many(60), out=str(tmp_path / "there"), cluster=cluster.address)
    assert next(killed) > 0 and not cluster.worker_nodes
    assert (made["written"], made["failed"]) == (120, [])
    ask(jobs=many(60), out=str(tmp_path / "here"))
    assert contents(tmp_path / "there") == contents(tmp_path / "here")
