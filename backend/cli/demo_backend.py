"""The demo's backend: a process of its own, as Blender would start it, found through its connection file."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType

from ...protocol.client import Client
from ..errors import LoomError

START_LIMIT_S = 120.0  # the first start of a fresh installation compiles and reads all of PyTorch
STOP_LIMIT_S = 10.0


class BackendProcess:
    """A `latent-loom serve` that ends with this context, or with this process.

    data    its data folder
    folder  takes its log, `backend.log`
    """

    def __init__(self, *, data: Path, folder: Path, threads: int | None = None) -> None:
        self.data = data
        self.log = folder / "backend.log"
        self.threads = threads
        self.said = ""
        self._private = tempfile.TemporaryDirectory(prefix="latent-loom-")  # not in `folder`: the file holds the token
        self.connection_file = Path(self._private.name) / "connection.json"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> BackendProcess:
        command = [sys.executable, "-m", "latent_loom.backend.cli.main", "serve", "--parent-stdin"]
        command += ["--data", str(self.data), "--connection-file", str(self.connection_file)]
        if self.threads:
            command += ["--threads", str(self.threads)]
        with self.log.open("wb") as log:
            # A session of its own: Ctrl-C is for the demo, which then ends its backend in order.
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=os.name == "posix"
            )
        return self

    def connect(self) -> Client:
        """A client of this backend, once it listens and has said welcome."""
        assert self._process is not None, "connect inside the context"
        deadline = time.monotonic() + START_LIMIT_S
        while not self.connection_file.exists():
            if self._process.poll() is not None:
                raise LoomError(f"The backend ended at once; its last words: {self._last_words()}")
            if time.monotonic() > deadline:
                raise LoomError(f"The backend did not start within {START_LIMIT_S:.0f} s; see {self.log}.")
            time.sleep(0.02)
        client = Client.from_connection_file(self.connection_file)
        welcome = client.connect(timeout_s=30.0)
        self.said = f"{welcome.server} {welcome.version} on {welcome.device}"
        return client

    def describe(self) -> str:
        assert self._process is not None
        return f"{self.said}, process {self._process.pid}, log {self.log}"

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the pipe that it watches; firmer if that does not end it."""
        process = self._process
        if process is not None:
            with contextlib.suppress(OSError):
                if process.stdin:
                    process.stdin.close()
            for firmer in (process.terminate, process.kill):
                try:
                    process.wait(STOP_LIMIT_S)
                    break
                except subprocess.TimeoutExpired:
                    firmer()
            process.wait()
        self._private.cleanup()

    def _last_words(self) -> str:
        lines = [line for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
        return lines[-1] if lines else "none"
