"""What the soak scripts share: real backend processes in a data folder of their own, started quickly or plainly.

A plain start takes seconds (PyTorch). A `Nursery` is one process that has imported everything and forks a backend each
time: what is forked runs the service's own `main`, listens on its own socket, and is killed and ended like any other.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

START_LIMIT_S = 300.0
SERVICE = "latent_loom.backend.service"


class Home:
    """A data folder with one small random generator, "small", and where its backend says how to be reached."""

    def __init__(self, folder: Path, resolution: int = 16) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.out = folder / "out"
        self.connection_file = folder / "connection.json"
        self.log = folder / "backend.log"
        self.out.mkdir(parents=True, exist_ok=True)
        self._prepare(resolution)

    def _prepare(self, resolution: int) -> None:
        import torch
        from latent_loom.backend.models.store import Store
        from latent_loom.stylegan2.config import GeneratorConfig
        from latent_loom.stylegan2.networks import Generator

        if (self.data / "generators" / "small.safetensors").exists():
            return
        torch.manual_seed(0)
        channels = (8,) * (resolution.bit_length() - 2)
        config = GeneratorConfig(z_dim=8, w_dim=8, resolution=resolution, channels=channels, mapping_layers=2)
        Store(self.data).add_generator(Generator(config).eval(), "small")

    def arguments(self, *options: str) -> list[str]:
        return ["--data", str(self.data), "--connection-file", str(self.connection_file), *options]


class Nursery:
    """Forks backends from a process that has imported everything."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
            env={**os.environ, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")},
        )  # fmt: skip
        self._said("ready")

    def start(self, home: Home, *options: str) -> int:
        """The process id of a new backend."""
        assert self._process.stdin is not None
        print(json.dumps({"argv": home.arguments(*options), "log": str(home.log)}), file=self._process.stdin)
        return int(self._said("pid"))

    def _said(self, key: str) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("The nursery ended; see its errors above.")
        return json.loads(line)[key]

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(60)
        self._process.stdout.close()


class Plain:
    """Starts every backend as a process of its own, as the add-on does."""

    def __init__(self) -> None:
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    def start(self, home: Home, *options: str) -> int:
        command = [sys.executable, "-m", SERVICE, *home.arguments(*options)]
        with home.log.open("ab") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._processes[process.pid] = process
        return process.pid

    def close(self) -> None:
        for process in self._processes.values():
            process.wait(60)


def wait_for_connection_file(home: Home, than: str | None = None) -> str:
    """Wait until a backend of another session than `than` has written it; returns the session."""
    from latent_loom.protocol import connection_file
    from latent_loom.protocol.errors import NoConnectionFile

    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline:
        with contextlib.suppress(NoConnectionFile):
            session = connection_file.read(home.connection_file).session
            if session != than:
                return session
        time.sleep(0.005)
    raise SystemExit(f"The backend did not start within {START_LIMIT_S:.0f} s; see {home.log}.")


def kill(pid: int) -> None:
    """Kill -9, and wait until it is gone."""
    os.kill(pid, signal.SIGKILL)
    while is_alive(pid):
        time.sleep(0.002)


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that has ended and waits to be collected does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def resident_mib(pid: int) -> float:
    """What the process holds in memory now: MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:"))


def table(rows: Sequence[Sequence[Any]], head: Sequence[str]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def _serve(argv: list[str], log: str) -> None:
    """In the forked child: become the backend."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    null, out = os.open(os.devnull, os.O_RDONLY), os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for fd, target in ((null, 0), (out, 1), (out, 2)):
        os.dup2(fd, target)
    from latent_loom.backend.service import __main__ as service

    sys.argv = ["backend", *argv]
    code = 1
    try:
        code = service.main()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _nursery() -> None:
    import open_clip  # noqa: F401
    from latent_loom.backend.adaptation import adapt  # noqa: F401
    from latent_loom.backend.models import store  # noqa: F401
    from latent_loom.backend.textures import batch_run, project, walk  # noqa: F401

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the system collects what ends
    print(json.dumps({"ready": True}), flush=True)
    while True:
        select.select([sys.stdin], [], [])
        line = sys.stdin.readline()
        if not line:
            return
        asked = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _serve(asked["argv"], asked["log"])
        print(json.dumps({"pid": pid}), flush=True)


if __name__ == "__main__":
    _nursery()
