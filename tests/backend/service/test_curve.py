"""The service behind CURVE, in a thread of this process: what listens beyond loopback."""

import threading
import time

import pytest
import zmq
from latent_loom.backend.service.auth import CurveKeys
from latent_loom.backend.service.server import serve
from latent_loom.backend.service.settings import ServeSettings
from latent_loom.protocol import connection_file, errors
from latent_loom.protocol.client import Client


def key_pair() -> tuple[str, str]:
    public, secret = zmq.curve_keypair()
    return public.decode(), secret.decode()


@pytest.fixture
def friend():
    return key_pair()


@pytest.fixture
def guarded(tmp_path, friend):
    """Address and public key of a service that lets `friend` in."""
    public, secret = key_pair()
    file = tmp_path / "connection.json"
    keys = CurveKeys(public_key=public, secret_key=secret, allowed_clients=frozenset({friend[0]}))
    settings = ServeSettings(connection_file=file, data=tmp_path / "data", curve=keys, log_file=tmp_path / "log.txt")
    thread = threading.Thread(target=serve, args=(settings,))
    thread.start()
    while not file.exists():
        assert thread.is_alive()
        time.sleep(0.02)
    address = connection_file.read(file).address
    yield address, public
    with Client(address, "", server_key=public, client_keys=friend) as client:
        client.request("shutdown", {}, timeout_s=30)
    thread.join(30)
    assert not thread.is_alive()


def test_a_client_whose_key_is_on_the_list_is_served_and_others_are_not(guarded, friend):
    address, public = guarded
    with Client(address, "", server_key=public, client_keys=friend) as client:
        assert client.request("status", {}, timeout_s=30).value["state"] == "idle"
    with Client(address, "", server_key=public, client_keys=key_pair()) as stranger, pytest.raises(errors.BackendLost):
        stranger.connect(timeout_s=5)
