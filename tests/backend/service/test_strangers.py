"""Raw sockets against a real backend: who has no token cannot make it grow, nor keep others out."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import pytest
from latent_loom.backend.service import porch
from latent_loom.protocol import connection_file, errors
from latent_loom.protocol.client import Client

linux = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory of another process is read from /proc")
GREETING = b"\xff" + bytes(8) + b"\x7f" + b"\x03\x01" + b"PLAIN".ljust(20, b"\0") + bytes(32)
"""ZMTP 3.1 as a client with PLAIN begins (ZeroMQ RFC 37)."""

MIB = 1 << 20
MAY_GROW_MIB = 48
"""What a process may come by while strangers are shut out; without the porch one of them brings 200."""


def resident_mib(backend) -> float:
    pages = int(Path(f"/proc/{backend.process.pid}/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / MIB


def descriptors(backend) -> int:
    return len(list(Path(f"/proc/{backend.process.pid}/fd").iterdir()))


def stranger(backend) -> socket.socket:
    host, port = connection_file.read(backend.connection_file).address.removeprefix("tcp://").rsplit(":", 1)
    return socket.create_connection((host, int(port)), timeout=5)


def pour(connection: socket.socket, mib: int) -> None:
    """Send so much, or as much as is taken."""
    try:
        for _ in range(mib):
            connection.sendall(bytes(MIB))
    except OSError:
        pass  # shut out


@linux
@pytest.mark.parametrize(
    "begins",
    [
        GREETING + b"\x06" + (200 * MIB).to_bytes(8, "big"),  # a long command, in the handshake
        GREETING + b"\x02" + (200 * MIB).to_bytes(8, "big"),  # a long message, before the handshake
        GREETING + b"\x04\x26\x05HELLO\x0blatent-loom\x14" + bytes(20) + b"\x03" + (200 * MIB).to_bytes(8, "big"),
        b"\x01\x00" + b"\xff" + (200 * MIB).to_bytes(8, "big"),  # ZMTP 1.0
        b"GET / HTTP/1.1\r\n",
    ],
    ids=["command", "message", "after a wrong token", "an old version", "a browser"],
)
def test_what_a_stranger_streams_is_not_kept(shared_backend, begins):
    before = resident_mib(shared_backend)
    connections = [stranger(shared_backend) for _ in range(2)]
    for connection in connections:
        connection.sendall(begins)
    most = 0.0
    for connection in connections:
        pour(connection, 100)
        most = max(most, resident_mib(shared_backend))
    for connection in connections:
        connection.close()
    assert most - before < MAY_GROW_MIB


@linux
def test_half_open_connections_are_bounded_and_keep_nobody_out(shared_backend):
    before = descriptors(shared_backend)
    half_open = []
    for _ in range(4 * porch.MOST_WAITING):
        half_open.append(stranger(shared_backend))
        half_open[-1].sendall(GREETING[:12])
    with Client.from_connection_file(shared_backend.connection_file) as client:
        assert client.request("status", {}, timeout_s=60).value["refused"] > 0
    assert descriptors(shared_backend) - before <= porch.MOST_WAITING + 8
    for connection in half_open:
        connection.close()


def test_wrong_tokens_are_refused_and_fill_no_log(shared_backend):
    info = connection_file.read(shared_backend.connection_file)
    lines = shared_backend.log.read_text().count("refused a connection")
    began = time.monotonic()
    for _ in range(5):
        with Client(info.address, "0" * 64) as client, pytest.raises(errors.WrongToken):
            client.connect(timeout_s=30)
    seconds = time.monotonic() - began
    assert shared_backend.log.read_text().count("refused a connection") - lines <= seconds + 1


def test_the_backends_own_files_and_what_is_no_file_are_closed_to_the_owner_too(client, shared_backend, tmp_path):
    for path in (shared_backend.connection_file, shared_backend.data / "keys" / "server.json"):
        with pytest.raises(errors.Forbidden):
            client.request("project", {"name": "x", "file": str(path)}, timeout_s=60)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(errors.BadRequest, match="neither a file nor a folder"):
        client.request("import", {"name": "x", "file": str(tmp_path / "pipe")}, timeout_s=60)


def test_the_status_tells_of_jobs_clients_and_memory(client):
    value = client.request("status", {}, timeout_s=60).value
    assert value["resident_mib"] > 1 and value["uptime_s"] > 0
    own = next(one for one in value["clients"] if one["client"] == client._identity.hex()[:8])
    assert (own["name"], own["user"]) == ("latent-loom", "owner")
    client.request("models", {}, timeout_s=60)
    assert client.request("status", {}, timeout_s=60).value["ended"]["done"] > value["ended"].get("done", 0)
