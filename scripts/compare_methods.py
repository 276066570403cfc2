"""Does the default method reach what training all the weights reaches? The table of docs/decisions/0005.

    .venv/bin/python scripts/compare_methods.py --records RECORDS.jsonl [--only METHOD:RATE[:FIELD=VALUE,...] ...]
                                                [--seeds 0 ...] [--iterations 300] [--device cuda] [--threads N]
                                                [--sheet FILE.png] [--floor 0.9]

Ten prompts, every seed, every candidate; every 25 iterations the judge, a CLIP that trained neither the generator nor
the styles, measures the same 16 fixed latents, and says of 48 other pictures how probable the condition is ("mossy")
and in how many it sees the same family of materials as before. Of the small methods weaker strengths are measured too,
which their users have as a slider. Every measurement is a line of the records, so a run that was cut short goes on
where it stopped, and candidates can be added to the records of others. The table compares, prompt by prompt,
what reaches the highest direction score over the floor: of each candidate, at any length and strength measured, and of
`full`, at any rate and length; with several seeds, the means of what was chosen for each.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from latent_loom.backend.adaptation.adapt import SNAPSHOT_EVERY, Adaptation
from latent_loom.backend.adaptation.clip import load_clip
from latent_loom.backend.adaptation.settings import AdaptSettings
from latent_loom.backend.adaptation.stopping import Snapshot
from latent_loom.backend.models.starter_styles import EffectMeter
from latent_loom.backend.models.store import Store
from latent_loom.backend.models.zero_shot import ZeroShot
from PIL import Image

PROMPTS = [
    ("stone", "mossy stone"),
    ("stone", "snowy stone"),
    ("stone", "cracked stone"),
    ("metal", "rusty metal"),
    ("wood", "burnt wood"),
    ("material", "gilded material"),
    ("brick", "painted brick"),
    ("cobblestone", "muddy cobblestone"),
    ("fabric", "dusty fabric"),
    ("metal", "frosted metal"),
]
CANDIDATES = ("lowrank:0.006", "style:0.05", "full:0.002", "full:0.005", "full:0.01")
COLUMNS = ("quality", "direction", "retention", "pinned", "structure", "condition", "family")
WEAKER = (0.5, 0.7, 0.85)
"""Strengths of the small methods that are measured beside 1."""
EFFECT_PICTURES, EFFECT_SEED = 48, 5_000_000
"""By which condition and family are told; no other measure and no training takes these."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """One measurement: candidate as it was written, prompt, iterations, the judge's measures at a strength (condition
    and family at 1 alone), seconds so far."""

    candidate: str
    target: str
    iterations: int
    measures: dict[str, float]
    seconds: float
    nbytes: int
    strength: float = 1.0
    seed: int = 0


def settings_of(candidate: str, source: str, target: str, seed: int) -> AdaptSettings:
    """ "lowrank:0.006:in_domain=1" -> that method at that rate with other settings beside."""
    method, rate, *rest = candidate.split(":")
    more = dict(part.split("=") for part in ",".join(rest).split(",") if part)
    others = {name: json.loads(value) for name, value in more.items()}
    return AdaptSettings(source=source, target=target, method=method, seed=seed, learning_rate=float(rate), **others)


def measure_run(
    candidate: str, source: str, target: str, seed: int, iterations: int, meter: EffectMeter
) -> tuple[list[Record], np.ndarray]:
    """Train one candidate on one prompt: its records, and a picture of its last state (before above after)."""
    run = Adaptation(meter.generator, settings_of(candidate, source, target, seed))
    began_s, records = time.monotonic(), []
    nbytes = sum(t.numel() * t.element_size() for t in run.tensors.values())
    weaker = () if candidate.startswith("full") else WEAKER

    def record(snapshot: Snapshot, strength: float, more: Mapping[str, float]) -> Record:
        seconds = round(time.monotonic() - began_s, 2)
        return Record(
            candidate=candidate, target=target, iterations=run.iterations, strength=strength, seconds=seconds,
            measures=snapshot.measures.as_dict() | more, nbytes=nbytes, seed=seed,
        )  # fmt: skip

    while run.iterations < iterations:
        run.step()
        if run.iterations % SNAPSHOT_EVERY == 0:
            snapshot = run.snapshot()
            effect = meter.effect(target.split()[0], run.style(snapshot, name=candidate))
            records.append(record(snapshot, 1.0, {"condition": effect.after, "family": effect.family}))
            records += [record(run.snapshot(strength), strength, {}) for strength in weaker]
    return records, run.preview()


def read_records(path: Path) -> list[Record]:
    return [Record(**json.loads(line)) for line in path.read_text().splitlines()] if path.is_file() else []


def highest(records: Iterable[Record], measure: str, floor: float) -> Record | None:
    """The record that is best by a measure among those that keep their diversity."""
    diverse = [r for r in records if r.measures["retention"] >= floor]
    return max(diverse, key=lambda r: r.measures[measure]) if diverse else None


def print_table(records: Sequence[Record], floor: float) -> None:
    """Per prompt and in the mean: what is chosen of each candidate, and of all of `full`, over the floor and at all."""
    candidates = sorted({r.candidate for r in records}, key=lambda name: (name.startswith("full"), name))
    full = {name for name in candidates if name.startswith("full")}
    choices = {name: ({name}, "direction", floor) for name in candidates}
    choices[f"full, best direction, retention >= {floor}"] = (full, "direction", floor)
    choices["full, best direction"], choices["full, best quality"] = (full, "direction", 0), (full, "quality", 0)
    rows: dict[str, list[Mapping[str, float]]] = {}
    for _, target in PROMPTS:
        for name, (among, measure, least) in choices.items():
            seeds = sorted({r.seed for r in records if r.target == target and r.candidate in among})
            if not seeds:
                continue
            found = [
                highest(
                    (r for r in records if (r.target, r.seed) == (target, seed) and r.candidate in among),
                    measure,
                    least,
                )
                for seed in seeds
            ]
            chosen = [r for r in found if r is not None]
            if chosen:
                rows.setdefault(name, []).append(means(r.measures for r in chosen))
            print(f"{target:<20}{name:<52}{_scores(chosen, len(seeds))}")
    for name, row in rows.items():
        print(f"{f'mean of {len(row)}':<20}{name:<52}{_cells(means(row))}")


def means(rows: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Of every measure, over the rows that have it."""
    by_name: dict[str, list[float]] = {}
    for row in rows:
        for name, value in row.items():
            by_name.setdefault(name, []).append(value)
    return {name: statistics.mean(values) for name, values in by_name.items()}


