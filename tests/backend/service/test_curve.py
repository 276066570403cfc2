"""The service behind CURVE, in a thread of this process: what listens beyond loopback."""

import json
import threading
import time

import pytest
import zmq
from latent_loom.backend.service import keyring
from latent_loom.backend.service.server import serve
from latent_loom.backend.service.settings import ServeSettings
from latent_loom.protocol import connection_file, errors
from latent_loom.protocol.client import Client


def key_pair() -> tuple[str, str]:
    public, secret = zmq.curve_keypair()
    return public.decode(), secret.decode()


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tmp_path_factory.mktemp("guarded") / "data"


@pytest.fixture(scope="module")
def friend(data):
    """(public, secret) of the client that is called laptop."""
    return keyring.add(data, "laptop", "tcp://studio:47555").client_keys


@pytest.fixture(scope="module")
def guarded(data, friend):
    """Connection file of a service that lets `friend` in, and its owner."""
    file = data.parent / "connection.json"
    settings = ServeSettings(
        connection_file=file, data=data, curve=keyring.curve_keys(data), log_file=data.parent / "log.jsonl",
        metrics=data.parent / "loom.prom",
    )  # fmt: skip
    thread = threading.Thread(target=serve, args=(settings,), daemon=True)
    thread.start()
    while not file.exists():
        assert thread.is_alive()
        time.sleep(0.02)
    yield file
    with Client.from_connection_file(file) as owner:
        owner.request("shutdown", {}, timeout_s=30)
    thread.join(30)
    assert not thread.is_alive()


@pytest.fixture
def visitor(guarded, friend):
    """A client with the friend's key."""
    info = connection_file.read(guarded)
    with Client(info.address, "", server_key=info.server_key, client_keys=friend) as client:
        client.connect(timeout_s=30)
        yield client


def test_a_client_whose_key_is_on_the_list_is_served_and_others_are_not(guarded, visitor):
    assert visitor.request("status", {}, timeout_s=30).value["state"] == "idle"
    info = connection_file.read(guarded)
    with (
        Client(info.address, "", server_key=info.server_key, client_keys=key_pair()) as stranger,
        pytest.raises(errors.BackendLost),
    ):
        stranger.connect(timeout_s=5)


def test_the_status_says_who_is_who(guarded, visitor, friend):
    with Client.from_connection_file(guarded) as owner:
        users = {one["user"] for one in owner.request("status", {}, timeout_s=30).value["clients"]}
    assert users == {"owner", "laptop"}


@pytest.mark.parametrize(
    ("type", "params"),
    [
        ("shutdown", {}),
        ("import", {"name": "x", "url": "http://127.0.0.1:1/x.pkl"}),
        ("asset_library", {"folder": "/tmp", "blender": "/bin/sh"}),
        ("batch", {"out": "/tmp/x", "jobs": {"items": []}, "detach": True}),
        ("batch", {"out": "/tmp/x", "jobs": {"items": []}, "cluster": "10.0.0.1:6379"}),
    ],
)
def test_what_reaches_past_the_service_is_the_owners(visitor, type, params):
    with pytest.raises(errors.Forbidden):
        visitor.request(type, params, timeout_s=30)


def test_a_client_with_a_key_names_no_files_where_no_root_is_given(visitor, tmp_path):
    for type, params in {
        "generate": {"seeds": [1], "out": str(tmp_path)},
        "import": {"name": "x", "file": "/etc/passwd"},
        "project": {"name": "x", "file": "/etc/hostname"},
        "adapt": {"name": "x", "images": ["/etc/hostname"]},
        "batch": {"out": str(tmp_path / "b"), "jobs": {"items": []}},
    }.items():
        with pytest.raises(errors.Forbidden, match="--root"):
            visitor.request(type, params, timeout_s=60)
    assert not (tmp_path / "b").exists()


def test_another_key_under_a_clients_name_does_not_get_its_answers(guarded, visitor):
    """Two friends; one says hello with the ROUTER identity of the other."""
    with Client.from_connection_file(guarded) as owner:
        owner._identity = visitor._identity
        owner.connect(timeout_s=30)
        assert owner.request("status", {}, timeout_s=30).value["clients"][0]["user"] == "owner"


def test_a_key_that_was_removed_opens_nothing_any_more(guarded, data):
    info = connection_file.read(guarded)
    guest = keyring.add(data, "guest", "tcp://studio:47555").client_keys
    with Client(info.address, "", server_key=info.server_key, client_keys=guest) as client:
        client.connect(timeout_s=30)
    keyring.remove(data, "guest")
    with (
        Client(info.address, "", server_key=info.server_key, client_keys=guest) as client,
        pytest.raises(errors.BackendLost),
    ):
        client.connect(timeout_s=5)


def test_a_client_whose_key_is_removed_while_it_is_here_is_not_heard_any_more(guarded, data):
    info = connection_file.read(guarded)
    guest = keyring.add(data, "guest", "tcp://studio:47555").client_keys
    with Client(info.address, "", server_key=info.server_key, client_keys=guest) as client:
        client.request("status", {}, timeout_s=30)
        keyring.remove(data, "guest")
        keyring.add(data, "guest", "tcp://studio:47555")  # another key of that name opens nothing for the old one
        with pytest.raises(errors.BackendLost):
            client.request("status", {}, timeout_s=30)
        assert isinstance(client.refused, errors.WrongToken)
    with Client.from_connection_file(guarded) as owner:
        users = {one["user"] for one in owner.request("status", {}, timeout_s=30).value["clients"]}
    keyring.remove(data, "guest")
    assert "guest" not in users


def test_where_the_data_lie_is_told_to_the_owner_alone(guarded, data, visitor):
    told = visitor.request("disk", {}, timeout_s=30).value
    assert told["root"] == "" and told["parts"]["styles"] >= 0
    with Client.from_connection_file(guarded) as owner:
        assert owner.request("disk", {}, timeout_s=30).value["root"] == str(data)


def test_the_log_has_a_line_for_each_job_and_no_secret(guarded, data, visitor, friend):
    visitor.request("models", {}, timeout_s=60)
    log = (data.parent / "log.jsonl").read_text()
    lines = [json.loads(line) for line in log.splitlines()]
    ended = next(line for line in reversed(lines) if line.get("event") == "job_ended" and line["type"] == "models")
    assert (ended["user"], ended["outcome"]) == ("laptop", "done") and ended["id"] > 0
    assert ended["seconds"] >= 0 and ended["waited_s"] >= 0
    info = connection_file.read(guarded)
    assert not any(secret in log for secret in (info.token, info.client_keys[1], friend[1]))


def test_the_metrics_are_there_for_an_existing_tool(guarded, data):
    assert "# TYPE latent_loom_uptime_seconds gauge" in (data.parent / "loom.prom").read_text()
