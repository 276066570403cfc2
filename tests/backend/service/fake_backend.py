"""A real backend process whose `adapt` does what a test asks for; the tests start it with the arguments of `serve`.

params {"source": KIND, ...} choose the work; every kind looks at its cancel between steps, but for "stubborn". Any
other source is adapted in earnest.

Faults, by the environment: SMALL_BUFFERS (a peer that does not read is dropped soon), SHORT_TIMES (a silent end is
given up after two seconds), JUMPING_CLOCK (the system's clock leaps by a day whenever it is read), OBEY_PERMISSIONS
(root, too, may not write where the permissions forbid it), GRACE_S (for how long a vanished client's work goes on). The
kind "run_out" makes the device run out of memory for so many `times`.
"""

from __future__ import annotations

import ctypes
import functools
import os
import random
import sys
import time

import numpy as np
from latent_loom.backend.errors import Cancelled
from latent_loom.backend.job import Progress
from latent_loom.backend.service import __main__ as service
from latent_loom.backend.service import server
from latent_loom.backend.service.handlers import HANDLERS, Answer
from latent_loom.protocol import limits


def steps(context, params, job):
    """`iterations` steps of `rest_s` seconds, each with a preview of `preview` pixels if that is given."""
    size = params.get("preview", 0)
    preview = np.zeros((size, size, 3), np.uint8) if size else None
    total = params.get("iterations", 5)
    for done in range(1, total + 1):
        job.check()
        time.sleep(params.get("rest_s", 0.01))
        job.report(Progress(done=done, total=total, stage="adapt", numbers={"loss": 1 / done}, preview=preview))
    return Answer(value={"steps": total})


def torch_steps(context, params, job):
    """Trains a small convolution without end: long operations, gradients, little Python."""
    import torch

    layer = torch.nn.Conv2d(64, 64, 3, padding=1)
    optimizer = torch.optim.Adam(layer.parameters())
    x = torch.randn(8, 64, 64, 64)
    done = 0
    while True:
        job.check()
        loss = layer(x).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        done += 1
        job.report(Progress(done=done, total=0, stage="adapt", numbers={"loss": loss.item()}))


def python_steps(context, params, job):
    """Pure Python without end: never releases the interpreter by itself."""
    while True:
        job.check()
        sum(range(100_000))


def stubborn(context, params, job):
    """Does not look at its cancel for `rest_s` seconds."""
    time.sleep(params["rest_s"])
    return Answer()


def failing(context, params, job):
    raise ZeroDivisionError("a bug")


def large(context, params, job):
    """Answers with `mib` MiB."""
    return Answer(arrays={"color": np.zeros((params["mib"], 1024, 1024), np.uint8)})


def untransportable(context, params, job):
    return Answer(value={"thing": object()})


def saving(context, params, job):
    """Saves the generator and one style over and over, without end."""
    from latent_loom.backend.adaptation.style import Style, StyleInfo

    generator = context.store.generator("small")
    tensors = {name: p.detach().clone() for name, p in generator.named_parameters()}
    about = {"generator": "small", "generator_hash": "0" * 64, "source": "a", "target": "b", "method": "full"}
    done = 0
    while True:
        job.check()
        done += 1
        info = StyleInfo(name="saved", iterations=done, seed=0, clips=("builtin",), **about)
        context.store.add_style(Style(info=info, tensors=tensors), overwrite=True)
        context.store.add_generator(generator, "copy", overwrite=True)
        job.report(Progress(done=done, total=0, stage="saving"))


def run_out(context, params, job):
    """From now on the next `times` pictures and training steps meet a device without memory."""
    import torch
    from latent_loom.backend.adaptation.gradients import Gradients
    from latent_loom.backend.textures import windows

    left = [params["times"]]
    for owner, name in ((windows, "_in_pieces"), (Gradients, "_once")):
        real = getattr(owner, name)
        real = getattr(real, "real", real)

        def short(*args, real=real, **options):
            if left[0] > 0:
                left[0] -= 1
                raise torch.OutOfMemoryError("CUDA out of memory.")
            return real(*args, **options)

        short.real = real
        setattr(owner, name, short)
    return Answer()


KINDS = {
    "run_out": run_out,
    "steps": steps,
    "torch": torch_steps,
    "python": python_steps,
    "stubborn": stubborn,
    "failing": failing,
    "large": large,
    "untransportable": untransportable,
    "saving": saving,
}


def fake_adapt(context, params, arrays, job):
    if params.get("source") not in KINDS:
        return REAL(context, params, arrays, job)
    began_s = time.monotonic()
    try:
        return KINDS[params["source"]](context, params, job)
    except Cancelled:
        raise Cancelled(f"Stopped after {time.monotonic() - began_s:.1f} s.") from None


def obey_permissions():
    """Begin anew without root's right to write everywhere; it is lost at the next program only."""
    drop_from_bounding_set, override = 24, (1, 2)
    for capability in override:
        ctypes.CDLL(None).prctl(drop_from_bounding_set, capability, 0, 0, 0)
    os.execv(sys.executable, [sys.executable, *sys.argv])


def leap():
    """The system's clock, anywhere within a day."""
    return REAL_TIME() + random.uniform(-86_400, 86_400)


REAL, REAL_TIME = HANDLERS["adapt"], time.time

if __name__ == "__main__":
    if os.environ.pop("OBEY_PERMISSIONS", None):
        obey_permissions()
    if "JUMPING_CLOCK" in os.environ:
        time.time = leap
    if "SHORT_TIMES" in os.environ:
        limits.HEARTBEAT_INTERVAL_MS, limits.HEARTBEAT_TIMEOUT_MS, limits.HEARTBEAT_TTL_MS = 500, 2000, 2000
    if "GRACE_S" in os.environ:
        server.ServerConnection = functools.partial(server.ServerConnection, grace_s=float(os.environ["GRACE_S"]))
    HANDLERS["adapt"] = fake_adapt
    if "SMALL_BUFFERS" in os.environ:
        server.QUEUED_MESSAGES, limits.MAX_QUEUED_BYTES = 2, 4 << 20
    sys.exit(service.main())
