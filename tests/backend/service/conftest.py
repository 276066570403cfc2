"""Real backend processes for the tests of the service, each with a data folder of its own and one small generator."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from latent_loom.backend.models.store import Store
from latent_loom.protocol.client import Client
from latent_loom.stylegan2.config import GeneratorConfig
from latent_loom.stylegan2.networks import Generator

START_LIMIT_S = 600.0
FAKE = Path(__file__).with_name("fake_backend.py")


class Backend:
    """One process. `input` is its standard input, which `--parent-stdin` watches."""

    def __init__(self, home: Path, *options: str, environment: dict[str, str] | None = None) -> None:
        self.home = home
        self.data = home / "latent-loom"
        self.connection_file = self.data / "connection.json"
        self.log = home / f"log-{time.monotonic_ns()}.txt"
        self.clients: list[Client] = []
        environment = {**os.environ, "XDG_DATA_HOME": str(home), "OMP_NUM_THREADS": "1", **(environment or {})}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(FAKE), *options], stdin=subprocess.PIPE, stdout=log, stderr=log, env=environment
            )
        assert self.process.stdin is not None
        self.input = self.process.stdin

    def wait_until_ready(self) -> Backend:
        deadline = time.monotonic() + START_LIMIT_S
        while not self.connection_file.exists():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, "the backend did not start"
            time.sleep(0.02)
        return self

    def connect(self) -> Client:
        client = Client.from_connection_file(self.connection_file)
        self.clients.append(client)
        client.connect(timeout_s=30.0)
        return client

    def wait(self) -> int:
        return self.process.wait(60)

    def close(self) -> None:
        for client in self.clients:
            client.close()
        self.process.kill()
        self.process.wait(60)
        self.input.close()


def small_generator(seed: int = 0) -> Generator:
    torch.manual_seed(seed)
    return Generator(GeneratorConfig(z_dim=8, w_dim=8, resolution=16, channels=(8, 8, 8), mapping_layers=2)).eval()


def prepared(home: Path) -> Path:
    Store(home / "latent-loom").add_generator(small_generator(), "small")
    return home


@pytest.fixture
def store(tmp_path) -> Store:
    """A store with the generator "small", in this process."""
    return Store(prepared(tmp_path / "home") / "latent-loom")


@pytest.fixture(scope="session")
def shared_backend(tmp_path_factory):
    """One backend for all tests that leave it as they found it."""
    home = prepared(tmp_path_factory.mktemp("home"))
    running = Backend(home, environment={"GRACE_S": "2"}).wait_until_ready()
    yield running
    running.close()


@pytest.fixture
def client(shared_backend):
    connected = shared_backend.connect()
    yield connected
    for id in connected.pending:
        connected.cancel(id)
    deadline = time.monotonic() + 30
    while connected.pending and time.monotonic() < deadline:
        connected.poll(0.1)
    connected.close()
    shared_backend.clients.remove(connected)


@pytest.fixture
def start_backend(tmp_path):
    """Starts backends of one's own: start_backend(*options, home=..., VARIABLE=...)."""
    started = []

    def start(*options: str, home: Path | None = None, ready: bool = True, **environment: str) -> Backend:
        backend = Backend(home or prepared(tmp_path), *options, environment=environment)
        started.append(backend)
        return backend.wait_until_ready() if ready else backend

    yield start
    for backend in started:
        backend.close()


@pytest.fixture
def collect():
    """Polls a client until a request has ended; returns all its events, the last one Finished or Failed."""

    def until_end(client: Client, *ids: int, limit_s: float = 60.0) -> dict[int, list]:
        events: dict[int, list] = {id: [] for id in ids}
        deadline = time.monotonic() + limit_s
        while any(not seen or type(seen[-1]).__name__ not in ("Finished", "Failed") for seen in events.values()):
            assert time.monotonic() < deadline, f"no end of {ids}"
            for event in client.poll(0.1):
                if getattr(event, "id", None) in events:
                    events[event.id].append(event)
        return events

    return until_end
