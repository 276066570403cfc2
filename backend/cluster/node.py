"""What runs on the nodes of a cluster: a store of the files that were sent, textures and styles made from it.

Ray keeps a worker's process, so generators stay loaded between tasks. Nothing here decides anything: which files,
records and names there are was settled where the batch runs.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import BadRequest, CannotWrite, LoomError, as_loom_error
from ..job import Job, Progress
from .weights import BUILTIN_FILE, Placed

if TYPE_CHECKING:
    from ..models.store import Store
    from ..textures.making import Picture, Task

ASK_S = 0.5
"""How often a training style asks whether to stop, and tells how far it is."""


@dataclass(frozen=True, kw_only=True)
class Site:
    """What every task of a batch is told.

    token     names the batch; a secret, since folders in the nodes' temporary folder are called by it
    versions  of Python packages, where the batch runs
    kernels   "native" or "torch", the same on all nodes: the two differ in the last bits
    folder    the output folder, if nodes see it too; mark: a file in it by which they know it
    """

    token: str
    versions: Mapping[str, str]
    kernels: str
    folder: str | None = None
    mark: str = ""


@dataclass(frozen=True, kw_only=True)
class Sent:
    """One file of a texture. data: its bytes; None = the node has written it to the output folder itself."""

    file: str
    data: bytes | None
    written: tuple[int, str]
    measured: dict[str, float]


def make_texture(site: Site, placed: Sequence[Placed], task: Task) -> list[Sent]:
    """One texture. It takes one core, whatever else the machine has: others are at work beside it."""
    from ..textures.files import write_atomic
    from ..textures.making import write_maps

    began = _begin(site, placed, threads=1)
    folder = _shared(site)
    kept: dict[str, bytes] = {}

    def write(file: str, data: bytes) -> None:
        if folder is None:
            kept[file] = data
        else:
            write_atomic(folder / file, data)

    with _told_by_node():
        made = write_maps(began.store, task, began.picture.of(task), write)
    return [Sent(file=w.file, data=kept.get(w.file), written=w.data, measured=w.measured) for w in made]


def make_style(
    site: Site,
    placed: Sequence[Placed],
    params: Mapping[str, Any],
    threads: int,
    watch: Any,
) -> tuple[dict[str, bytes], str | None]:
    """Train one style. watch: an actor with `tell(name, Progress)` -> whether to stop.

    params  of `adapt`; pictures by their path below the store's folder
    Returns ({path below the store's folder: bytes} of the files made, why it was stopped or None)
    """
    import ray

    from ..errors import Cancelled
    from ..service.handlers.adaptation import adapt, partial_name
    from ..service.handlers.context import Context

    began = _begin(site, placed, threads=threads)
    name, root = params["name"], began.store.root
    pictures = {k: [str(root / path) for path in params[k]] for k in ("images", "source_images") if params.get(k)}
    asked_s, stop = -ASK_S, False

    def report(progress: Progress) -> None:
        nonlocal asked_s, stop
        if time.monotonic() - asked_s >= ASK_S or progress.done == progress.total:
            plain = Progress(done=progress.done, total=progress.total, stage=name, numbers=progress.numbers)
            stop = stop or ray.get(watch.tell.remote(name, plain))
            asked_s = time.monotonic()

    stopped = None
    with _told_by_node():
        try:
            adapt(Context(store=began.store), {**params, **pictures}, {}, Job(report, lambda: stop))
        except Cancelled as error:
            stopped = str(error)
    made: dict[str, bytes] = {}
    for style in (name, partial_name(name)):
        for path in (root / "styles").glob(f"{style}.*safetensors"):
            made[f"styles/{path.name}"] = path.read_bytes()
    return made, stopped


def forget(site: Site) -> None:
    """Remove what was put onto this node's disk."""
    _begun.pop(site.token, None)
    shutil.rmtree(_root(site), ignore_errors=True)


@dataclass(frozen=True)
class _Begun:
    store: Store
    picture: Picture


_begun: dict[str, _Begun] = {}
"""Token -> the store of the batch that this process works for: one at a time."""


def _begin(site: Site, placed: Sequence[Placed], *, threads: int) -> _Begun:
    import torch

    torch.set_num_threads(threads)
    if site.token not in _begun:
        _begun.clear()
        _begun[site.token] = _open(site)
    _put(_root(site), placed)
    return _begun[site.token]


def _open(site: Site) -> _Begun:
    from ...stylegan2 import native
    from ..models.store import Store
    from ..service.device import find_device
    from ..textures.making import Picture
    from .connect import different, versions_here

    told = different(_name(), versions_here(), site.versions)
    if told:
        raise BadRequest(told)
    device = find_device().torch_name
    choice = native.choose(site.kernels, device)
    if choice.impl != site.kernels:
        raise LoomError(
            f"The node {_name()} has no native kernels, which compute elsewhere ({choice.why}); set "
            "LATENT_LOOM_KERNELS=torch where the batch is started."
        )
    root = _root(site)
    root.mkdir(mode=0o700, exist_ok=True)
    store = Store(root, builtin=root / BUILTIN_FILE, device=device)
    return _Begun(store, Picture(store))


def _put(root: Path, placed: Sequence[Placed]) -> None:
    """Fetch the files that are not on this node yet; one of its processes does, the others wait."""
    import ray

    from ..textures.batch_state import take_lock
    from ..textures.files import write_atomic

    if all((root / one.path).exists() for one in placed):
        return
    with (root / "lock").open("ab") as lock:
        while not take_lock(lock):
            time.sleep(0.02)
        for one in placed:
            path = root / one.path
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                write_atomic(path, ray.get(one.ref).tobytes())


def _shared(site: Site) -> Path | None:
    """The output folder, where this node sees it under the same path."""
    return Path(site.folder) if site.folder and (Path(site.folder) / site.mark).exists() else None


def _root(site: Site) -> Path:
    import ray

    node = ray.get_runtime_context().get_node_id()
    return Path(tempfile.gettempdir()) / f"latent-loom-{site.token}-{node[:12]}"


def _name() -> str:
    import platform

    return platform.node() or "?"


class _told_by_node:  # noqa: N801  used as a statement
    """Errors inside become sentences here, where their types are known; those of the disk with the node's name."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        known = as_loom_error(error) if isinstance(error, Exception) else None
        if isinstance(known, CannotWrite):
            raise CannotWrite(f"On the node {_name()}: {known}") from error
        if known is not None and known is not error:
            raise known from error
