"""Training the styles of a batch on a cluster: one task each, all at once, on a whole GPU each.

A style's file comes back as it would have been written here, together with the snapshots of its run.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import Cancelled, NotFound
from ..job import Job, Progress
from ..models.clips import clip_folder, own_clips
from ..models.style_list import snapshots_path
from ..textures.files import write_atomic
from . import node as on_node
from .connect import Cluster
from .executor import RETRIES, clear_nodes, result_of, site_of
from .shares import style_share
from .weights import Files, Weights, generator_file

if TYPE_CHECKING:
    from ..models.store import Store

ASK_S = 0.5
STYLE_MIB = 2048
"""Assumed of a training's process: 829 MiB of growth were measured at 256 px (`bench adaptation`)."""
PICTURES = ("images", "source_images")


class Styles:
    """Trains styles on the cluster. Its `make` may be called from several threads. Use it as a context."""

    def __init__(self, cluster: Cluster, store: Store, weights: Weights) -> None:
        self.cluster, self.store, self.weights = cluster, store, weights
        self.site = site_of(store, None)
        here = cluster.ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
            cluster.ray.get_runtime_context().get_node_id(), soft=False
        )  # the one node whose loss ends the batch anyway
        self._watch = cluster.ray.remote(num_cpus=0, scheduling_strategy=here)(Watch).remote()
        self._make = cluster.ray.remote(max_calls=0, max_retries=RETRIES)(on_node.make_style)
        self._shown: dict[str, Progress] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Styles:
        return self

    def __exit__(self, *error: object) -> None:
        clear_nodes(self.cluster, self.site)

    def make(self, params: Mapping[str, Any], job: Job) -> None:
        """Train the style that `params` of `adapt` describe, and add it to the store. Raises as `adapt` does."""
        import torch

        ray, params = self.cluster.ray, dict(params) | {"overwrite": True}  # a task that is begun again may find it
        params.pop("report", None)
        files = self._files(params)
        for which in PICTURES:
            params[which] = [self._picture(files, Path(path)) for path in params.get(which) or ()]
        threads = torch.get_num_threads()
        share = style_share(self.cluster.nodes(), threads, STYLE_MIB)
        ref = self._make.options(**share.options()).remote(
            self.site, self.weights.place(files), params, threads, self._watch
        )
        arrived = ref.future()
        while not ray.wait([ref], timeout=ASK_S)[0]:
            begun = self._show(params["name"], job)
            if job.cancelled():
                ray.get(self._watch.stop.remote())
                if not begun:
                    ray.cancel(ref)
        made, stopped = result_of(ray, arrived)
        self._add(params["name"], made)
        if stopped is not None:
            raise Cancelled(stopped)

    def _show(self, name: str, job: Job) -> bool:
        """Hand on how far all the styles are that are being trained; whether this one has told anything."""
        told: Progress | None = self.cluster.ray.get(self._watch.told.remote(name))
        if told is None:
            return False
        with self._lock:
            self._shown[name] = told
            all_of_them = list(self._shown.values())
            alone = len(all_of_them) == 1
            done, total = (sum(getattr(one, key) for one in all_of_them) for key in ("done", "total"))
            stage, numbers = (name, told.numbers) if alone else (f"{len(all_of_them)} styles", {})
            job.report(Progress(done=done, total=total, stage=stage, numbers=numbers))
        return True

    def _files(self, params: Mapping[str, Any]) -> Files:
        """Generator, own CLIPs, and where the run goes on: what there is of it."""
        from ..service.handlers.adaptation import partial_name

        generator, name = params.get("generator", "builtin"), params["name"]
        files: Files = {generator_file(generator): self.store.generator_path(generator)}
        asked = params.get("clips") or ()
        names = {one if isinstance(one, str) else one[0] for one in ([asked] if isinstance(asked, str) else asked)}
        for clip in names & set(own_clips(self.store.root)):
            folder = clip_folder(self.store.root, clip)
            files |= {p.relative_to(self.store.root).as_posix(): p for p in folder.rglob("*") if p.is_file()}
        if params.get("resume"):
            for style in (name, partial_name(name)):
                try:
                    path = self.store.library.path(style)
                except NotFound:
                    continue
                files |= {f"styles/{p.name}": p for p in (path, snapshots_path(path)) if p.exists()}
        return files

    def _picture(self, files: Files, path: Path) -> str:
        """Where a picture will lie on the node; a style's file knows pictures by their hash alone."""
        there = f"pictures/{hashlib.sha256(path.read_bytes()).hexdigest()[:32]}{path.suffix}"
        files[there] = path
        return there

    def _add(self, name: str, made: Mapping[str, bytes]) -> None:
        """Snapshots before the style, as the library does; then what only an unfinished run had goes."""
        from ..service.handlers.adaptation import partial_name

        folder = self.store.library.folder
        folder.mkdir(parents=True, exist_ok=True)
        for path in sorted(made, key=lambda path: ".snapshots." not in path):
            write_atomic(folder / Path(path).name, made[path])
        partial = partial_name(name)
        if f"styles/{name}.safetensors" in made and f"styles/{partial}.safetensors" not in made:
            for left in folder.glob(f"{partial}.*safetensors"):
                left.unlink(missing_ok=True)


class Watch:
    """An actor: the trainings tell it how far they are, and it tells them whether to stop."""

    def __init__(self) -> None:
        self._stop = False
        self._told: dict[str, Progress] = {}

    def tell(self, name: str, progress: Progress) -> bool:
        self._told[name] = progress
        return self._stop

    def told(self, name: str) -> Progress | None:
        return self._told.get(name)

    def stop(self) -> None:
        self._stop = True
