"""How long a training step of a style takes, how much memory it needs, and what share of the machine's limit that is.

Generator and CLIP (ViT-B/32) have random weights, so that nothing has to be fetched. The limit is the arithmetic of a
step that nobody gets around (both generators and the CLIP forward, and the gradient of one's activations) at the rate
of the fastest plain 3x3 convolution measured in the same run. With --against, the training step of a checkout of
rinongal/StyleGAN-nada runs beside ours, with its layer selection and without. Every row has a process of its own, and
they take turns, so that a busy moment of the machine meets all of them.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path
from typing import Any

from ..errors import BadRequest
from . import values
from .adapt import METHODS
from .bench_synthesis import default_device, workers
from .console import Console

HELP = "seconds for a training step, share of the machine's limit, growth of memory"
MODULE = "bench_adaptation_worker"
PARTIAL_PX = 256
"""The sum of colours that a ViT-B/32 needs."""
REFERENCE_REPEATS = 3
"""Its steps take long; two go before the timed ones."""


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--method", choices=METHODS, action="append", dest="methods",
        help="of ours; give it again for several (default: all)",
    )  # fmt: skip
    parser.add_argument(
        "--against", type=values.path, metavar="DIR", help="a checkout of rinongal/StyleGAN-nada to run beside"
    )
    parser.add_argument("--size", type=values.count, default=256, metavar="PX", help="of the pictures (default: 256)")
    parser.add_argument("--batch", type=values.count, default=2, metavar="N", help="pictures a step (default: 2)")
    parser.add_argument("--device", choices=("cpu", "cuda"), help="where (default: a GPU, where there is one)")
    parser.add_argument(
        "--partial", type=values.count, metavar="PX",
        help="also what training on the partial sum of colours saves on a generator of this size, like 1024",
    )  # fmt: skip
    parser.add_argument("--repeats", type=values.count, default=5, metavar="N", help="of which the median counts")


def run(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    device = args.device or default_device()
    common = {"size": args.size, "batch": args.batch, "device": device, "threads": args.threads}
    _check(args.size, args.against)
    _check(args.partial or args.size, None)
    rates: list[float] = []
    found: list[tuple[dict[str, Any], list[float]]] = []
    cases = list(_cases(args, device))
    every = [{**common, **case} for case in ({"impl": "limit"}, *cases)]
    with workers(every, MODULE) as (limit, *others):
        for case, other in zip(cases, others, strict=True):
            if "skipped" in other.first:
                console.complain(other.first["skipped"])
            else:
                found.append(({k: case[k] for k in ("impl", "method")} | other.first, []))
        running = [other for other in others if "skipped" not in other.first]
        for repeat in range(args.repeats):
            rates.append(max(limit.next()["gflops"].values()))
            for (row, times), other in zip(found, running, strict=True):
                if row["impl"] != "reference" or repeat < REFERENCE_REPEATS:
                    times.append(other.next()["seconds"])
        gmac = limit.first["gmac"]
    value = summary(common, gmac, max(rates), found)
    if args.partial:
        value["partial"] = partial({**common, "size": args.partial}, args.repeats)
    report(console, value)
    return value


def _cases(args: argparse.Namespace, device: str):
    """What each worker is to run."""
    for method in args.methods or [name for name in METHODS if name != "auto"]:
        yield {"impl": "latent-loom", "method": method, "fields": {"method": method}}
    if device == "cuda":
        fields = {"method": "auto"}
        yield {"impl": "latent-loom", "method": "auto, deterministic", "fields": fields, "deterministic": True}
        yield {"impl": "latent-loom", "method": "auto, float32", "fields": fields | {"precision": "float32"}}
    if args.against:
        folder = str(args.against.resolve())
        for selection in (False, True):
            method = "with layer selection" if selection else "without layer selection"
            yield {"impl": "reference", "method": method, "selection": selection, "folder": folder}


def partial(common: dict[str, Any], repeats: int) -> dict[str, Any]:
    """A step of the default method at the generator's whole size, and on the partial sum that the CLIP needs, whether
    or not it shows the CLIP the same: these weights are random."""
    rows = []
    sides = {"whole": common["size"], "partial": PARTIAL_PX}
    every = [
        {**common, "impl": "latent-loom", "fields": {"method": "auto", "train_size": side}} for side in sides.values()
    ]
    with workers(every, MODULE) as started:
        running = dict(zip(sides, started, strict=True))
        times: dict[str, list[float]] = {name: [] for name in running}
        for _ in range(repeats):
            for name, other in running.items():
                times[name].append(other.next()["seconds"])
        for name, other in running.items():
            step_s, growth_mib = statistics.median(times[name]), other.first["growth_mib"]
            rows.append({"trained_on": name, "size": common["size"], "step_s": step_s, "growth_mib": growth_mib})
    large, small = rows
    return {
        "rows": rows,
        "times_faster": large["step_s"] / small["step_s"],
        "memory_share": small["growth_mib"] / large["growth_mib"],
    }


def _check(size: int, against: Path | None) -> None:
    if not 32 <= size <= 1024 or size & (size - 1):
        raise BadRequest(f"The size must be a power of two from 32 to 1024, not {size}.")
    if against and not (against / "ZSSGAN" / "model" / "ZSSGAN.py").is_file():
        raise BadRequest(f"{against} is no checkout of rinongal/StyleGAN-nada.")


def summary(
    common: dict[str, Any], gmac: dict[str, float], rate_gflops: float, found: list[tuple[dict[str, Any], list[float]]]
) -> dict[str, Any]:
    """What is reported: every row with the limit, its share of it, and how it compares with each row of the reference.

    gmac  of a step, by part, in 1e9 multiply-adds
    """
    limit_s = 2 * sum(gmac.values()) / rate_gflops
    rows: list[dict[str, Any]] = []
    for about, times in found:
        row = {k: about[k] for k in ("impl", "method", "growth_mib")} | {k: common[k] for k in ("size", "batch")}
        step_s = statistics.median(times)
        rows.append(row | {"step_s": step_s, "limit_s": limit_s, "share": limit_s / step_s})
    theirs = [row for row in rows if row["impl"] == "reference"]
    for row in rows:
        if row["impl"] != "reference" and theirs:
            row["times_faster"] = {their["method"]: their["step_s"] / row["step_s"] for their in theirs}
            row["memory_share"] = {their["method"]: row["growth_mib"] / their["growth_mib"] for their in theirs}
    how = found[0][0]["how"] if found else ""
    about = {"device": common["device"], "rate_gflops": rate_gflops, "gmac": gmac, "limit_s": limit_s, "growth": how}
    return about | {"rows": rows}


def report(console: Console, value: dict[str, Any]) -> None:
    parts = ", ".join(f"{name} {count:.1f}" for name, count in value["gmac"].items())
    console.say(f"GMAC of a step: {parts}; at {value['rate_gflops']:.0f} GFLOP/s that is {value['limit_s']:.3f} s.")
    console.say(f"{'implementation':<14} {'method':<24} {'s/step':>8} {'share':>6} {'growth MiB':>10}")
    for row in value["rows"]:
        faster = "".join(
            f"  {times:.1f}x as fast and {row['memory_share'][method]:.2f} of the memory of the reference {method};"
            for method, times in row.get("times_faster", {}).items()
        )
        console.say(
            f"{row['impl']:<14} {row['method']:<24} {row['step_s']:>8.3f} {row['share']:>6.2f} "
            f"{row['growth_mib']:>10.0f}{faster}"
        )
    for row in value.get("partial", {}).get("rows", ()):
        console.say(
            f"{row['size']} px, trained on the {row['trained_on']} sum of colours: {row['step_s']:.3f} s a step, "
            f"{row['growth_mib']:.0f} MiB"
        )
    console.say(f"Growth: {value['growth']}, over the first steps.")
