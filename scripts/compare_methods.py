"""Which method changes the built-in generator best? The table of docs/decisions/0004-default-method.md.

    .venv/bin/python scripts/compare_methods.py [--iterations 100] [--threads N] [--sheet FILE.png]
                                                [--only METHOD:RATE ...]

Every method at several learning rates, several prompts, one seed; measured on 16 fixed latents by the judge, a CLIP
that trained neither the generator nor the styles. Prints one row for each method and rate, then one for each prompt;
KB is the size of a style's tensors.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
import torch
from latent_loom.backend.adaptation import Adaptation, AdaptSettings
from latent_loom.backend.models.store import Store
from PIL import Image

PROMPTS = [
    ("stone", "mossy stone"),
    ("stone", "snowy stone"),
    ("metal", "rusty metal"),
    ("stone", "cracked stone"),
    ("material", "gilded material"),
    ("wood", "burnt wood"),
]
CANDIDATES = [
    ("lowrank", 0.0025),
    ("lowrank", 0.005),
    ("lowrank", 0.01),
    ("style", 0.02),
    ("style", 0.05),
    ("full", 0.002),
    ("full", 0.006),
]
COLUMNS = ("quality", "direction", "retention", "pinned", "structure")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--iterations", type=int, default=100)
    parser.add_argument("--threads", type=int, help="processor threads (default: all)")
    parser.add_argument("--sheet", type=Path, help="picture of every result: rows as printed, before above after")
    parser.add_argument("--only", nargs="*", help="candidates, as METHOD:RATE")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    candidates = [(m, float(r)) for m, _, r in (c.partition(":") for c in options.only or [])] or CANDIDATES
    generator, rows, pictures = Store().generator("builtin"), [], []
    for method, rate in candidates:
        for source, target in PROMPTS:
            settings = AdaptSettings(
                source=source, target=target, method=method, learning_rate=rate, iterations=options.iterations
            )
            run, began_s = Adaptation(generator, settings), time.monotonic()
            for _ in range(options.iterations):
                run.step()
            seconds = time.monotonic() - began_s
            size = sum(t.numel() * t.element_size() for t in run.tensors.values())
            rows.append((method, rate, target, run.snapshot().measures.as_dict(), seconds, size))
            pictures.append(run.preview())
    print(f"{'method':<10}{'rate':<8}{'prompt':<18}" + "".join(f"{c:>11}" for c in COLUMNS) + f"{'s/step':>9}{'KB':>9}")
    for method, rate in candidates:
        chosen = [row for row in rows if row[:2] == (method, rate)]
        means = [statistics.mean(row[3][c] for row in chosen) for c in COLUMNS]
        seconds = statistics.mean(row[4] for row in chosen)
        show(method, rate, "mean", means, seconds / options.iterations, chosen[0][5])
    for method, rate, target, measures, seconds, size in rows:
        show(method, rate, target, [measures[c] for c in COLUMNS], seconds / options.iterations, size)
    if options.sheet:
        Image.fromarray(np.concatenate(pictures)).save(options.sheet)


def show(method: str, rate: float, prompt: str, values: list[float], seconds: float, size: int) -> None:
    scores = "".join(f"{v:>11.2f}" for v in values)
    print(f"{method:<10}{rate:<8}{prompt:<18}{scores}{seconds:>9.2f}{size / 1000:>9.0f}")


if __name__ == "__main__":
    main()
