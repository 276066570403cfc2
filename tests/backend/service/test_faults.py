"""What goes wrong in days beside Blender, each on a real process: it says so in a sentence, and lives on."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
import time

import pytest
import torch
from latent_loom.backend.models.store import Store
from latent_loom.backend.textures.batch_state import read_state
from latent_loom.protocol import connection_file, errors, limits
from latent_loom.protocol.client import Client, Connected, Finished, Lost, Ponged

from .conftest import prepared, small_generator

LOOK = {"generator": "small", "size": [16, 16]}
FAKE = {"target": "x", "name": "x"}
REAL = {
    "name": "real", "source": "stone", "target": "mossy stone", "generator": "small", "batch": 2, "iterations": 2,
    "overwrite": True,
}  # fmt: skip
WAIT_S = 300


def idle(client):
    return client.request("status", {}, timeout_s=WAIT_S).value["state"] == "idle"


# Models and memory


def test_a_generator_that_yields_nan_is_said_so_and_nothing_is_written(client, shared_backend, tmp_path):
    broken = small_generator()
    with torch.no_grad():
        broken.synthesis.b8.conv0.bias.fill_(3e38)  # finite, so the file is whole; what comes of it is not
    Store(shared_backend.data).add_generator(broken, "nan", overwrite=True)
    for where in ({}, {"out": str(tmp_path / "out")}):
        with pytest.raises(errors.NonFinite, match="import the generator again"):
            client.request("generate", LOOK | {"generator": "nan"} | where, timeout_s=WAIT_S)
    assert not (tmp_path / "out").exists()
    with pytest.raises(errors.NonFinite, match="import the generator again"):
        client.request("adapt", REAL | {"generator": "nan"}, timeout_s=WAIT_S)
    assert client.request("generate", LOOK, timeout_s=WAIT_S).arrays["color"].shape == (1, 16, 16, 3) and idle(client)


def run_out(client, times):
    client.request("adapt", FAKE | {"source": "run_out", "times": times}, timeout_s=WAIT_S)


@pytest.mark.parametrize("times", [1, 3])
def test_a_device_that_runs_out_of_memory_is_asked_for_less_until_it_is_enough(client, times):
    plain = client.request("generate", LOOK, timeout_s=WAIT_S).arrays["color"]
    run_out(client, times)
    made = client.request("generate", LOOK, timeout_s=WAIT_S).arrays["color"]
    assert (made == plain).all()
    run_out(client, times)
    assert client.request("adapt", REAL, timeout_s=WAIT_S).value["style"]["iterations"] == 2


def test_where_less_does_not_help_either_it_is_an_error_with_advice_and_the_next_job_is_done(client):
    run_out(client, 1000)
    with pytest.raises(errors.OutOfMemory, match="smaller size") as caught:
        client.request("generate", LOOK, timeout_s=WAIT_S)
    assert caught.value.retryable
    with pytest.raises(errors.OutOfMemory, match="use a smaller --train-size"):
        client.request("adapt", REAL, timeout_s=WAIT_S)
    run_out(client, 0)
    assert client.request("generate", LOOK, timeout_s=WAIT_S).arrays["color"].shape == (1, 16, 16, 3)


def test_the_memory_of_models_is_freed_when_asked_and_they_are_loaded_again(client):
    before = client.request("generate", LOOK | {"generator": "builtin"}, timeout_s=WAIT_S).arrays["color"]
    freed = client.request("free", {}, timeout_s=WAIT_S).value
    assert freed["freed_mib"] >= 1 and freed["kept_mib"] > 0
    assert client.request("free", {}, timeout_s=WAIT_S).value["freed_mib"] == 0
    again = client.request("generate", LOOK | {"generator": "builtin"}, timeout_s=WAIT_S).arrays["color"]
    assert (before == again).all()


# The disk

ENDS = {
    "generate": {**LOOK, "size": [64, 64], "seeds": [1, 2], "out": "OUT"},
    "walk": {**LOOK, "size": [64, 64], "seeds": [1, 2], "frames": 3, "out": "OUT"},
    "adapt": REAL,
    "batch": {"jobs": {"defaults": {**LOOK, "size": "64x64"}, "items": [{"name": "a", "seeds": "0-3"}]}, "out": "OUT"},
    "keep": {"seed": 5, "name": "full", "generator": "small"},
    "export": {"file": "OUT/small.safetensors", "generator": "small"},
    "directions": {"generator": "small", "count": 2, "out": "OUT"},
}


@pytest.fixture
def full_disk(shared_backend):
    """No file of the backend's may grow beyond a few hundred bytes: it meets an error in the middle of writing."""
    pid = shared_backend.process.pid
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (600, before[1]))
    yield lambda: resource.prlimit(pid, resource.RLIMIT_FSIZE, before)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


