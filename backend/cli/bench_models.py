"""`latent-loom bench models`: the numbers of docs/models, and those of any other generator."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from . import values
from .console import Console
from .inprocess import open_store

HELP = "how good the built-in models are, or another generator"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--generator", default="builtin", metavar="NAME|FILE",
        help="generator to measure beside the CLIPs, by name or as a .safetensors file (default: builtin)",
    )  # fmt: skip
    parser.add_argument(
        "--styles",
        type=values.path,
        metavar="DIR",
        help="folder of starter styles (default: the built-in generator's own)",
    )
    parser.add_argument("--sheets", type=values.path, metavar="DIR", help="write the sheets of docs/images as well")
    parser.add_argument(
        "--quick", action="store_true", help="a few pictures only: proves that it runs, measures nothing"
    )


def run(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    from ..adaptation.clip import BUILTIN_CLIPS, BUILTIN_FOLDER
    from ..models import appraisal

    if args.threads:
        import torch

        torch.set_num_threads(args.threads)
    generator = _generator(args)
    extent = appraisal.QUICK if args.quick else appraisal.Extent()
    with console.job("bench models") as job:
        value: dict[str, Any] = {"clips": {}}
        for name in BUILTIN_CLIPS:
            value["clips"][name] = appraisal.appraise_clip(name, extent)
            job.check()
        value["conditions"] = appraisal.appraise_conditions(extent)
        job.check()
        value["generator"] = appraisal.appraise_generator(generator, extent, job)
        folder = args.styles or (BUILTIN_FOLDER / "styles" if args.generator == "builtin" else None)
        files = sorted(folder.glob("*.safetensors")) if folder else []
        value["styles"] = appraisal.appraise_styles(generator, files, extent, job)
    value["bytes"] = appraisal.shipped_bytes(BUILTIN_FOLDER)
    if args.sheets:
        from ..models.model_sheets import write_sheets

        value["sheets"] = [str(path) for path in write_sheets(generator, files, args.sheets)]
    for line in _lines(value):
        console.say(line)
    return value


def _generator(args: argparse.Namespace):
    from ...stylegan2.checkpoints import load_generator

    if args.generator.endswith(".safetensors"):
        return load_generator(Path(args.generator).expanduser()).eval()
    return open_store(args).generator(args.generator)


def _lines(value: dict[str, Any], indent: str = "") -> list[str]:
    """Nested tables, one number a line, deeper ones indented."""
    lines = []
    for name, entry in value.items():
        if isinstance(entry, dict):
            lines += [f"{indent}{name}", *_lines(entry, indent + "  ")]
        else:
            lines.append(f"{indent}{name:<16} {entry}")
    return lines
