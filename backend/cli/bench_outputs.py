"""`latent-loom bench outputs`: what a batch adds to the work in it, and what its length costs.

The same textures are generated, then their maps made, then encoded and written, each alone and with all cores; beside
that stands the time of the batch that does all of it at once. Then a long batch of tiny textures: time for each item
beside the work in it, memory along the way, and the time of resuming it when it is finished.
"""

from __future__ import annotations

import argparse
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


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--generator", default="builtin", metavar="NAME", help="generator to use (default: builtin)")
    parser.add_argument("--size", type=values.count, default=512, metavar="PX", help="edge of a texture (default: 512)")
    parser.add_argument("--count", type=values.count, default=8, metavar="N", help="textures, with maps (default: 8)")
    parser.add_argument("--repeats", type=values.count, default=3, metavar="N", help="rounds (default: 3)")
    parser.add_argument("--items", type=values.count, default=10_000, metavar="N", help="of the long batch")


def run(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    if args.threads:
        import torch

        torch.set_num_threads(args.threads)
    store = open_store(args)
    with tempfile.TemporaryDirectory(prefix="latent-loom-bench-") as scratch, console.job("bench outputs"):
        value = {"overlap": overlap(store, args, Path(scratch)), "long": long_batch(store, args, Path(scratch))}
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
        began_s = time.monotonic()
        run_batch(store, settings, folder / "batch")
        row = {"batch_s": time.monotonic() - began_s} | parts(store, look, folder)
        rounds.append({name: seconds / args.count for name, seconds in row.items()})
    row = {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}
    total_s = row["generate_s"] + row["maps_s"] + row["write_s"]
    shares = [r["batch_s"] / (r["generate_s"] + r["maps_s"] + r["write_s"]) for r in rounds]
    return row | {
        "size": args.size, "count": args.count, "sum_s": total_s, "share": statistics.median(shares),
        "beside_generation": row["batch_s"] / row["generate_s"],
    }  # fmt: skip


def parts(store: Store, look: GenerateSettings, folder: Path) -> dict[str, float]:
    """Seconds of generating, of making maps, and of encoding and writing all textures, each with all cores."""
    from ..textures.files import open_folder, write_picture
    from ..textures.generate import make_texture, picture_set, repetition
    from ..textures.making import writers

    config, folder = store.generator(look.generator).config, open_folder(folder)

    def map_set(color):
        repetition(config, color, look)
        return picture_set(color, look)

    def write(numbered):
        number, images = numbered
        for which, image in images.items():
            write_picture(folder / f"{number}_{which}.png", image, about={})

    colors, generate_s = _timed(lambda seed: make_texture(store, look, seed), look.seeds, 1)
    sets, maps_s = _timed(map_set, colors, writers())
    _, write_s = _timed(write, list(enumerate(sets)), writers())
    return {"generate_s": generate_s, "maps_s": maps_s, "write_s": write_s}


def _timed(work: Callable[[Any], Any], things: Iterable[Any], threads: int) -> tuple[list[Any], float]:
    began_s = time.monotonic()
    if threads == 1:
        made = [work(thing) for thing in things]
    else:
        with ThreadPoolExecutor(threads) as pool:
            made = list(pool.map(work, things))
    return made, time.monotonic() - began_s


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
    alone_s = sum(parts(store, look, scratch / "few").values()) / len(few)
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


def _tell(value: dict[str, Any], console: Console) -> None:
    o, n = value["overlap"], value["long"]
    console.say(
        f"{o['count']} textures of {o['size']} px with all maps, a texture: generation {o['generate_s']:.3f} s, maps "
        f"{o['maps_s']:.3f} s, encoding and writing {o['write_s']:.3f} s, together {o['sum_s']:.3f} s; in a batch "
        f"{o['batch_s']:.3f} s: {o['share']:.2f} of the sum, {o['beside_generation']:.2f} of generation alone."
    )
    console.say(
        f"{n['items']} of {TINY_PX} px: {n['item_s'] * 1000:.1f} ms each, {n['overhead_s'] * 1000:.1f} ms of them the "
        f"batch's own; resumed when finished in {n['resume_s']:.1f} s; memory along the way "
        f"{', '.join(f'{m:.0f}' for m in n['memory_mib'])} MiB."
    )
