"""Native kernels beside their pure-PyTorch twins: which of the two is used in this process, and why.

The environment variable LATENT_LOOM_KERNELS says what is wanted:
    auto    (default) the native ones, once they are built. Where they are not yet, a process in the background builds
            them, and this one keeps to the twins until it ends: nothing waits, and pictures of one process are alike
    native  build them first, and say why where that fails
    torch   the twins
The two differ in the last bits of a picture; each by itself repeats them exactly.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from dataclasses import dataclass

import torch
from torch import Tensor

DTYPES = {"cpu": (torch.float32,), "cuda": (torch.float32, torch.float16, torch.bfloat16)}
WISHES = ("auto", "native", "torch")
log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """impl  "native" or "torch"; why  in a sentence."""

    impl: str
    why: str


_choices: dict[str, Choice] = {}  # a library is loaded once in a process, so what is used is the process's too


def chosen(device: str = "cpu") -> Choice:
    """What computes on "cpu" or "cuda" in this process; decided when it is first asked."""
    if device not in _choices:
        _choices[device] = _decide(device, os.environ.get("LATENT_LOOM_KERNELS") or "auto")
        if _choices[device].impl == "torch":
            (log.info if "asked for" in _choices[device].why else log.warning)(_choices[device].why)
    return _choices[device]


def use(x: Tensor, impl: str) -> bool:
    """Whether the native kernels compute on x. impl "auto" = where they can; "native" insists; "torch" = never.

    Raises RuntimeError where "native" was asked for and there is none
    """
    if impl == "torch":
        return False
    if impl not in WISHES:
        raise ValueError(f"impl is one of {', '.join(WISHES)}, not {impl!r}")
    choice = chosen(x.device.type)
    found = choice.impl == "native" and x.dtype in DTYPES[x.device.type]
    if impl == "native" and not found:
        raise RuntimeError(f"No native kernels for {x.dtype} on {x.device.type}: {choice.why}")
    return found


def choose(impl: str, device: str = "cpu") -> Choice:
    """Decide anew: "native" builds and waits, "torch" takes the twins, "auto" is as at first."""
    _choices[device] = _decide(device, impl)
    return _choices[device]


def _decide(device: str, wish: str) -> Choice:
    from .build import BuildError, build, target

    if wish not in WISHES:
        return Choice(impl="torch", why=f"PyTorch operators: LATENT_LOOM_KERNELS must be one of {', '.join(WISHES)}.")
    if wish == "torch":
        return Choice(impl="torch", why="PyTorch operators, as was asked for.")
    if device not in ("cpu", "cuda"):
        return Choice(impl="torch", why=f"PyTorch operators: there are no native kernels for {device}.")
    try:
        for part in ("cpu", "cuda")[: 1 + (device == "cuda")]:  # the CPU's library names the operators of both
            wanted = target(part)
            if wish == "auto" and not wanted.library.exists():
                if wanted.log.exists():
                    raise BuildError(
                        f"the native kernels could not be built; {wanted.log} says why; delete it to try again"
                    )
                _build_in_background()
                return Choice(
                    impl="torch",
                    why="PyTorch operators in this process; the faster native kernels are being built for the next.",
                )
            torch.ops.load_library(str(build(wanted)))
    except (BuildError, OSError) as error:
        return Choice(impl="torch", why=f"PyTorch operators: {error}.")
    return Choice(impl="native", why=f"Native kernels from {wanted.library.parent}.")


def _build_in_background() -> None:
    """A process of its own, which outlives this one: nobody waits for it."""
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.Popen([sys.executable, "-m", f"{__name__}.build"], **quiet, start_new_session=True)  # type: ignore[call-overload]
