"""Adaptations in a process of their own: found again by name, cancelled, continued; what they say when they fail."""

from __future__ import annotations

import io
import subprocess
import sys
import time

import pytest
import torch
from latent_loom.backend.errors import AlreadyExists, NotFound, PromptError
from latent_loom.backend.job import Job
from latent_loom.backend.models.store import Store
from latent_loom.backend.service import apart
from latent_loom.backend.service.handlers import HANDLERS, Context, adaptation
from latent_loom.backend.textures import detach
from latent_loom.backend.textures.batch_state import is_running

ASKED = {"generator": "small", "source": "stone", "target": "mossy stone", "batch": 2}
WAIT_S = 300


@pytest.fixture
def ask(store):
    def asked(request, **params):
        return HANDLERS[request](Context(store=Store(store.root)), params, {}, Job()).value

    yield asked
    for process in detach._started:
        process.wait(WAIT_S)


def ended(ask, name):
    deadline = time.monotonic() + WAIT_S
    while (known := ask("adapt_status", name=name))["state"] == "running":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return known


def own(ask):
    return {style["name"]: style for style in ask("styles")["styles"] if not style.get("builtin")}


def command_line(store, *options):
    command = [sys.executable, "-m", "latent_loom.backend.cli.main", "adapt", "--data", str(store.root), *options]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def three_threads():
    """More than a started process takes of itself: sums of other numbers of threads have other last bits."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def test_a_style_detached_on_the_command_line_is_the_one_that_would_have_been_made_here(ask, store, three_threads):
    asked = ["--generator", "small", "--source", "stone", "--target", "mossy stone", "--batch", "2", "--name", "apart"]
    code, said = command_line(store, *asked, "--iterations", "3", "--detach", "--threads", "3")
    assert code == 0 and "adapt --status apart" in said
    known = ended(ask, "apart")
    assert (known["state"], known["done"]) == ("finished", 3)
    assert command_line(store, "--status", "apart")[1].strip() == "finished: 3 of 3 iterations."
    ask("adapt", name="here", iterations=3, **ASKED)
    one, other = (Store(store.root).style(name).tensors for name in ("apart", "here"))
    assert one.keys() == other.keys() and all((one[name] == other[name]).all() for name in one)
    assert own(ask).keys() == {"apart", "here"}


def test_a_run_takes_as_many_threads_as_whoever_starts_it(ask, store, three_threads, monkeypatch):
    class Started(Exception): ...

    def start(command, place, said, has_begun):
        raise Started(command, said)

    monkeypatch.setattr(detach, "begin", start)
    with pytest.raises(Started) as started:
        ask("adapt", name="here", iterations=3, **ASKED, detach=True)
    command, said = started.value.args
    torch.set_num_threads(1)
    used = []
    monkeypatch.setattr(adaptation, "train", lambda *_: used.append(torch.get_num_threads()))
    monkeypatch.setattr(sys, "argv", command[command.index("-m") + 1 :])
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(said)))
    apart.folder(store.root, "here").mkdir(parents=True, exist_ok=True)
    assert apart.main() == 0 and used == [3]


def test_a_detached_run_is_cancelled_keeps_its_last_snapshot_and_goes_on(ask, store):
    ask("adapt", name="long", iterations=500, **ASKED, detach=True)
    with pytest.raises(AlreadyExists, match="adapt --cancel long"):
        ask("adapt", name="long", iterations=2, **ASKED)
    deadline = time.monotonic() + WAIT_S
    while ask("adapt_status", name="long")["done"] < 26:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert ask("adapt_cancel", name="long")["state"] == "running"
    known = ended(ask, "long")
    assert known["state"] == "cancelled" and "kept as the style 'long-partial'" in known["message"]
    done = own(ask)["long-partial"]["iterations"]
    assert done >= 25
    assert ask("adapt", name="long", iterations=done + 1, resume=True, **ASKED)["style"]["iterations"] == done + 1


def test_what_cannot_be_begun_is_said_as_if_it_were_made_here(ask):
    with pytest.raises(PromptError, match="does not know 'xyzzy'"):
        ask("adapt", name="none", detach=True, **(ASKED | {"target": "xyzzy"}))
    known = ask("adapt_status", name="none")
    assert known["state"] == "failed" and known["code"] == "bad_prompt"


def test_a_killed_run_is_told_from_one_that_runs(ask, store):
    place = apart.folder(store.root, "gone")
    place.mkdir(parents=True)
    (place / "batch.json").write_text('{"version": 1, "state": "running", "done": 3, "total": 9}')
    known = ask("adapt_status", name="gone")
    assert known["state"] == "killed" and "with resume" in known["message"]
    with pytest.raises(NotFound, match="No adaptation called 'never'"):
        ask("adapt_status", name="never")
    with pytest.raises(NotFound, match="No adaptation called 'never'"):
        ask("adapt_cancel", name="never")


def test_after_the_backend_s_end_the_run_makes_its_style_and_is_gone(start_backend):
    backend = start_backend("--parent-stdin")
    client = backend.connect()
    asked = ASKED | {"name": "later", "iterations": 60, "detach": True}
    assert client.request("adapt", asked, timeout_s=WAIT_S).value["state"] == "running"
    backend.input.close()  # Blender has died
    assert backend.wait() == 0
    again = start_backend(home=backend.home).connect()
    deadline = time.monotonic() + WAIT_S
    while (known := again.request("adapt_status", {"name": "later"}, timeout_s=WAIT_S).value)["state"] == "running":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert (known["state"], known["done"]) == ("finished", 60)
    assert "later" in [s["name"] for s in again.request("styles", {}, timeout_s=WAIT_S).value["styles"]]
    assert not is_running(apart.folder(backend.data, "later"))
