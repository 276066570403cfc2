"""An adaptation in a process of its own, which outlives whoever asked for it, takes no other work, and ends with it.

    <data>/apart/NAME/   what a batch has in its folder (`textures/batch_state.py`): batch.json with the state and,
                         where it failed, code and message; .batch.lock, held while it runs; batch.log, its words

The process is given the request on its standard input and calls what the service calls, so the style, its snapshots
and NAME-partial are the same, bit for bit; it is told how many threads to take, since a training's sums have other
last bits with others. A client that comes back finds it by the style's name.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import errors
from ..errors import Cancelled, LoomError, NotFound, as_loom_error
from ..job import Job, Progress
from ..textures import batch_state, detach

FOLDER = "apart"


def folder(root: Path, name: str) -> Path:
    """Where the state of the adaptation `name` lies. root: of the store; Raises BadRequest where it is no name."""
    from ..models.store import check_name

    check_name(name)
    return root / FOLDER / name


def begin(root: Path, name: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Start it, and wait until it trains or has failed. Returns its state; Raises LoomError, as the work would."""
    import torch

    from ..textures.files import open_folder

    place = open_folder(folder(root, name))
    command = [sys.executable, "-m", __name__, str(root.absolute()), name, str(torch.get_num_threads())]

    def has_begun() -> bool:
        known = batch_state.read_state(place)
        return known["total"] > 0 or known["state"] != "running"

    detach.begin(command, place, json.dumps({**params, "detach": False}).encode(), has_begun)
    known = state(root, name)
    if known["state"] in ("failed", "killed"):
        raise _error(known.get("code", ""), known.get("message", "The adaptation failed."))
    return {"detached": True, **known}


def state(root: Path, name: str) -> dict[str, Any]:
    """Where the adaptation stands. Raises NotFound."""
    try:
        known = batch_state.read_state(folder(root, name))
    except NotFound as error:
        raise NotFound(
            f"No adaptation called {name!r} was started by itself here; `styles` has those that are made."
        ) from error
    if known["state"] == "killed":
        known["message"] = "It was killed; the same request with resume goes on from its last snapshot."
    return {"name": name, **known}


def cancel(root: Path, name: str) -> dict[str, Any]:
    """Ask it to stop after this step; returns its state. Raises NotFound, CannotWrite."""
    known = state(root, name)
    batch_state.ask_to_cancel(folder(root, name))
    return known


def _error(code: str, sentence: str) -> LoomError:
    kinds = (kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, LoomError))
    return next((kind for kind in kinds if kind.code == code), LoomError)(sentence)


def main() -> int:
    """The process. Its state says how it went; what it prints is its log."""
    root, name, threads = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    params = json.loads(sys.stdin.buffer.read())
    with batch_state.only_batch_in(folder(root, name)):
        kept = batch_state.BatchState(folder(root, name), 0)
        try:
            _train(root, params, kept, threads)
        except Exception as error:  # the boundary: whoever comes back must hear of it
            known = as_loom_error(error)
            if known is None:
                kept.end("failed", f"The backend failed at this ({type(error).__name__}: {error}); please report it.")
                raise
            kept.known["code"] = known.code
            kept.end("cancelled" if isinstance(known, Cancelled) else "failed", str(known))
            print(known, file=sys.stderr)
            return 1
        kept.end("finished")
    return 0


def _train(root: Path, params: Mapping[str, Any], kept: batch_state.BatchState, threads: int) -> None:
    import torch

    from ..models.store import Store
    from .device import find_device
    from .handlers import Context
    from .handlers.adaptation import checked, train

    def report(progress: Progress) -> None:
        kept.update(done=progress.done, total=progress.total, stage=progress.stage, numbers=progress.numbers)

    torch.set_num_threads(threads)
    context = Context(store=Store(root, device=find_device().torch_name))
    asked, settings = checked(context, params)
    train(context, asked, settings, Job(report, kept.cancelled))


if __name__ == "__main__":
    sys.exit(main())