def _scores(chosen: Sequence[Record], seeds: int) -> str:
    if not chosen:
        return "  none keeps its diversity"
    cells = _cells(means(r.measures for r in chosen))
    if seeds > 1:
        return f"{cells}   {len(chosen)} of {seeds} seeds"
    (record,) = chosen
    strength = f" at {record.strength:g}" if record.strength != 1 else ""
    return f"{cells}   {record.candidate} after {record.iterations}{strength}"


def _cells(measures: Mapping[str, float]) -> str:
    return "".join(f"{measures[c]:>11.3f}" if c in measures else f"{'-':>11}" for c in COLUMNS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=Path, required=True, help="file of measurements, one JSON object a line")
    parser.add_argument("--iterations", type=int, default=300)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0])
    parser.add_argument("--device", default="cpu", help="cpu (default) or cuda")
    parser.add_argument("--threads", type=int, help="processor threads (default: all)")
    parser.add_argument("--sheet", type=Path, help="picture of every result trained now: before above after")
    parser.add_argument("--only", nargs="*", default=CANDIDATES, help="candidates, as METHOD:RATE[:FIELD=VALUE,...]")
    parser.add_argument("--prompts", nargs="*", help="targets, of the ten (default: all)")
    parser.add_argument("--floor", type=float, default=0.9, help="retention that a chosen snapshot keeps (default: .9)")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    records, pictures = read_records(options.records), []
    judge = ZeroShot(load_clip("judge", options.device))
    generator = Store(device=options.device).generator()
    meter = EffectMeter(generator, judge, count=EFFECT_PICTURES, first_seed=EFFECT_SEED)
    done = {(r.candidate, r.target, r.seed) for r in records if r.iterations >= options.iterations}
    for seed, candidate in itertools.product(options.seeds, options.only):
        for source, target in PROMPTS:
            if (candidate, target, seed) in done or target not in (options.prompts or [target]):
                continue
            found, picture = measure_run(candidate, source, target, seed, options.iterations, meter)
            pictures.append(picture)
            records += found
            with options.records.open("a") as file:
                file.writelines(json.dumps(asdict(r)) + "\n" for r in found)
    print(f"{'prompt':<20}{'':<52}" + "".join(f"{c:>11}" for c in COLUMNS))
    print_table(records, options.floor)
    if options.sheet and pictures:
        Image.fromarray(np.concatenate(pictures)).save(options.sheet)


if __name__ == "__main__":
    main()
