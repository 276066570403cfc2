"""The textures of a batch as Ray tasks. What fails, what is there and what is noted is `textures.batch_run`'s."""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import Cancelled, LoomError, OutOfMemory
from ..textures.files import write_atomic
from ..textures.making import Made, Task, Written, writers
from ..textures.memory import predicted_mib
from . import node as on_node
from .connect import Cluster, versions_here
from .node import Sent, Site
from .shares import Node, Share, slots, texture_share
from .weights import Weights, picture_files

if TYPE_CHECKING:
    from ..models.store import Store

RETRIES = 3
"""How often Ray begins a task again whose node or process was lost; after that the batch tries once more itself."""
LOOK_S = 2.0
"""How often the list of nodes is read again."""
PATIENCE_S = 120.0
"""How long a batch waits without a node that could make its textures: for one that restarts, or an autoscaler."""
PIXELS_WAITING = 2**26
"""Of finished textures that wait to be written here."""
MIB = 1 << 20


class Nodes:
    """An `Executor` (textures.making): every texture is a task that takes its share of a node.

    Nodes that see the output folder write into it themselves; the others send the bytes, which are written here. Use
    it as a context: it holds the mark by which nodes know the folder, and at its end clears the nodes' disks.
    """

    def __init__(self, cluster: Cluster, store: Store, folder: Path | None, weights: Weights, *, shared: bool = True):
        """shared: False = nodes send the bytes, even where they see the folder."""
        self.cluster, self.store, self.folder, self.weights = cluster, store, folder, weights
        self.site = site_of(store, folder if shared else None)
        self._pool = ThreadPoolExecutor(writers(), "arrivals")
        self._refs: dict[Future[Made], Any] = {}
        self._shares: dict[Any, Share] = {}
        self._nodes: list[Node] = []
        self._looked_s, self._usable_s = -float("inf"), time.monotonic()
        self._latest: Share | None = None
        self._make = cluster.ray.remote(max_calls=0, max_retries=RETRIES)(on_node.make_texture)

    def __enter__(self) -> Nodes:
        if self.site.folder:
            write_atomic(Path(self.site.folder) / self.site.mark, b"")
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown()
        if self.site.folder:
            (Path(self.site.folder) / self.site.mark).unlink(missing_ok=True)
        clear_nodes(self.cluster, self.site)

    def begin(self, task: Task) -> Future[Made]:
        look = task.item.settings
        share = self._share(task)
        if self._look() and not slots(self._nodes, share):
            raise OutOfMemory(
                f"A texture of {look.size[0]}x{look.size[1]} px takes a process of about {share.memory_mib} MiB, which "
                "no node of the cluster has; make it smaller, or add a larger node."
            )
        self._latest = share
        placed = self.weights.place(picture_files(self.store, look.generator, look.styles, look.seeds))
        ref = self._make.options(**share.options()).remote(self.site, placed, task)
        made: Future[Made] = Future()
        self._refs[made] = ref
        ref.future().add_done_callback(lambda arrived: self._hand_on(task, arrived, made))
        return made

    def room(self, task: Task) -> int:
        """All slots at work, and for each the next task waiting, where pictures are not too large for that."""
        self._look()
        at_once = slots(self._nodes, self._share(task))
        width, height = task.item.settings.size
        return at_once + min(at_once, PIXELS_WAITING // (width * height)) if at_once else 1

    def check(self) -> None:
        self._look()
        now_s = time.monotonic()
        if self._latest is None or slots(self._nodes, self._latest):
            self._usable_s = now_s
        elif now_s - self._usable_s > PATIENCE_S:
            raise LoomError(
                f"For {PATIENCE_S:.0f} s the cluster has had no node that could make these textures; start nodes and "
                "go on with --resume."
            )

    def stop(self) -> None:
        for ref in list(self._refs.values()):
            with contextlib.suppress(self.cluster.ray.exceptions.RayError, ValueError):
                self.cluster.ray.cancel(ref)

    def _share(self, task: Task) -> Share:
        look = task.item.settings
        kind = (look.generator, look.size, look.tile, look.maps)
        if kind not in self._shares:
            config, path = self.store.generator(look.generator).config, self.store.generator_path(look.generator)
            predicted = predicted_mib(config, look.size, look.tile, look.maps, self.store.device)
            self._look()
            self._shares[kind] = texture_share(self._nodes, predicted, path.stat().st_size // MIB)
        return self._shares[kind]

    def _look(self) -> bool:
        """Read the list of nodes now and then; whether there are any. While the head is silent the last one holds."""
        if time.monotonic() - self._looked_s > LOOK_S:
            with contextlib.suppress(Exception):
                self._nodes = self.cluster.nodes()
            self._looked_s = time.monotonic()
        return bool(self._nodes)

    def _hand_on(self, task: Task, arrived: Future[list[Sent]], made: Future[Made]) -> None:
        """In a thread of Ray's, which must not wait for the disk."""
        try:
            self._pool.submit(self._arrive, task, arrived, made)
        except RuntimeError:  # the batch has ended
            made.cancel()

    def _arrive(self, task: Task, arrived: Future[list[Sent]], made: Future[Made]) -> None:
        """Boundary: whatever came of the task is the future's."""
        try:
            sent = result_of(self.cluster.ray, arrived)
            for one in sent:
                if one.data is not None and self.folder is not None:
                    write_atomic(self.folder / one.file, one.data)
            records = dict(task.missing.values())
            written = [
                Written(file=one.file, record=records[one.file], data=one.written, measured=one.measured)
                for one in sent
            ]
            made.set_result(Made(written=written))
        except BaseException as error:
            made.set_exception(error)
        finally:
            self._refs.pop(made, None)


def site_of(store: Store, folder: Path | None) -> Site:
    """What the tasks of one batch are told; `folder` where nodes may write into it."""
    token = secrets.token_hex(16)
    return Site(
        token=token, versions=versions_here(), kernels=_kernels(store), mark=f".cluster-{token}.part",
        folder=None if folder is None else str(folder.resolve()),
    )  # fmt: skip


def _kernels(store: Store) -> str:
    """Which kernels compute here; on nodes with other devices those that were asked for."""
    from ...stylegan2 import native

    asked = os.environ.get("LATENT_LOOM_KERNELS")
    return asked if asked in ("native", "torch") else native.chosen(store.device.type).impl


def result_of(ray: Any, arrived: Future[Any]) -> Any:
    """What a task returned; what it raised there is raised here, and what Ray says of lost ones as a sentence."""
    try:
        return arrived.result()
    except ray.exceptions.TaskCancelledError as error:
        raise Cancelled("Cancelled; everything finished so far is kept.") from error
    except ray.exceptions.RayTaskError as error:
        raise (error.cause if isinstance(error.cause, Exception) else error) from None
    except ray.exceptions.OutOfMemoryError as error:
        raise OutOfMemory("A node of the cluster has too little memory for this; make it smaller.") from error
    except ray.exceptions.RayError as error:
        raise LoomError(f"The nodes that made this were lost {RETRIES + 1} times; run again with --resume.") from error


def clear_nodes(cluster: Cluster, site: Site) -> None:
    """Remove the batch's files from the nodes' disks; a node that does not answer is left."""
    ray = cluster.ray
    with contextlib.suppress(ray.exceptions.RayError):
        forget = ray.remote(num_cpus=0, max_retries=0)(on_node.forget)
        asked = [forget.options(scheduling_strategy=cluster.on(node)).remote(site) for node in cluster.nodes()]
        ray.wait(asked, num_returns=len(asked), timeout=10.0)
