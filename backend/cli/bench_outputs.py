"""`latent-loom bench outputs`: what a batch adds to the work in it, and what its length costs.

The same textures are generated, then their maps made, then encoded and written, each alone and with all cores; beside
that stands the time of the batch that does all of it at once. Then a long batch of tiny textures: time for each item
beside the work in it, memory along the way, and the time of resuming it when it is finished. `bench_walk` and
`bench_cluster` measure walks and, where Ray is installed, a cluster on this machine.

On a machine with other work on it wall times lie; `cpu_share` is the share of processor time, which tells what the
batch itself adds.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import values
from .console import Console
from .inprocess import open_store

if TYPE_CHECKING:
    from ..models.store import Store
    from ..textures.generate import GenerateSettings

HELP = "the time of a batch beside the work in it; memory, resumption and overhead of a long one"
TINY_PX = 16
WALK_PX = 128
PARTS_OF_IT = ("generate", "maps", "write")
PARTS = ("overlap", "long", "walk", "cluster")


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--generator", default="builtin", metavar="NAME", help="generator to use (default: builtin)")
    parser.add_argument("--size", type=values.count, default=512, metavar="PX", help="edge of a texture (default: 512)")
    parser.add_argument("--count", type=values.count, default=8, metavar="N", help="textures, with maps (default: 8)")
    parser.add_argument("--repeats", type=values.count, default=3, metavar="N", help="rounds (default: 3)")
    parser.add_argument("--frames", type=values.count, default=48, metavar="N", help="of each walk (default: 48)")
    parser.add_argument(
        "--part", choices=PARTS, action="append", help="measure this alone; may be given again (default: all)"
    )
    parser.add_argument("--items", type=values.count, default=10_000, metavar="N", help="of the long batch")


def run(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    if args.threads:
        import torch

        torch.set_num_threads(args.threads)
    store = open_store(args)
    parts = args.part or PARTS
    with tempfile.TemporaryDirectory(prefix="latent-loom-bench-") as scratch, console.job("bench outputs"):
        value = {part: measure(store, args, Path(scratch)) for part, measure in MEASURES.items() if part in parts}
    _tell(value, console)
    return value


def overlap(store: Store, args: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    """Median seconds for a texture of each part and of the batch; `share` = batch / sum of the parts."""
    from ..textures.batch import BatchSettings
    from ..textures.batch_run import run_batch
    from ..textures.files import MAPS
    from ..textures.generate import GenerateSettings, make_texture

    seeds = tuple(range(args.count))
    common = {"generator": args.generator, "size": (args.size, args.size), "maps": MAPS}
    look = GenerateSettings(seeds=seeds, **common)
    make_texture(store, look, 0)
    rounds = []
    for number in range(args.repeats):
        folder = scratch / f"round{number}"
        settings = BatchSettings.from_mapping({"items": [common | {"size": args.size, "seeds": list(seeds)}]})
        began_s, began_cpu_s = time.monotonic(), time.process_time()
        run_batch(store, settings, folder / "batch")
        row = {"batch_s": time.monotonic() - began_s, "batch_cpu_s": time.process_time() - began_cpu_s}
        row |= parts(store, look, folder)
        rounds.append({name: seconds / args.count for name, seconds in row.items()})
    row = {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}
    total_s = sum(row[f"{part}_s"] for part in PARTS_OF_IT)
    shares = [r["batch_s"] / sum(r[f"{part}_s"] for part in PARTS_OF_IT) for r in rounds]
    cpu_shares = [r["batch_cpu_s"] / sum(r[f"{part}_cpu_s"] for part in PARTS_OF_IT) for r in rounds]
    return row | {
        "size": args.size, "count": args.count, "sum_s": total_s, "share": statistics.median(shares),
        "cpu_share": statistics.median(cpu_shares),
        "beside_generation": row["batch_s"] / row["generate_s"],
    }  # fmt: skip


def parts(store: Store, look: GenerateSettings, folder: Path) -> dict[str, float]:
    """Seconds, and those of processors, of generating, making maps, and encoding and writing all textures, each with
    all cores: {"generate_s", "generate_cpu_s", "maps_s", ...}.
    """
    from ..textures.files import open_folder, write_picture
    from ..textures.generate import make_texture, picture_set, repetition
    from ..textures.making import writers

    config, folder = store.generator(look.generator).config, open_folder(folder)

    def map_set(color):
        repetition(config, color, look)
        return picture_set(config, color, look)

    def write(numbered):
        number, images = numbered
        for which, image in images.items():
            write_picture(folder / f"{number}_{which}.png", image, about={})

    colors, generate = _timed(lambda seed: make_texture(store, look, seed), look.seeds, 1)
    sets, maps = _timed(map_set, colors, writers())
    _, writing = _timed(write, list(enumerate(sets)), writers())
    took = {"generate": generate, "maps": maps, "write": writing}
    return {f"{part}_{unit}": s for part, both in took.items() for unit, s in zip(("s", "cpu_s"), both, strict=True)}


def _timed(work: Callable[[Any], Any], things: Iterable[Any], threads: int) -> tuple[list[Any], tuple[float, float]]:
    """What `work` made of the things; its wall and its processor time."""
    began_s, began_cpu_s = time.monotonic(), time.process_time()
    if threads == 1:
        made = [work(thing) for thing in things]
    else:
        with ThreadPoolExecutor(threads) as pool:
            made = list(pool.map(work, things))
    return made, (time.monotonic() - began_s, time.process_time() - began_cpu_s)


def long_batch(store: Store, args: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    """Tiny textures, colour alone: resident memory at a tenth and at the end, seconds of an item, overhead, resumption.

    overhead_s  an item's seconds in the batch, less those of generating, encoding and writing it alone
    """
    from ..job import Job
    from ..textures.batch import BatchSettings
    from ..textures.batch_run import run_batch
    from ..textures.generate import GenerateSettings

    items, out, memory = args.items, scratch / "long", []
    jobs = {"items": [{"generator": args.generator, "size": TINY_PX, "seeds": f"0-{items - 1}", "name": "t"}]}
    settings = BatchSettings.from_mapping(jobs)
    tenth = max(1, items // 10)
    job = Job(report=lambda progress: memory.append(resident_mib()) if progress.done % tenth == 0 else None)
    began_s = time.monotonic()
    run_batch(store, settings, out, job)
    batch_s = time.monotonic() - began_s
    began_s = time.monotonic()
    resumed = run_batch(store, settings, out, resume=True)
    resume_s = time.monotonic() - began_s
    few = tuple(range(min(items, 200)))
    look = GenerateSettings(generator=args.generator, size=(TINY_PX, TINY_PX), seeds=few)
    alone = parts(store, look, scratch / "few")
    alone_s = sum(alone[f"{part}_s"] for part in PARTS_OF_IT) / len(few)
    return {
        "items": items, "item_s": batch_s / items, "overhead_s": batch_s / items - alone_s, "resume_s": resume_s,
        "resume_skipped": resumed.skipped, "memory_mib": [round(m, 1) for m in memory if m is not None],
    }  # fmt: skip


def resident_mib() -> float | None:
    """Of this process; None where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20
    except OSError:
        return None


