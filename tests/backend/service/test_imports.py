"""Generators from files and addresses, through the handlers and through a real service."""

from __future__ import annotations

import hashlib
import threading

import pytest
import torch
from latent_loom.backend.errors import AlreadyExists, BadCheckpoint, BadRequest, Cancelled, DownloadFailed, NotFound
from latent_loom.backend.job import Job
from latent_loom.backend.models import download as downloads
from latent_loom.backend.service.handlers import HANDLERS, Context
from latent_loom.stylegan2.checkpoints import save_generator
from latent_loom.stylegan2.errors import ForeignCheckpoint

from ..models.file_server import Server
from .conftest import small_generator


@pytest.fixture
def server(monkeypatch, tmp_path):
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(downloads, "PAUSES_S", (0.01, 0.01))
    server = Server()
    save_generator(small_generator(seed=1), tmp_path / "shared.safetensors")
    server.manners.content = (tmp_path / "shared.safetensors").read_bytes()
    yield server
    server.close()


@pytest.fixture
def fetch(store, server):
    def call(job=None, **params):
        params = {"url": server.url("/a/shared.safetensors"), "name": "fetched", **params}
        return HANDLERS["import"](Context(store=store), params, {}, job or Job()).value

    return call


def left(store):
    folder = store.root / "downloads"
    return [p.name for p in folder.glob("*/*") if p.name.startswith("shared")] if folder.exists() else []


def test_a_generator_is_imported_from_an_address_and_the_download_is_gone(fetch, store, server):
    sha256 = hashlib.sha256(server.manners.content).hexdigest().upper()
    assert fetch(sha256=sha256)["generator"]["resolution"] == 16
    want = small_generator(seed=1).state_dict()
    assert all(torch.equal(tensor, want[name]) for name, tensor in store.generator("fetched").state_dict().items())
    assert not list((store.root / "downloads").iterdir())


def test_a_taken_name_is_told_before_anything_is_fetched(fetch, server):
    with pytest.raises(AlreadyExists):
        fetch(name="small")
    assert server.manners.asked == []
    assert fetch(name="small", overwrite=True)["generator"]["name"] == "small"


def test_what_came_before_a_cancel_or_a_failure_is_kept_for_the_next_import(fetch, server, store):
    server.manners.breaks = [1000]  # so that the cancel comes before the end, however quick the server is
    cancelled = []
    with pytest.raises(Cancelled, match="goes on from there"):
        fetch(Job(report=cancelled.append, cancelled=lambda: bool(cancelled)))
    assert left(store) == ["shared.safetensors.part"]
    server.manners.breaks = [0, 0, 0]
    with pytest.raises(DownloadFailed):
        fetch()
    server.manners.breaks = []
    assert fetch()["generator"]["name"] == "fetched"


def test_a_file_that_is_no_generator_is_not_kept(fetch, server, store):
    server.manners.content = b"<!doctype html><html>Please log in</html>"
    with pytest.raises(ForeignCheckpoint, match=r"shared\.safetensors is a web page"):
        fetch()
    assert left(store) == []


def test_a_whole_file_is_not_fetched_again_where_only_saving_failed(fetch, server, store, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(store, "add_generator", lambda *args, **settings: (_ for _ in ()).throw(MemoryError()))
        with pytest.raises(MemoryError):
            fetch()
    asked = len(server.manners.asked)
    assert fetch()["generator"]["name"] == "fetched"
    assert len(server.manners.asked) == asked


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({}, "either a file or the address"),
        ({"file": "/x.pkl", "url": "https://x.org/x.pkl"}, "either a file or the address"),
        ({"url": "https://x.org/x.pkl", "sha256": "abc"}, "64 hexadecimal digits"),
        ({"url": "file:///etc/passwd"}, "is no address of a file"),
        ({"url": 3}, "url must be"),
    ],
)
def test_an_import_of_nothing_or_of_two_things_is_refused(store, params, sentence):
    with pytest.raises(BadRequest, match=sentence):
        HANDLERS["import"](Context(store=store), {"name": "x", **params}, {}, Job())


def test_the_hash_of_a_file_on_disk_is_compared_too(store, tmp_path):
    path = tmp_path / "own.safetensors"
    save_generator(small_generator(), path)
    params = {"file": str(path), "name": "own", "sha256": "0" * 64}
    with pytest.raises(BadCheckpoint, match="nothing was imported"):
        HANDLERS["import"](Context(store=store), params, {}, Job())
    params["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    assert HANDLERS["import"](Context(store=store), params, {}, Job()).value["generator"]["name"] == "own"
    with pytest.raises(NotFound):
        HANDLERS["import"](Context(store=store), {"file": str(tmp_path / "no"), "name": "no"}, {}, Job())


def test_a_download_holds_up_neither_pictures_nor_lists_and_is_cancelled(client, server, collect):
    server.manners.content += bytes(3_000_000)
    server.manners.breaks = [2_500_000]  # then silence
    server.manners.on_body = silence = threading.Event()
    id = client.send("import", {"url": server.url("/a/held.safetensors"), "name": "held"})
    look = {"generator": "small", "size": [16, 16], "seeds": [1], "maps": ["color"]}
    assert client.request("generate", look, timeout_s=60).arrays["color"].shape == (1, 16, 16, 3)
    assert client.request("models", {}, timeout_s=60).value["generators"]
    client.cancel(id)
    silence.set()
    last = collect(client, id)[id][-1]
    assert last.error.code == "cancelled"