def spelt(value, out):
    if isinstance(value, dict):
        return {key: spelt(item, out) for key, item in value.items()}
    return value.replace("OUT", str(out)) if isinstance(value, str) else value


def visible(*folders):
    return sorted(p.name for f in folders if f.is_dir() for p in f.rglob("*.*") if not p.name.startswith("."))


@pytest.mark.skipif(sys.platform != "linux", reason="limits of another process are set on Linux")
def test_a_full_disk_ends_every_kind_of_job_in_a_sentence_and_leaves_no_half_file(
    client, shared_backend, tmp_path, full_disk
):
    store = [shared_backend.data / name for name in ("styles", "kept", "generators")]
    there = visible(*store)
    for type, params in ENDS.items():
        with pytest.raises(errors.CannotWrite, match="free some space") as caught:
            client.request(type, spelt(params, tmp_path / type), timeout_s=WAIT_S)
        assert ".part" not in str(caught.value), type
    small = {"manifest.jsonl", "batch.json", "failed.jsonl", "walk.json"}  # under the limit: written, and whole
    assert set(visible(*(tmp_path / type for type in ENDS))) <= small
    assert visible(*store) == there
    full_disk()
    for type, params in ENDS.items():
        more = {"resume": True} if type == "batch" else {}
        client.request(type, spelt(params, tmp_path / type) | more, timeout_s=WAIT_S)
    client.request("delete_texture", {"name": "full"}, timeout_s=WAIT_S)


@pytest.mark.skipif(sys.platform != "linux", reason="root obeys permissions where it gives up a right of Linux")
def test_a_store_that_is_damaged_and_read_only_is_used_as_far_as_it_goes(start_backend, tmp_path):
    home = prepared(tmp_path / "home")
    data = home / "latent-loom"
    styles = data / "styles"
    styles.mkdir()
    (styles / "moss.safetensors").write_bytes(b"half a st")
    (data / "generators" / "cut.safetensors").write_bytes((data / "generators" / "small.safetensors").read_bytes()[:-9])
    backend = start_backend(home=home, OBEY_PERMISSIONS="1")
    client = backend.connect()
    told = "\n".join(client.welcome.notices)
    assert len(client.welcome.notices) == 2 and "styles/moss" in told and "generators/cut" in told
    assert sorted(p.name for p in (data / "damaged").rglob("*.safetensors")) == ["cut.safetensors", "moss.safetensors"]
    mine = [g["name"] for g in client.request("models", {}, timeout_s=WAIT_S).value["generators"] if not g["builtin"]]
    assert mine == ["small"]
    for folder in (styles, data / "generators", data):
        folder.chmod(0o555)
    try:
        for type, params in (("adapt", REAL), ("keep", ENDS["keep"])):
            with pytest.raises(errors.CannotWrite, match="Permission denied"):
                client.request(type, params, timeout_s=WAIT_S)
        assert client.request("generate", LOOK, timeout_s=WAIT_S).arrays["color"].shape == (1, 16, 16, 3)
    finally:
        for folder in (data, styles, data / "generators"):
            folder.chmod(0o755)
    client.request("adapt", REAL, timeout_s=WAIT_S)


# Time: one process that gives up a silent end after two seconds; its system clock leaps by a day whenever it is read


@pytest.fixture(scope="module")
def hasty(tmp_path_factory):
    from .conftest import Backend

    home = prepared(tmp_path_factory.mktemp("hasty"))
    backend = Backend(home, environment={"SHORT_TIMES": "1", "JUMPING_CLOCK": "1"}).wait_until_ready()
    yield backend
    os.kill(backend.process.pid, signal.SIGCONT)
    backend.close()


@pytest.fixture
def short_times(monkeypatch):
    for name, milliseconds in (("INTERVAL", 500), ("TIMEOUT", 2000), ("TTL", 2000)):
        monkeypatch.setattr(limits, f"HEARTBEAT_{name}_MS", milliseconds)


STEPS = {"source": "steps", "iterations": 40, "rest_s": 0.1, **FAKE}


