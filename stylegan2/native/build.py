"""Builds the native kernels with ninja, once for each machine, into the user's cache folder.

    python -m latent_loom.stylegan2.native.build

A plain shared library: no Python headers are needed, only a C++ compiler (and nvcc, where PyTorch sees a GPU). Its
folder is named by a hash of everything that decides its code: PyTorch, compiler, processor features, flags and sources.
It is built under a temporary name, under a lock and within BUILD_LIMIT_S, and renamed when it is whole.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

SOURCES = Path(__file__).parent
BUILD_LIMIT_S = 600.0
"""Building takes some ten seconds of one core, a GPU's kernels a minute; a crowded machine takes many times longer."""


class BuildError(Exception):
    """No library; `str()` says why and what to do, in a sentence."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """One library: its source, the command that makes it, and where it belongs."""

    source: Path
    command: tuple[str, ...]
    library: Path

    @property
    def log(self) -> Path:
        """What the compiler said; without a library beside it, the build failed."""
        return self.library.with_suffix(".log")


def target(device: str = "cpu") -> Target:
    """The library for "cpu" or "cuda" on this machine. Raises BuildError where there is no compiler."""
    if sys.platform not in ("linux", "darwin"):
        raise BuildError("the native kernels are built on Linux and macOS only")
    source = SOURCES / ("kernels.cpp" if device == "cpu" else "kernels.cu")
    compiler = _compiler(device)
    folder = Path(torch.__file__).parent
    libraries = ("c10", "torch_cpu") if device == "cpu" else ("c10", "torch_cpu", "c10_cuda", "torch_cuda")
    command = (
        compiler,
        *_flags(device),
        *(f"-I{folder / 'include' / part}" for part in ("", "torch/csrc/api/include")),
        f"-L{folder / 'lib'}",
        *(f"-l{name}" for name in libraries),
    )
    sources = b"".join((SOURCES / name).read_bytes() for name in (source.name, "kernels.h"))
    version = subprocess.run([compiler, "--version"], capture_output=True, text=True, timeout=60).stdout
    decides = repr((torch.__version__, version, _features(device), command[1:])).encode() + sources
    key = hashlib.sha256(decides).hexdigest()[:16]
    suffix = ".dylib" if sys.platform == "darwin" else ".so"
    return Target(source=source, command=command, library=cache_folder() / key / f"latent_loom_{device}{suffix}")


def build(wanted: Target) -> Path:
    """The library, built unless it is there. Raises BuildError."""
    if wanted.library.exists():
        return wanted.library
    try:
        wanted.library.parent.mkdir(parents=True, exist_ok=True)
        with _lock(wanted.library.with_suffix(".lock")):
            if not wanted.library.exists():  # another process may have built it meanwhile
                _run_ninja(wanted)
    except OSError as error:
        raise BuildError(
            f"the native kernels cannot be written to {wanted.library.parent}: {error.strerror}"
        ) from error
    return wanted.library


def cache_folder() -> Path:
    """`native/` in the user's cache folder."""
    if sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "latent-loom" / "native"


def _compiler(device: str) -> str:
    names = ("nvcc",) if device == "cuda" else (os.environ.get("CXX", ""), "g++", "clang++", "c++")
    for name in filter(None, names):
        found = shutil.which(name)
        if found:
            return found
    wanted = "nvcc of the CUDA toolkit" if device == "cuda" else "a C++ compiler such as g++"
    raise BuildError(f"there is no compiler for the native kernels; install {wanted}")


def _flags(device: str) -> tuple[str, ...]:
    common = ("-std=c++20", "-O3", "-shared")
    if device == "cuda":
        major, minor = torch.cuda.get_device_capability()
        return (*common, "--expt-relaxed-constexpr", f"-arch=sm_{major}{minor}", "-Xcompiler", "-fPIC")
    own = (
        "-fPIC",
        "-fno-math-errno",
        "-fno-trapping-math",
        f"-D_GLIBCXX_USE_CXX11_ABI={int(torch.compiled_with_cxx11_abi())}",
    )
    if sys.platform == "darwin":  # its clang has no OpenMP: one thread
        return (*common, *own, "-mcpu=native")
    return (*common, *own, "-fopenmp", "-mcpu=native" if platform.machine() == "aarch64" else "-march=native")


def _features(device: str) -> str:
    """What `-march=native` (or the GPU's architecture) stands for on this machine."""
    if device == "cuda":
        return str(torch.cuda.get_device_capability())
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.lower().startswith(("flags", "features")):
                return " ".join(sorted(line.split(":", 1)[1].split()))
    return f"{platform.machine()} {platform.processor()}"


def _run_ninja(wanted: Target) -> None:
    with tempfile.TemporaryDirectory(dir=wanted.library.parent, prefix="build-") as name:
        folder = Path(name)
        made = folder / wanted.library.name
        command = " ".join(
            _escaped(part) for part in (wanted.command[0], str(wanted.source), "-o", "$out", *wanted.command[1:])
        )
        rule = f"rule library\n  command = {command}\nbuild {made.name}: library\ndefault {made.name}\n"
        (folder / "build.ninja").write_text(rule)
        process = subprocess.Popen(
            [_ninja(), "-C", str(folder)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            said, _ = process.communicate(timeout=BUILD_LIMIT_S)
        except BaseException as error:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            if isinstance(error, subprocess.TimeoutExpired):
                wanted.log.write_text(f"stopped after {BUILD_LIMIT_S:.0f} s\n")
                raise BuildError(f"building the native kernels took longer than {BUILD_LIMIT_S:.0f} s") from error
            raise
        wanted.log.write_text(said)
        if process.returncode != 0 or not made.exists():
            raise BuildError(f"the native kernels did not compile; {wanted.log} says why")
        made.replace(wanted.library)


def _escaped(part: str) -> str:
    """For a shell command in a ninja file, where $ and : are special."""
    if part == "$out":
        return part
    quoted = "'" + part.replace("'", "'\\''") + "'"
    return quoted.replace("$", "$$")


def _ninja() -> str:
    """The program of the pip package, or one on the path."""
    for folder in (Path(sysconfig.get_path("scripts")), Path(sys.executable).parent):
        if (folder / "ninja").is_file():
            return str(folder / "ninja")
    with contextlib.suppress(ImportError):
        import ninja

        if (Path(ninja.BIN_DIR) / "ninja").is_file():
            return str(Path(ninja.BIN_DIR) / "ninja")
    found = shutil.which("ninja")
    if found is None:
        raise BuildError("there is no ninja to build the native kernels with; install it: pip install ninja")
    return found


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """The file's lock, which dies with the process that holds it. Raises BuildError after BUILD_LIMIT_S."""
    import fcntl

    until = time.monotonic() + BUILD_LIMIT_S
    with path.open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise BuildError("another process is still building the native kernels") from None
                time.sleep(0.1)
        yield


if __name__ == "__main__":
    try:
        for device in ("cpu", *(("cuda",) if torch.cuda.is_available() else ())):
            print(build(target(device)))
    except BuildError as error:
        sys.exit(f"{error}.")
