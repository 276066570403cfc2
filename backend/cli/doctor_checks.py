"""What `latent-loom doctor` looks at. Every check ends in a sentence, whatever goes wrong in it."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ...protocol import connection_file as connection
from ...protocol.data_folder import data_folder
from ...protocol.errors import BackendLost
from .crash import explain

LIBRARIES = ("torch", "torchvision", "open-clip-torch", "safetensors", "pyzmq", "msgpack", "numpy", "pillow", "tqdm")
LITTLE_SPACE_GIB = 2.0  # a set of a few hundred textures with PBR maps


@dataclass(frozen=True, kw_only=True)
class Check:
    """One line: what was looked at, its state (ok, warn or fail) and a sentence."""

    name: str
    state: str
    said: str


def all_checks(data: Path | None, connection_path: Path | None, threads: int | None) -> Iterator[Check]:
    """Every check in turn, each yielded as soon as it is done.

    data             the data folder, None for the user's own
    connection_path  the connection file, None for the user's own
    """
    checks: tuple[tuple[str, Callable[[], Check]], ...] = (
        ("versions", check_versions),
        ("device", check_device),
        ("threads", lambda: check_threads(threads)),
        ("kernels", check_kernels),
        ("data folder", lambda: check_folder(data or data_folder())),
        ("built-in models", check_builtin_models),
        ("generators", lambda: check_generators(data)),
        ("styles", lambda: check_styles(data)),
        ("keys", lambda: check_keys(data)),
        ("self-test", check_texture),
        ("connection", lambda: check_connection(connection_path or connection.default_path())),
    )
    for name, check in checks:
        try:
            yield check()
        except Exception as error:  # the boundary: a broken part must not hide the state of the others
            yield Check(name=name, state="fail", said=str(explain(error, data)))


def check_versions() -> Check:
    found, missing = [f"Python {sys.version.split()[0]}"], []
    for library in LIBRARIES:
        try:
            found.append(f"{library} {importlib.metadata.version(library)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(library)
    found.append(f"{platform.system()} {platform.release()} {platform.machine()}")
    own = f"latent-loom {importlib.metadata.version('latent-loom')}"
    if missing:
        said = f"{own}; missing: {', '.join(missing)}. Install again: pip install latent-loom"
        return Check(name="versions", state="fail", said=said)
    return Check(name="versions", state="ok", said=f"{own}; {', '.join(found)}.")


def check_device() -> Check:
    """The device that the service and the command line compute on."""
    from ..service.device import find_device

    device = find_device()
    if device.torch_name == "cpu":
        return Check(name="device", state="ok", said="The processor (no GPU that PyTorch can use was found).")
    return Check(name="device", state="ok", said=f"{device.label}, {device.memory_mib / 1024:.1f} GiB.")


def check_threads(threads: int | None) -> Check:
    import torch

    if threads:
        torch.set_num_threads(threads)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    said = f"{torch.get_num_threads()} threads on {cores} cores."
    if torch.get_num_threads() > cores:
        return Check(
            name="threads", state="warn", said=f"{said} That is slower than one per core; use --threads {cores}."
        )
    return Check(name="threads", state="ok", said=said)


def check_kernels() -> Check:
    """Which operators synthesis uses, and why."""
    from ...stylegan2 import native
    from ..service.device import find_device

    return Check(name="kernels", state="ok", said=native.chosen(find_device().torch_name).why)


def check_folder(folder: Path) -> Check:
    """Whether the data folder, or the one it would be made in, can be written and has space."""
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        said = f"{folder} cannot be written ({error.strerror}); name another with --data or change its permissions."
        return Check(name="data folder", state="fail", said=said)
    free = shutil.disk_usage(existing).free / 2**30
    said = f"{folder}{'' if folder.exists() else ' (made on first use)'}, {free:.1f} GiB free."
    return Check(name="data folder", state="ok" if free >= LITTLE_SPACE_GIB else "warn", said=said)


def check_builtin_models() -> Check:
    """The models that came with the program: there, whole, and loadable; each with the beginning of its SHA-256."""
    from ..adaptation.clip import BUILTIN_CLIPS, load_clip
    from ..models.store import BUILTIN_FILE, Store

    folder = BUILTIN_FILE.parent
    files = {"generator": BUILTIN_FILE} | {
        name: clip / "open_clip_model.safetensors" for name, clip in BUILTIN_CLIPS.items()
    }
    missing = [str(path.relative_to(folder)) for path in files.values() if not path.is_file()]
    if missing:
        said = f"{', '.join(missing)} missing from {folder}; install latent-loom again."
        return Check(name="built-in models", state="fail", said=said)
    Store().generator("builtin")
    for name in BUILTIN_CLIPS:
        load_clip(name)
    hashes = [f"{name} {hashlib.sha256(path.read_bytes()).hexdigest()[:12]}" for name, path in files.items()]
    return Check(name="built-in models", state="ok", said=f"{', '.join(hashes)} (SHA-256).")


def check_generators(data: Path | None) -> Check:
    """The store's own generators: headers and sizes, as every list reads them."""
    from ..models.store import Store

    entries = Store(data).generators()
    broken = [f"{entry.name} ({entry.broken})" for entry in entries if entry.broken is not None]
    if broken:
        said = f"cannot be used: {'; '.join(broken)} Import them again, or delete the files."
        return Check(name="generators", state="warn", said=said)
    return Check(name="generators", state="ok", said=f"{len(entries)}, all readable.")