def until_end(client, id):
    """What is told about the connection and about `id`, whose end comes last: a pong may follow in the same poll."""
    events = []
    deadline = time.monotonic() + WAIT_S
    while not any(getattr(e, "id", None) == id and (hasattr(e, "value") or hasattr(e, "error")) for e in events):
        assert time.monotonic() < deadline
        events += [event for event in client.poll(0.1) if not isinstance(event, Ponged)]
    return events


def test_a_backend_that_was_suspended_goes_on_with_its_work_and_its_client_finds_it_again(hasty, short_times):
    client = hasty.connect()
    id = client.send("adapt", STEPS)
    while not client.poll(0.1):
        pass
    os.kill(hasty.process.pid, signal.SIGSTOP)
    events = []
    while client.connected:
        events += client.poll(0.1)
    for _ in range(15):
        events += client.poll(0.1)
    os.kill(hasty.process.pid, signal.SIGCONT)
    events += until_end(client, id)
    assert any(isinstance(event, Lost) for event in events)
    assert not next(event for event in events if isinstance(event, Connected)).restarted
    assert isinstance(events[-1], Finished) and events[-1].value == {"steps": 40}


def test_a_client_that_is_blocked_is_not_taken_for_dead(hasty, short_times):
    """Blender renders: its Python does nothing, while libzmq's own thread answers the heartbeats, and goes on doing so
    however much is reported meanwhile."""
    client = hasty.connect()
    id = client.send("adapt", STEPS | {"iterations": 80})
    client.poll(0.5)
    time.sleep(10.0)  # a hundred reports, and five times the heartbeats' limit
    events = until_end(client, id)
    assert not any(isinstance(event, Lost) for event in events) and events[-1].value == {"steps": 80}
    assert f"client {client._identity.hex()[:8]} left" not in hasty.log.read_text()


CLIENT = """
import sys
from latent_loom.protocol import limits
limits.HEARTBEAT_INTERVAL_MS, limits.HEARTBEAT_TIMEOUT_MS, limits.HEARTBEAT_TTL_MS = 500, 2000, 2000
from latent_loom.protocol.client import Client
with Client.from_connection_file(sys.argv[1]) as client:
    told = lambda event: print(event.done, flush=True)
    print(client.request("adapt", {params}, on_progress=told).value["steps"], flush=True)
"""


def test_a_client_that_was_suspended_finds_its_work_done(hasty):
    program = CLIENT.replace("{params}", repr(STEPS))
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(hasty.connection_file)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGSTOP)
    time.sleep(5.0)  # the backend has long closed the connection
    process.send_signal(signal.SIGCONT)
    said = process.communicate(timeout=WAIT_S)[0].split()
    assert process.returncode == 0 and said[-1] == "40"


# Others


def test_a_flood_of_requests_of_one_client_leaves_another_one_its_answers(client, shared_backend):
    info = connection_file.read(shared_backend.connection_file)
    stop, busy = threading.Event(), []

    def flood():
        with Client(info.address, info.token, client="flood") as loud:
            loud.connect(timeout_s=WAIT_S)
            while not stop.is_set():
                for _ in range(300):
                    loud.send("adapt", {"source": "steps", "iterations": 1, **FAKE})
                    loud.ping()
                busy.extend(e for e in loud.poll() if hasattr(e, "error") and e.error.code == "busy")

    thread = threading.Thread(target=flood)
    thread.start()
    try:
        for _ in range(20):
            client.ping()
            while not any(type(event).__name__ == "Ponged" for event in client.poll(10.0)):
                pass
            client.request("styles", {}, timeout_s=WAIT_S)
    finally:
        stop.set()
        thread.join()
    assert busy and "waiting already" in str(busy[0].error)
    deadline = time.monotonic() + WAIT_S
    while not idle(client):
        assert time.monotonic() < deadline


def test_a_detached_batch_is_finished_after_the_parent_s_end_and_the_backend_is_gone(start_backend, tmp_path):
    backend = start_backend("--parent-stdin")
    client = backend.connect()
    jobs = {"defaults": {**LOOK, "size": "16x16"}, "items": [{"name": "a", "seeds": "0-30"}]}
    out = tmp_path / "out"
    assert client.request("batch", {"jobs": jobs, "out": str(out), "detach": True}, timeout_s=WAIT_S).value["detached"]
    backend.input.close()  # Blender has died
    assert backend.wait() == 0
    deadline = time.monotonic() + WAIT_S
    while (state := read_state(out))["state"] == "running":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert (state["state"], state["done"], len(list(out.glob("*.png")))) == ("finished", 31, 31)
