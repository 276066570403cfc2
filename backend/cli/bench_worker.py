"""One implementation of StyleGAN2's synthesis under the stopwatch, as a process of its own.

    python -m latent_loom.backend.cli.bench_worker '{"impl": ..., "size": ..., ...}'

Says one JSON object when it is ready (what it is, and how much memory its first forward took) and one more for every
line that it reads, after one timed forward. `impl` is ours ("native", "torch"), one of the references (whose checkout
`folder` names; it is run as it is, with random weights) or "convolution", which measures the machine.
"""

from __future__ import annotations

import json
import os
import sys
import time
import types
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..heap import trim

Z = 512
PAGES = Path("/proc/self/clear_refs")
CHANNELS = (64, 128, 256, 512)
MAC_OF_A_CONVOLUTION = 2_400_000_000


Step = Callable[[], dict[str, Any]]


def main() -> None:
    with torch.inference_mode():
        serve(prepare)


def serve(prepare: Callable[[dict[str, Any]], tuple[dict[str, Any], Step]]) -> None:
    """Say what `prepare` says of the settings (JSON, the first argument), then one result for every line that comes."""
    settings = json.loads(sys.argv[1])
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever a reference prints goes to standard error
    if settings["threads"]:
        torch.set_num_threads(settings["threads"])
    torch.manual_seed(0)
    first, step = prepare(settings)
    print(json.dumps(first), file=out)
    for _ in sys.stdin:
        print(json.dumps(step()), file=out)


