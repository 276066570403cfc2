from __future__ import annotations

import socket
import sys

import pytest
from latent_loom.backend.service import trickle
from latent_loom.backend.service.porch import Porch

linux = pytest.mark.skipif(sys.platform != "linux", reason="the brake is a filter of Linux")


@pytest.fixture
def connection():
    """(accepted, the other end) of a TCP connection on loopback."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as other:
        accepted, _ = server.accept()
        with accepted:
            yield accepted, other


def braked(accepted: socket.socket) -> bool:
    return len(accepted.getsockopt(socket.SOL_SOCKET, trickle._ATTACH, 64)) > 0  # SO_GET_FILTER has that number, too


@linux
def test_a_connection_is_braked_until_its_first_message_has_come_through(connection):
    accepted, _ = connection
    porch = Porch()
    try:
        porch.arrived(accepted.fileno())
        assert braked(accepted)
        porch.left(accepted.fileno())
        assert not braked(accepted)
    finally:
        porch.close()


@linux
def test_small_packets_come_through_a_brake_and_large_ones_once_it_is_off(connection):
    accepted, other = connection
    accepted.settimeout(30)
    trickle.slow(accepted.fileno())
    for _ in range(20):
        other.sendall(b"x" * 1000)
        assert len(accepted.recv(1000, socket.MSG_WAITALL)) == 1000
    trickle.free(accepted.fileno())
    other.sendall(b"y" * 100_000)
    assert accepted.recv(100_000, socket.MSG_WAITALL) == b"y" * 100_000


def test_what_is_no_socket_any_more_is_let_be(tmp_path):
    with (tmp_path / "file").open("wb") as file:
        trickle.slow(file.fileno())
    trickle.free(10**6)
