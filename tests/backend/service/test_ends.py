"""How a backend ends, and what it leaves: kills, signals, its parent's end, a taken address."""

import os
import signal
import socket
import time

import pytest
from latent_loom.backend.models.store import Store
from latent_loom.protocol import connection_file, errors

WORK = {"target": "x", "name": "x"}


def begin(client, kind, **params):
    id = client.send("adapt", {"source": kind, **WORK, **params})
    while not any(getattr(event, "id", None) == id and event.done for event in client.poll(0.1)):
        pass
    return id


def test_shutdown_answers_everything_and_ends_with_0(start_backend, collect):
    backend = start_backend()
    client = backend.connect()
    running = begin(client, "steps", iterations=100_000)
    waiting = client.send("adapt", {"source": "steps", **WORK})
    goodbye = client.send("shutdown", {})
    ends = collect(client, running, waiting, goodbye)
    assert {ends[id][-1].error.code for id in (running, waiting)} <= {"shutting_down", "cancelled"}
    assert ends[goodbye][-1].value == {}
    assert backend.wait() == 0
    assert not backend.connection_file.exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order(start_backend, number):
    backend = start_backend()
    client = backend.connect()
    begin(client, "steps", iterations=100_000)
    backend.process.send_signal(number)
    assert backend.wait() == 0
    assert not backend.connection_file.exists()


def test_it_ends_even_if_a_job_does_not_react(start_backend):
    backend = start_backend()
    client = backend.connect()
    client.send("adapt", {"source": "stubborn", "rest_s": 600, **WORK})
    while not client.request("status", {}, timeout_s=30).value["jobs"]:
        time.sleep(0.01)
    backend.process.terminate()
    assert backend.wait() == 0


def test_it_ends_with_its_parent_in_the_middle_of_a_job(start_backend):
    backend = start_backend("--parent-stdin")
    client = backend.connect()
    begin(client, "torch")
    backend.input.close()
    assert backend.wait() == 0
    assert not backend.connection_file.exists()


def test_without_the_parent_watch_the_end_of_input_means_nothing(start_backend):
    backend = start_backend()
    backend.input.close()
    client = backend.connect()
    assert client.request("status", {}, timeout_s=30).value["state"] == "idle"


def test_its_parent_may_end_while_it_still_starts(start_backend):
    backend = start_backend("--parent-stdin", ready=False)
    backend.input.close()
    assert backend.wait() == 0


def test_a_taken_address_is_said_in_a_sentence(start_backend):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        backend = start_backend("--address", address, ready=False)
        assert backend.wait() == 1
    said = backend.log.read_text()
    assert "Another program listens on " + address in said
    assert "Traceback" not in said
    assert not backend.connection_file.exists()


def test_a_second_backend_on_the_first_ones_address_leaves_the_first_one_alone(start_backend, tmp_path):
    first = start_backend()
    address = connection_file.read(first.connection_file).address
    second = start_backend("--address", address, home=tmp_path, ready=False)
    assert second.wait() == 1
    assert first.connect().request("status", {}, timeout_s=30).value["state"] == "idle"


def test_an_address_that_others_reach_is_refused(start_backend):
    backend = start_backend("--address", "tcp://0.0.0.0:0", ready=False)
    assert backend.wait() == 1
    assert "can be reached from other machines" in backend.log.read_text()


def test_the_connection_file_is_for_its_owner_alone(start_backend):
    backend = start_backend()
    assert backend.connection_file.stat().st_mode & 0o777 == 0o600


def test_a_kill_in_the_middle_is_noticed_and_the_next_backend_is_found(start_backend, tmp_path, collect):
    backend = start_backend()
    client = backend.connect()
    id = begin(client, "steps", iterations=100_000)
    backend.process.kill()
    backend.wait()
    again = start_backend(home=tmp_path, ready=False)
    assert isinstance(collect(client, id)[id][-1].error, errors.BackendLost)
    again.wait_until_ready()
    client.connect(timeout_s=60)
    assert client.request("status", {}, timeout_s=60).value["state"] == "idle"


@pytest.mark.parametrize("moment_s", [0.0, 0.013, 0.11])
def test_a_kill_while_files_are_written_leaves_none_half(start_backend, moment_s):
    backend = start_backend()
    begin(backend.connect(), "saving")
    time.sleep(moment_s)
    os.kill(backend.process.pid, signal.SIGKILL)
    backend.wait()
    store = Store(backend.data)
    assert store.style("saved").info.name == "saved"
    assert [(entry.name, entry.broken) for entry in store.styles() if not entry.builtin] == [("saved", None)]
    mine = [entry for entry in store.generators() if not entry.builtin]
    assert [(entry.name, entry.broken) for entry in mine] == [("copy", None), ("small", None)]
    assert store.generator("copy").config == store.generator("small").config