def prepare(settings: dict[str, Any]) -> tuple[dict[str, Any], Step]:
    impl, size, batch, device = (settings[k] for k in ("impl", "size", "batch", "device"))
    channels = {4 << k: min(512, settings["channel_base"] // (4 << k)) for k in range(size.bit_length() - 2)}
    if impl == "convolution":
        return {}, lambda: {"gflops": rates(device)}
    make = {"nvlabs": nvlabs, "stylegan3": stylegan3, "rosinality": rosinality}.get(impl, ours)
    try:
        forward = make(settings, channels)
    except Unavailable as reason:
        return {"skipped": f"{impl}: {reason}"}, dict
    small = torch.randn(1, Z, device=device)
    forward(small)  # what is loaded and compiled at first use is no part of a picture's memory
    z = torch.randn(batch, Z, device=device)
    growth, how = growth_mib(lambda: forward(z), device)
    forward(z)
    row = {"impl": impl, "gmac": macs(channels) / 1e9, "growth_mib": growth}
    return {"row": row, "how": how}, lambda: {"seconds": seconds(lambda: forward(z), device)}


class Unavailable(Exception):
    """This implementation does not run here; why, in a sentence."""


def macs(channels: dict[int, int]) -> int:
    """Multiply-adds of one picture: the 3x3 convolutions (an up-sampling one works at its input's size) and the 1x1
    convolutions to colour. Filters, noise and activation are left out: nothing says what they must cost."""
    total = before = 0
    for r, c in channels.items():
        total += 9 * c * c * r * r + 3 * c * r * r
        total += 9 * before * c * (r // 2) ** 2
        before = c
    return total


# ---- the implementations --------------------------------------------------------------------------------------------


def ours(settings: dict[str, Any], channels: dict[int, int]) -> Callable[[Tensor], Tensor]:
    from ...stylegan2 import native
    from ...stylegan2.config import GeneratorConfig
    from ...stylegan2.networks import Generator

    choice = native.choose(settings["impl"], settings["device"])
    if choice.impl != settings["impl"]:
        raise Unavailable(choice.why)
    config = GeneratorConfig(
        z_dim=Z, w_dim=Z, resolution=settings["size"], channels=tuple(channels.values()), constant_noise=True
    )
    generator = Generator(config).eval().requires_grad_(False).to(settings["device"])
    inputs = generator.constant_inputs()
    return lambda z: generator.synthesize(generator.map(z), inputs)


def nvlabs(settings: dict[str, Any], channels: dict[int, int]) -> Callable[[Tensor], Tensor]:
    sys.path.insert(0, settings["folder"])
    sys.modules.setdefault("requests", types.ModuleType("requests"))  # for downloads, of which there are none
    from training.networks import Generator  # the checkout's

    return _of_nvlabs(Generator, settings, {"synthesis_kwargs": {"channel_base": settings["channel_base"]}})


def stylegan3(settings: dict[str, Any], channels: dict[int, int]) -> Callable[[Tensor], Tensor]:
    sys.path.insert(0, settings["folder"])
    sys.modules.setdefault("requests", types.ModuleType("requests"))
    packages = types.ModuleType("pkg_resources")  # gone from newer setuptools; one function of it is wanted
    packages.parse_version = torch.torch_version.TorchVersion  # type: ignore[attr-defined]
    sys.modules.setdefault("pkg_resources", packages)
    from training.networks_stylegan2 import Generator  # the checkout's

    return _of_nvlabs(Generator, settings, {"channel_base": settings["channel_base"], "num_fp16_res": 0})


def _of_nvlabs(generator: Any, settings: dict[str, Any], widths: dict[str, Any]) -> Callable[[Tensor], Tensor]:
    G = generator(z_dim=Z, c_dim=0, w_dim=Z, img_resolution=settings["size"], img_channels=3, **widths)
    G = G.eval().requires_grad_(False).to(settings["device"])
    return lambda z: G(z, None, noise_mode="const")


def rosinality(settings: dict[str, Any], channels: dict[int, int]) -> Callable[[Tensor], Tensor]:
    import torch.utils.cpp_extension

    if settings["channel_base"] != (32768 if settings["size"] >= 512 else 16384):
        raise Unavailable("its widths are fixed; leave --channel-base out.")
    sys.path.insert(0, settings["folder"])
    if settings["device"] == "cpu":  # its CUDA operators; on the CPU it has its own twins
        torch.utils.cpp_extension.load = lambda *args, **kwargs: None
    from model import Generator  # the checkout's

    multiplier = 2 if settings["size"] >= 512 else 1
    G = Generator(settings["size"], Z, 8, channel_multiplier=multiplier).eval().requires_grad_(False)
    G = G.to(settings["device"])
    return lambda z: G([z], randomize_noise=False)[0]


# ---- the instruments ------------------------------------------------------------------------------------------------


def seconds(work: Callable[[], Any], device: str) -> float:
    if device == "cuda":
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()  # type: ignore[no-untyped-call]
        work()
        end.record()  # type: ignore[no-untyped-call]
        torch.cuda.synchronize()
        return start.elapsed_time(end) / 1000
    start_s = time.perf_counter()
    work()
    return time.perf_counter() - start_s


def rates(device: str) -> dict[str, float]:
    """GFLOP/s of plain 3x3 convolutions of about equal work, by channels."""
    found = {}
    for c in CHANNELS:
        side = int((MAC_OF_A_CONVOLUTION / (9 * c * c)) ** 0.5)
        x, w = (
            torch.randn(*shape, device=device).contiguous(memory_format=torch.channels_last)
            for shape in ((1, c, side, side), (c, c, 3, 3))
        )
        taken = min(seconds(partial(torch.conv2d, x, w, padding=1), device) for _ in range(3))
        found[str(c)] = 2 * 9 * c * c * side * side / taken / 1e9
    return found


def growth_mib(work: Callable[[], Any], device: str) -> tuple[float, str]:
    """How far the peak of memory rises during `work`, and how that was found out."""
    if device == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        allocated = torch.cuda.memory_allocated()
        work()
        torch.cuda.synchronize()
        return (torch.cuda.max_memory_allocated() - allocated) / 2**20, "peak of the memory allocated on the GPU"
    trim()
    before = _status("VmRSS")
    try:
        PAGES.write_text("5")  # the high-water mark falls to what is resident now
    except OSError:
        import resource

        work()
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before, "peak resident memory of the process"
    work()
    return _status("VmHWM") - before, "peak resident memory during one forward (reset through /proc/self/clear_refs)"


def _status(name: str) -> float:
    """A line of /proc/self/status, in MiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    raise Unavailable("this system does not tell a process's memory.")


if __name__ == "__main__":
    main()
