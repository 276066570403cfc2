# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets up the backend in a virtual environment of its own: a few processes one after another, watched without waiting.

Nothing is installed into Blender. What is there already is used again, so a broken download is mended by going on. Only
an environment that came to its end carries the file `MARK`, and only such a one is started. No bpy in here.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shlex
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .child import MARK, environment, no_window, tail, venv_python
from .machine import GIB, Torch
from .pip_output import Heard, reason

WAITING, RUNNING, FINISHED, FAILED, CANCELLED = "WAITING", "RUNNING", "FINISHED", "FAILED", "CANCELLED"
ABSENT, PARTIAL, OUTDATED, READY = "ABSENT", "PARTIAL", "OUTDATED", "READY"
LINE_LENGTH = 60
SIGN = "---"
TORCH_NOTE = "torch-of-latent-loom.txt"
TORCH = ("torch>=2.4", "torchvision")

CHECK_PYTHON = """
import sys
if sys.version_info < (3, 11):
    sys.exit("error: this is Python %d.%d; Latent Loom needs 3.11 or newer" % sys.version_info[:2])
import venv, ensurepip
"""
TRY_IT = """
import latent_loom.backend.cli.main, open_clip, torch, zmq
from latent_loom.protocol import VERSION
where = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
print("Latent Loom", VERSION, "with torch", torch.__version__, "on", where)
"""
WRITE = "import pathlib, sys; pathlib.Path(sys.argv[1]).write_text(sys.argv[2], 'utf-8')"
REMOVE = "import shutil, sys; shutil.rmtree(sys.argv[1], ignore_errors=True)"


@dataclass(frozen=True, kw_only=True)
class Step:
    """title  what the panel says meanwhile
    argv   the process
    share  of the progress bar, in any unit
    """

    title: str
    argv: Sequence[str]
    share: float = 1.0


def steps(base_python: Path, folder: Path, wheel: Path, torch: Torch, *, anew: bool = False) -> list[Step]:
    """What brings the backend in `wheel` into an environment in `folder`, made with `base_python`.

    anew  remove what is there first: the Repair button
    """
    python = str(venv_python(folder))
    pip = [python, "-m", "pip", "--disable-pip-version-check", "--no-input", "install"]
    # Both options are too new for the pip that Python brings; it is made new in a step of its own.
    careful = ["--progress-bar", "raw", "--retries", "5", "--resume-retries", "10", "--timeout", "30"]
    index = ["--index-url", torch.index] if torch.index else []
    anew = anew or other_torch(folder, torch)
    there = Path(python).is_file() and not anew
    note = [str(base_python), "-c", WRITE, str(folder / TORCH_NOTE), torch.index or "default"]
    return [
        Step(title="Looking at Python", argv=[str(base_python), "-c", CHECK_PYTHON]),
        *([Step(title="Removing the old one", argv=[str(base_python), "-c", REMOVE, str(folder)])] if anew else []),
        *([] if there else [Step(title="Making its folder", argv=[str(base_python), "-m", "venv", str(folder)])]),
        Step(title="Noting what it is for", argv=note, share=0.1),
        Step(title="Updating its installer", argv=[*pip, "--upgrade", "--retries", "5", "pip>=25.1"]),
        Step(title="PyTorch", argv=[*pip, *careful, *index, *TORCH], share=70),
        # The wheel of a new release may have an old number, so it is put in whatever is there; what it needs follows.
        Step(title="Latent Loom", argv=[*pip, "--no-deps", "--force-reinstall", str(wheel)]),
        Step(title="What belongs to it", argv=[*pip, *careful, str(wheel)], share=20),
        Step(title="Trying it", argv=[python, "-c", TRY_IT], share=4),
    ]


def condition(folder: Path, wheel: Path | None) -> str:
    """ABSENT, PARTIAL (begun and never finished), OUTDATED (made from another wheel than `wheel`) or READY."""
    if not venv_python(folder).is_file():
        return ABSENT
    mark = read_mark(folder)
    if mark is None:
        return PARTIAL
    return OUTDATED if wheel is not None and mark.get("wheel") != digest(wheel) else READY


def other_torch(folder: Path, torch: Torch) -> bool:
    """Whether the environment in `folder` was begun with another kind of PyTorch: pip would leave that as it is."""
    try:
        return (folder / TORCH_NOTE).read_text("utf-8") != (torch.index or "default")
    except OSError:
        return False


