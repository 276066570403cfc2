"""The service's handlers called in this process: the same work as over the wire, without a socket."""

from __future__ import annotations

import argparse
from typing import Any

from .console import Console


def open_store(args: argparse.Namespace):
    """The store of generators and styles that `--data` names, or the user's own, on the best device."""
    from ..models.store import Store
    from ..service.device import find_device

    return Store(args.data, device=find_device().torch_name)


def call(args: argparse.Namespace, console: Console, request: str, params: dict[str, Any], *, title: str = "") -> dict:
    """Answer the request of type `request` in this process, with a progress bar, and return its value."""
    from ..service.handlers import HANDLERS, Context

    if args.threads:
        import torch

        torch.set_num_threads(args.threads)
    context = Context(store=open_store(args))
    with console.job(title or request) as job:
        return HANDLERS[request](context, params, {}, job).value


def tell_warnings(value: dict, console: Console) -> None:
    """Say what an answer warns of; the answer itself keeps it for --json."""
    for sentence in value["warnings"]:
        console.complain(sentence)
