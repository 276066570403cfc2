"""`latent-loom demo`: the whole main job on the built-in models, with a real backend process and real sockets.

demo.py           what is done, in which order
demo_report.py    what was measured, and the table at the end
demo_backend.py   the backend's process
demo_work.py      each part, through the client that the add-on uses
demo_pictures.py  sheets and the animated preview
demo_blender.py   the add-on's operators in a headless Blender
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
from pathlib import Path
from typing import Any

from ..errors import AlreadyExists
from . import values
from .console import Console, UnfinishedError
from .demo_report import Report
from .options import add_common, add_generator

REPORT = "demo.json"  # also marks a folder as a demo's, whose contents the next demo may replace
FOLDERS = ("textures", "walk", "batch", "blender", "data")


def add(commands) -> None:
    parser = commands.add_parser("demo", help="see the whole main job happen on the built-in models")
    parser.add_argument("--out", type=values.path, default=Path("demo"), metavar="DIR", help="folder (default: demo)")
    add_generator(parser)
    parser.add_argument(
        "--seed", type=values.seed, default=0, metavar="N", help="seed of every adaptation (default: 0)"
    )
    parser.add_argument(
        "--iterations", type=values.iterations, default="auto", metavar="N", help="steps per style, or auto (default)"
    )
    parser.add_argument(
        "--blender",
        type=values.path,
        metavar="PATH",
        help="a Blender, or a Python with bpy (default: blender if found)",
    )
    parser.add_argument("--addon-zip", type=values.path, metavar="ZIP", help="the extension to use in that Blender")
    add_common(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    from . import demo_blender, demo_work
    from .demo_backend import BackendProcess

    out = args.out.absolute()
    prepare(out)
    report = Report(out=out, console=console)
    console.say(f"Latent Loom's demo: everything goes to {out}")
    with BackendProcess(data=args.data or out / "data", folder=out, threads=args.threads) as backend:
        with report.part("start the backend") as part:
            client = backend.connect()
            part["said"] = backend.describe()
        with contextlib.closing(client):
            work = demo_work.Work(
                client=client, console=console, report=report, generator=args.generator, seed=args.seed
            )
            work.adapt_styles(args.iterations)
            work.measure_cancel()
            work.make_textures()
            work.compare_repeats()
            work.make_walk()
            work.export_batch()
            demo_blender.run(
                report,
                backend,
                blender=args.blender,
                addon_zip=args.addon_zip,
                generator=args.generator,
                style=work.best_style,
            )
    report.table()
    value = report.value()
    (out / REPORT).write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
    if report.problems:
        raise UnfinishedError(" ".join(report.problems), value)
    return value


def prepare(out: Path) -> None:
    """Make the folder; replace what an earlier demo left in it, and nothing that anybody else put there."""
    taken = [name for name in FOLDERS if (out / name).exists()]
    if taken and not (out / REPORT).exists():
        raise AlreadyExists(f"{out} holds {taken[0]!r}, which is not this demo's; name another folder with --out.")
    for name in taken:
        shutil.rmtree(out / name)
    out.mkdir(parents=True, exist_ok=True)
    (out / REPORT).write_text("{}\n", encoding="utf-8")
