"""`latent-loom serve` as a process, as Blender starts it."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from latent_loom.backend.cli import doctor_checks, main
from latent_loom.backend.errors import AddressTaken
from latent_loom.backend.service.neighbour import refuse_to_displace
from latent_loom.protocol import connection_file
from latent_loom.protocol.client import Client

SERVE = [sys.executable, "-m", "latent_loom.backend.cli.main", "serve"]


@contextlib.contextmanager
def serving(folder: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """A running backend whose connection file is `folder`/connection.json."""
    path = folder / "connection.json"
    command = [*SERVE, "--parent-stdin", "--connection-file", str(path), "--data", str(folder), *options]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    try:
        while not path.exists() and process.poll() is None:
            time.sleep(0.02)
        yield process
    finally:
        for pipe in (process.stdin, process.stderr):
            assert pipe is not None
            pipe.close()
        process.wait(30)


@pytest.fixture(scope="module")
def backend(tmp_path_factory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("backend")
    with serving(folder, "--threads", "1", "--log-file", str(folder / "backend.log")):
        yield folder


def test_a_client_finds_it_through_the_connection_file(backend):
    with Client.from_connection_file(backend / "connection.json") as client:
        assert client.request("status", timeout_s=30).value["state"] == "idle"
    assert "listening" in (backend / "backend.log").read_text()


def test_doctor_sees_it_running(backend):
    check = doctor_checks.check_connection(backend / "connection.json")
    assert check.state == "ok" and "answers" in check.said


def test_top_shows_it_once_in_a_pipe_and_as_one_object(backend, capsys):
    options = ["top", "--connection-file", str(backend / "connection.json")]
    assert main.main(options) == 0
    assert capsys.readouterr().out.startswith("latent-loom ")
    assert main.main([*options, "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["state"] == "idle"


def test_top_without_a_backend_is_one_sentence(tmp_path, capsys):
    assert main.main(["top", "--connection-file", str(tmp_path / "none.json")]) == 1
    assert "latent-loom serve" in capsys.readouterr().err


def test_a_second_backend_on_its_address_is_refused_in_a_sentence(backend, tmp_path):
    address = connection_file.read(backend / "connection.json").address
    command = [*SERVE, "--address", address, "--connection-file", str(tmp_path / "c.json")]
    outcome = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert outcome.returncode == 1
    assert outcome.stderr.count("\n") == 1 and "Traceback" not in outcome.stderr
    assert not (tmp_path / "c.json").exists()


def test_a_second_backend_leaves_the_connection_file_of_the_first_alone(backend):
    path = backend / "connection.json"
    before = path.read_bytes()
    outcome = subprocess.run([*SERVE, "--connection-file", str(path)], capture_output=True, text=True, timeout=120)
    assert outcome.returncode == 1 and "runs already" in outcome.stderr and "Traceback" not in outcome.stderr
    assert path.read_bytes() == before


def test_a_connection_file_left_over_by_a_killed_backend_is_nobodys(backend, tmp_path):
    first = connection_file.read(backend / "connection.json")
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = f"tcp://127.0.0.1:{closed.getsockname()[1]}"
    connection_file.write(dataclasses.replace(first, address=address), tmp_path / "unheard.json")
    connection_file.write(dataclasses.replace(first, token="0" * 64), tmp_path / "stranger.json")
    refuse_to_displace(tmp_path / "unheard.json")
    refuse_to_displace(tmp_path / "stranger.json")
    with pytest.raises(AddressTaken, match="--connection-file"):
        refuse_to_displace(backend / "connection.json")


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--address", "tcp://127.0.0.1:99999", "is not an address"),
        ("--log-file", "file/below/b.log", "Cannot write the log file"),
        ("--connection-file", "file/below/c.json", "Cannot write the connection file"),
    ],
)
def test_where_it_cannot_listen_or_write_is_one_sentence(tmp_path, option, value, said):
    (tmp_path / "file").write_text("in the way")
    command = [*SERVE, "--connection-file", "c.json", option, value]
    outcome = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert outcome.returncode == 1 and said in outcome.stderr, outcome.stderr


def test_an_address_beyond_loopback_is_refused(tmp_path):
    command = [*SERVE, "--address", "tcp://0.0.0.0:0", "--connection-file", str(tmp_path / "c.json")]
    outcome = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert outcome.returncode == 1 and "Traceback" not in outcome.stderr
    assert not (tmp_path / "c.json").exists()


def test_it_ends_with_its_parent_and_takes_the_connection_file_away(tmp_path):
    with serving(tmp_path) as process:
        assert (tmp_path / "connection.json").exists(), process.stderr.read()
        process.stdin.close()
        assert process.wait(30) == 0
    assert not (tmp_path / "connection.json").exists()
