"""A real backend process whose `adapt` does what a test asks for; started by the tests with the arguments of `serve`.

params {"source": KIND, ...} choose the work; every kind looks at its cancel between steps, but for "stubborn".
"""

from __future__ import annotations

import os
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


KINDS = {
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
    began_s = time.monotonic()
    try:
        return KINDS[params["source"]](context, params, job)
    except Cancelled:
        raise Cancelled(f"Stopped after {time.monotonic() - began_s:.1f} s.") from None


if __name__ == "__main__":
    HANDLERS["adapt"] = fake_adapt
    if "SMALL_BUFFERS" in os.environ:
        server.QUEUED_MESSAGES, limits.MAX_QUEUED_BYTES = 2, 4 << 20
    sys.exit(service.main())