def read_mark(folder: Path) -> dict | None:
    """What the finished environment in `folder` says of itself: wheel (its digest), said. None: never finished."""
    try:
        mark = json.loads((folder / MARK).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return mark if isinstance(mark, dict) else None


_digests: dict[tuple[str, int], str] = {}


def digest(wheel: Path) -> str:
    """sha256 of the wheel, from the file beside it that the builder wrote; read once, since panels ask often."""
    key = (str(wheel), wheel.stat().st_mtime_ns)
    if key not in _digests:
        beside = wheel.with_name(f"{wheel.name}.sha256")
        known = beside.read_text("ascii").strip() if beside.is_file() else ""
        _digests[key] = known or hashlib.sha256(wheel.read_bytes()).hexdigest()
    return _digests[key]


def own_command(wheel: Path | None, torch: Torch, *, windows: bool = os.name == "nt") -> str:
    """One line for a terminal that installs and starts the backend, for those who look after Python themselves."""
    what = str(wheel) if wheel else "latent-loom"
    index = f" --extra-index-url {torch.index}" if torch.index else ""
    if windows:
        folder = r"%USERPROFILE%\latent-loom"
        return (
            f'py -3 -m venv "{folder}" && "{folder}\\Scripts\\pip" install "{what}"{index} '
            f'&& "{folder}\\Scripts\\latent-loom" serve'
        )
    folder = "~/latent-loom"
    return (
        f"python3 -m venv {folder} && {folder}/bin/pip install {shlex.quote(what)}{index} "
        f"&& {folder}/bin/latent-loom serve"
    )


class Installation:
    """The run of all steps. `state` and `line()` are what the panel draws; `poll` moves it on.

    todo      the steps
    log       takes all output
    folder    gets the mark at the end
    wheel     what is installed
    expected  bytes that are fetched, about
    when      asked before the first step: whether it may begin (an old backend may be ending still)
    """

    def __init__(
        self,
        todo: Sequence[Step],
        log: Path,
        *,
        folder: Path | None = None,
        wheel: Path | None = None,
        expected: float = 0.0,
        when: Callable[[], bool] = lambda: True,
    ) -> None:
        self.state = WAITING
        self.log = log
        self.heard = Heard()
        self._todo = list(todo)
        self._shares = sum(step.share for step in todo) or 1.0
        self._folder, self._wheel, self._expected, self._when = folder, wheel, expected, when
        self._process: subprocess.Popen | None = None
        self._read = 0
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_bytes(b"")
        if folder is not None:
            with contextlib.suppress(OSError):
                (folder / MARK).unlink(missing_ok=True)
        self.poll()

    @property
    def running(self) -> bool:
        """Whether a process is still there, be it one that was told to stop."""
        return self.state in (WAITING, RUNNING) or self._process is not None

    @property
    def fraction(self) -> float:
        """0 to 1. Within a step by the bytes that came, of those expected."""
        done = 1 - sum(step.share for step in self._todo) / self._shares
        if not self._todo or not self._expected:
            return done
        whole = self._todo[0].share / self._shares
        come = 0.95 if self.heard.unpacking else min(0.95, self.heard.bytes / self._expected)
        return done + whole * come

    def line(self) -> str:
        """`PyTorch: fetching torch 2.9.1, 340 of 900 MB`."""
        if self.state == WAITING:
            return "Waiting for the backend to end"
        if not self._todo:
            return "Done"
        title, doing = self._todo[0].title, self.heard.line()
        return f"{title}: {doing}"[:LINE_LENGTH] if doing and self.state == RUNNING else title

    def poll(self) -> None:
        """See whether the step that runs has ended, and go on."""
        if self.state == WAITING and self._when():
            self.state = RUNNING
            self._next()
            return
        self._listen()
        if self._process is None or (code := self._process.poll()) is None:
            return
        self._process = None
        if self.state == CANCELLED:
            return
        if code:
            self.state = FAILED
            return
        self._todo.pop(0)
        self._next()

    def cancel(self) -> None:
        """Stop; what was downloaded so far is found again the next time."""
        if self.state in (WAITING, RUNNING):
            self.state = CANCELLED
        if self._process is not None:
            self._process.terminate()

    def end(self, limit_s: float = 2.0) -> None:
        """Stop it now, for Blender's exit; waits at most `limit_s`."""
        self.cancel()
        if self._process is not None:
            try:
                self._process.wait(limit_s)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def problem(self) -> str:
        """One sentence for a run that failed."""
        at = self._todo[0].title if self._todo else "the end"
        if self.state == CANCELLED:
            return f"Setting up the backend was stopped at “{at}”; it goes on from there the next time."
        lines = tail(self.log, 60)
        begins = [number for number, line in enumerate(lines) if line.startswith(SIGN)]
        own = lines[begins[-1] + 1 :] if begins else lines  # an earlier step's warnings are not its reason
        return f"Setting up the backend failed at “{at}”: {reason(own)}"

    @property
    def damaged(self) -> bool:
        """Whether everything was installed and does not work: going on would not help, beginning anew may."""
        return self.state == FAILED and len(self._todo) == 1

    def _listen(self) -> None:
        """Read what the log has more than last time, whole lines only."""
        try:
            with self.log.open("rb") as file:
                file.seek(self._read)
                fresh = file.read()
        except OSError:
            return
        whole = fresh[: fresh.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in whole.decode("utf-8", "replace").splitlines():
            self.heard.take(line)

    def _next(self) -> None:
        self.heard = Heard()
        if not self._todo:
            self._finish()
            return
        with self.log.open("ab") as output:
            output.write(f"{SIGN} {self._todo[0].title}\n".encode())
            output.flush()
            try:
                self._process = subprocess.Popen(
                    list(self._todo[0].argv),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=environment(os.environ),
                    cwd=self.log.parent,
                    creationflags=no_window(),
                )
            except OSError as error:
                output.write(f"error: {error}\n".encode())
                self.state = FAILED

    def _finish(self) -> None:
        if self._folder is not None and self._wheel is not None:
            said = (tail(self.log, 1) or [""])[0]
            text = json.dumps({"wheel": digest(self._wheel), "said": said})
            temporary = self._folder / f"{MARK}.part"
            try:
                temporary.write_text(text, "utf-8")
                temporary.replace(self._folder / MARK)
            except OSError as error:
                self.state = FAILED
                with self.log.open("ab") as output:
                    output.write(f"error: {error}\n".encode())
                return
        self.state = FINISHED


def expected_bytes(torch: Torch) -> float:
    return torch.download_gib * GIB
