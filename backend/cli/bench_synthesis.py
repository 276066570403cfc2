"""How long a generator of random weights takes for a picture, and what share of the machine's limit that is.

The limit is the arithmetic of a picture at the rate of the fastest plain 3x3 convolution (float32, as the pictures are,
and channels-last) that was measured in the same run. Every implementation runs in a process of its own, and they take
turns, so that a busy moment of the machine meets all of them.
"""

from __future__ import annotations

import argparse
import functools
import json
import statistics
import subprocess
import sys
from argparse import ArgumentTypeError
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from ..errors import BadRequest, LoomError
from . import values
from .console import Console

HELP = "seconds for a picture, share of the machine's limit, growth of memory"
REFERENCES = {  # a file that gives a checkout away -> what it is
    "training/networks_stylegan2.py": "stylegan3",
    "training/networks.py": "nvlabs",
    "model.py": "rosinality",
}
CASES = {"cpu": ((256, 4), (1024, 1)), "cuda": ((1024, 1), (1024, 8))}


def case(text: str) -> tuple[int, int]:
    """`1024:1` -> (1024, 1): size in pixels, pictures at a time."""
    size, _, batch = text.partition(":")
    if not (size.isdecimal() and batch.isdecimal() and int(batch) > 0) or int(size) not in (
        1 << k for k in range(2, 13)
    ):
        raise ArgumentTypeError(
            f"{text!r} is not SIZE:BATCH; write it like 1024:1, with a power of two from 4 to 4096."
        )
    return int(size), int(batch)


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--case", type=case, action="append", default=[], dest="cases", metavar="SIZE:BATCH",
        help="what to make; give it again for more (default: 256:4 and 1024:1; on a GPU 1024:1 and 1024:8)",
    )  # fmt: skip
    parser.add_argument(
        "--impl", choices=("native", "torch"), action="append", dest="impls",
        help="of our operators; give it again for several (default: both, where native ones can be had)",
    )  # fmt: skip
    parser.add_argument(
        "--against", type=values.path, action="append", default=[], metavar="DIR",
        help="a checkout of NVlabs/stylegan2-ada-pytorch, NVlabs/stylegan3 or rosinality/stylegan2-pytorch, run beside",
    )  # fmt: skip
    parser.add_argument("--device", choices=("cpu", "cuda"), help="where (default: a GPU, where there is one)")
    parser.add_argument("--repeats", type=values.count, default=7, metavar="N", help="of which the median counts")
    parser.add_argument(
        "--channel-base", type=values.count, metavar="N",
        help="feature channels times pixels of a side (default: 32768 from 512 px on, 16384 below)",
    )  # fmt: skip


def run(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    device = args.device or default_device()
    runners: list[tuple[str, Path | None]] = [(impl, None) for impl in args.impls or ("native", "torch")]
    runners += [(kind_of(folder), folder) for folder in args.against]
    rows: list[dict[str, Any]] = []
    rates: dict[str, float] = {}
    how = ""
    for size, batch in args.cases or CASES[device]:
        settings = {"size": size, "batch": batch, "device": device, "threads": args.threads}
        settings["channel_base"] = args.channel_base or (32768 if size >= 512 else 16384)
        cases = [{**settings, "impl": impl, "folder": folder and str(folder.resolve())} for impl, folder in runners]
        with workers([{**settings, "impl": "convolution"}, *cases]) as (rate, *others):
            times: list[list[float]] = [[] for _ in others]
            for _ in range(args.repeats):
                for name, found in rate.next()["gflops"].items():
                    rates[name] = max(found, rates.get(name, 0))
                for other, seconds in zip(others, times, strict=True):
                    if "skipped" not in other.first:
                        seconds.append(other.next()["seconds"] / batch)
        for other, seconds in zip(others, times, strict=True):
            if "skipped" in other.first:
                console.complain(other.first["skipped"])
                continue
            how = other.first["how"]
            rows.append({"size": size, "batch": batch, **other.first["row"], "seconds": statistics.median(seconds)})
    rate_gflops = max(rates.values())
    value = {"rate_gflops": rate_gflops, "device": device, "growth": how, "rows": finished(rows, rate_gflops)}
    report(console, value, rates)
    return value


def finished(rows: list[dict[str, Any]], rate_gflops: float) -> list[dict[str, Any]]:
    """Each row with its limit, its share, and how many times faster than a reference it is; times are per picture."""
    for row in rows:
        row["limit_s"] = 2 * row["gmac"] / rate_gflops
        row["share"] = row["limit_s"] / row["seconds"]
    for row in rows:
        case = (row["size"], row["batch"])
        others = [r for r in rows if (r["size"], r["batch"]) == case and r["impl"] in REFERENCES.values()]
        if row["impl"] not in REFERENCES.values() and others:
            row["times_faster"] = {other["impl"]: other["seconds"] / row["seconds"] for other in others}
    return rows


def report(console: Console, value: dict[str, Any], rates: dict[str, float]) -> None:
    per_channel = ", ".join(f"{name}: {rate:.0f}" for name, rate in rates.items())
    console.say(f"3x3 convolutions, GFLOP/s by channels: {per_channel}. The fastest is the rate.")
    console.say(f"{'size':>5} {'batch':>5}  {'implementation':<14} {'GMAC':>6} {'limit s':>8} {'s/image':>8} "
                f"{'share':>6} {'growth MiB':>10}")  # fmt: skip
    for row in value["rows"]:
        faster = "".join(f"  {times:.2f}x {name}" for name, times in row.get("times_faster", {}).items())
        console.say(
            f"{row['size']:>5} {row['batch']:>5}  {row['impl']:<14} {row['gmac']:>6.1f} {row['limit_s']:>8.3f} "
            f"{row['seconds']:>8.3f} {row['share']:>6.2f} {row['growth_mib']:>10.0f}{faster}"
        )
    console.say(f"Growth: {value['growth']}")


def kind_of(folder: Path) -> str:
    """Which implementation a checkout holds."""
    for file, kind in REFERENCES.items():
        if (folder / file).is_file():
            return kind
    raise BadRequest(
        f"{folder} is no checkout of NVlabs/stylegan2-ada-pytorch, NVlabs/stylegan3 or rosinality/stylegan2-pytorch."
    )


class Worker:
    """The other end of `bench_worker`: `first` is what it says when it is ready, for which it waits; `next()` asks for
    one measurement."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    @functools.cached_property
    def first(self) -> dict[str, Any]:
        return self._read()

    def next(self) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise LoomError("A measuring process ended early; what it said is above.")
        return json.loads(line)


@contextmanager
def workers(cases: Sequence[dict[str, Any]], module: str = "bench_worker") -> Iterator[list[Worker]]:
    """One for each, all ready: on a processor, which they share, they start one after the other."""
    with ExitStack() as stack:
        started = []
        for settings in cases:
            line: Sequence[str] = (sys.executable, "-m", f"{__package__}.{module}", json.dumps(settings))
            process = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            stack.callback(_end, process)
            started.append(Worker(process))
            if settings["device"] == "cpu":
                _ = started[-1].first
        for each in started:
            _ = each.first
        yield started


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def default_device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
