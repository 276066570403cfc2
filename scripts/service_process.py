"""A backend of its own for the scripts that try the service: a real process with a private data folder."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType

from latent_loom.protocol.client import Client

START_S = 900.0
"""Importing PyTorch takes seconds on a quiet machine, and minutes on one with thirty other jobs."""


class ServiceProcess:
    """`with ServiceProcess() as backend`: started, and ended with the block.

    program   what is run; it takes the options of `python -m latent_loom.backend.service`
    """

    def __init__(self, *options: str, program: tuple[str, ...] = ("-m", "latent_loom.backend.service")) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="latent-loom-")
        self.home = Path(self._folder.name)
        self.data = self.home / "latent-loom"
        self.connection_file = self.data / "connection.json"
        self.log = self.home / "log.txt"
        environment = os.environ | {"XDG_DATA_HOME": str(self.home)}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, *program, "--parent-stdin", *options],
                stdin=subprocess.PIPE, stdout=log, stderr=log, env=environment,
            )  # fmt: skip

    def __enter__(self) -> ServiceProcess:
        until = time.monotonic() + START_S
        while not self.connection_file.exists():
            if self.process.poll() is not None or time.monotonic() > until:
                raise SystemExit(f"The backend did not start: {self.log.read_text()[-2000:]}")
            time.sleep(0.05)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(30)
        self._folder.cleanup()

    def client(self, name: str = "script") -> Client:
        client = Client.from_connection_file(self.connection_file, client=name)
        client.connect(timeout_s=60)
        return client

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    @property
    def resident_mib(self) -> float:
        """Of the process now (Linux)."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text("ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    @property
    def descriptors(self) -> int:
        """Open files of the process now (Linux)."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))