def check_keys(data: Path | None) -> Check:
    """Who may connect from other machines, and whether the keys are private."""
    from ..service import keyring

    root = data or data_folder()
    known = keyring.clients(root) if keyring.server_pair(root) is not None else {}
    if not known:
        return Check(name="keys", state="ok", said="No client of another machine may connect.")
    return Check(name="keys", state="ok", said=f"{len(known)} clients of other machines may connect.")


def check_styles(data: Path | None) -> Check:
    from ..models.store import Store

    styles = Store(data).styles()
    broken = [style.name for style in styles if getattr(style, "broken", None)]
    if broken:
        said = f"{', '.join(broken)} cannot be read; delete them with: latent-loom styles delete NAME"
        return Check(name="styles", state="warn", said=said)
    return Check(name="styles", state="ok", said=f"{len(styles)} styles, all readable.")


def check_texture() -> Check:
    """One tiny texture, twice: finite, not flat, and the same both times."""
    from ..models.store import Store
    from ..textures.generate import texture

    generator = Store().generator("builtin")
    first, second = (texture(generator, 0, size=(64, 64), tile="xy", psi=0.7) for _ in range(2))
    if first.shape != (64, 64, 3) or first.std() < 1 or first.tobytes() != second.tobytes():
        said = "The built-in generator makes a wrong picture; install latent-loom and PyTorch again."
        return Check(name="self-test", state="fail", said=said)
    return Check(name="self-test", state="ok", said="A 64x64 texture, the same twice.")


def check_connection(path: Path) -> Check:
    """Whether a backend runs: none is fine, one that answers is fine, a file without a backend is left over."""
    from ...protocol.client import Client

    if not path.exists():
        return Check(name="connection", state="ok", said=f"No backend is running (there is no {path}).")
    info = connection.read(path)
    client = Client.from_connection_file(path)
    try:
        value = client.request("status", {}, timeout_s=5.0).value
    except BackendLost as error:
        said = f"{path} is left over or its backend does not answer ({error}); `latent-loom serve` writes a new one."
        return Check(name="connection", state="warn", said=said)
    finally:
        client.close()
    state = f"{value['state']}, {value['queued']} waiting, {value.get('resident_mib', 0):,.0f} MiB"
    return Check(name="connection", state="ok", said=f"A backend {info.version} answers at {info.address} ({state}).")