def walk(store: Store, args: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    from .bench_walk import walks

    return walks(store, args.generator, px=WALK_PX, frames=args.frames, scratch=scratch)


def cluster(store: Store, args: argparse.Namespace, scratch: Path) -> dict[str, Any] | None:
    """None where Ray is not installed."""
    from .bench_cluster import clusters

    if importlib.util.find_spec("ray") is None:
        return None
    tiny = min(args.items, 300)
    return clusters(store, args.generator, px=args.size, count=4 * args.count, tiny=tiny, scratch=scratch)


MEASURES = {"overlap": overlap, "long": long_batch, "walk": walk, "cluster": cluster}


def _tell(value: dict[str, Any], console: Console) -> None:
    if o := value.get("overlap"):
        console.say(
            f"{o['count']} textures of {o['size']} px with all maps, a texture: generation {o['generate_s']:.3f} s, "
            f"maps {o['maps_s']:.3f} s, encoding and writing {o['write_s']:.3f} s, together {o['sum_s']:.3f} s; in a "
            f"batch {o['batch_s']:.3f} s: {o['share']:.2f} of the sum ({o['cpu_share']:.2f} of its processor time), "
            f"{o['beside_generation']:.2f} of generation alone."
        )
    if n := value.get("long"):
        console.say(
            f"{n['items']} of {TINY_PX} px: {n['item_s'] * 1000:.1f} ms each, {n['overhead_s'] * 1000:.1f} ms of them "
            f"the batch's own; resumed when finished in {n['resume_s']:.1f} s; memory along the way "
            f"{', '.join(f'{m:.0f}' for m in n['memory_mib'])} MiB."
        )
    if w := value.get("walk"):
        told = ", ".join(f"{which} {amount:.2f}" for which, amount in w["flicker"].items())
        console.say(
            f"{w['walks']} walks of {w['frames']} frames, {w['px']} px: the largest change is {w['visual']:.2f} of the "
            f"mean at visual speed, {w['linear']:.2f} at linear; loops close {'exactly' if w['closes'] else 'NOT'}; "
            f"flicker (0 smooth, 1.73 drawn anew): {told}."
        )
    if "cluster" in value:
        _tell_cluster(value["cluster"], console)


def _tell_cluster(c: dict[str, Any] | None, console: Console) -> None:
    if c is None:
        console.say("No cluster was measured: pip install 'latent-loom[cluster]'.")
        return
    cores = "" if c["cores"] >= 2 else "; this process may use one core, on which two nodes share"
    console.say(
        f"A Ray cluster here, {c['count']} textures of {c['px']} px with all maps: {c['one_s']:.3f} s each on one node "
        f"of one core, {c['two_s']:.3f} s on two: {c['speedup']:.2f} times as fast{cores}. Of {TINY_PX} px: "
        f"{c['tiny_s'] * 1000:.1f} ms each, {c['tiny_here_s'] * 1000:.1f} ms without a cluster."
    )
