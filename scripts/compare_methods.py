"""Does the default method reach what training all the weights reaches? The table of docs/decisions/0005.

    .venv/bin/python scripts/compare_methods.py --records RECORDS.jsonl [--only METHOD:RATE[:FIELD=VALUE,...] ...]
                                                [--iterations 300] [--threads N] [--sheet FILE.png] [--floor 0.9]

Ten prompts, one seed, every candidate; every 25 iterations the judge, a CLIP that trained neither the generator nor
the styles, measures the same 16 fixed latents, and says of 48 other pictures how probable the condition is ("mossy")
and in how many it sees the same family of materials as before. Of the small methods weaker strengths are measured too,
which their users have as a slider. Every measurement is a line of the records, so a run that was cut short goes on
where it stopped, and candidates can be added to the records of others. The table compares, prompt by prompt,
what reaches the highest direction score over the floor: of each small candidate, at any length and strength measured,
and of `full`, at any rate and length.
"""

from __future__ import annotations

import argparse
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


def settings_of(candidate: str, source: str, target: str) -> AdaptSettings:
    """ "lowrank:0.006:in_domain=1" -> that method at that rate with other settings beside."""
    method, rate, *rest = candidate.split(":")
    more = dict(part.split("=") for part in ",".join(rest).split(",") if part)
    others = {name: json.loads(value) for name, value in more.items()}
    return AdaptSettings(source=source, target=target, method=method, learning_rate=float(rate), **others)


def measure_run(
    candidate: str, source: str, target: str, iterations: int, meter: EffectMeter
) -> tuple[list[Record], np.ndarray]:
    """Train one candidate on one prompt: its records, and a picture of its last state (before above after)."""
    run = Adaptation(meter.generator, settings_of(candidate, source, target))
    began_s, records = time.monotonic(), []
    nbytes = sum(t.numel() * t.element_size() for t in run.tensors.values())
    weaker = () if candidate.startswith("full") else WEAKER

    def record(snapshot: Snapshot, strength: float, more: Mapping[str, float]) -> Record:
        seconds = round(time.monotonic() - began_s, 2)
        return Record(
            candidate=candidate, target=target, iterations=run.iterations, strength=strength, seconds=seconds,
            measures=snapshot.measures.as_dict() | more, nbytes=nbytes,
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
    """Per prompt and in the mean: each small candidate's choice, and the best of `full`, with the floor and without."""
    small = sorted({r.candidate for r in records if not r.candidate.startswith("full")})
    rows: dict[str, list[Record | None]] = {}
    for _, target in PROMPTS:
        of_prompt = [r for r in records if r.target == target]
        full = [r for r in of_prompt if r.candidate.startswith("full")]
        chosen = {name: highest((r for r in of_prompt if r.candidate == name), "direction", floor) for name in small}
        chosen |= {f"full, best direction, retention >= {floor}": highest(full, "direction", floor)}
        chosen |= {
            "full, best direction": highest(full, "direction", 0),
            "full, best quality": highest(full, "quality", 0),
        }
        measured = {name.partition(":")[0] for name in {r.candidate for r in of_prompt}}
        for name, record in chosen.items():
            if name.partition(":")[0].partition(",")[0] not in measured:
                continue
            rows.setdefault(name, []).append(record)
            print(f"{target:<20}{name:<42}{_scores(record)}")
    for name, found in rows.items():
        kept = [r for r in found if r is not None]
        values = [[r.measures[c] for r in kept if c in r.measures] for c in COLUMNS]
        print(f"{f'mean of {len(kept)}':<20}{name:<42}" + _cells(statistics.mean(v) if v else None for v in values))


def _scores(record: Record | None) -> str:
    if record is None:
        return "  none keeps its diversity"
    strength = f" at {record.strength:g}" if record.strength != 1 else ""
    return f"{_cells(map(record.measures.get, COLUMNS))}   {record.candidate} after {record.iterations}{strength}"


def _cells(values: Iterable[float | None]) -> str:
    return "".join(f"{'-':>11}" if v is None else f"{v:>11.3f}" for v in values)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=Path, required=True, help="file of measurements, one JSON object a line")
    parser.add_argument("--iterations", type=int, default=300)
    parser.add_argument("--threads", type=int, help="processor threads (default: all)")
    parser.add_argument("--sheet", type=Path, help="picture of every result trained now: before above after")
    parser.add_argument("--only", nargs="*", default=CANDIDATES, help="candidates, as METHOD:RATE[:FIELD=VALUE,...]")
    parser.add_argument("--prompts", nargs="*", help="targets, of the ten (default: all)")
    parser.add_argument("--floor", type=float, default=0.9, help="retention that a chosen snapshot keeps (default: .9)")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    records, pictures = read_records(options.records), []
    judge = ZeroShot(load_clip("judge"))
    meter = EffectMeter(Store().generator(), judge, count=EFFECT_PICTURES, first_seed=EFFECT_SEED)
    done = {(r.candidate, r.target) for r in records if r.iterations >= options.iterations}
    for candidate in options.only:
        for source, target in PROMPTS:
            if (candidate, target) in done or target not in (options.prompts or [target]):
                continue
            found, picture = measure_run(candidate, source, target, options.iterations, meter)
            pictures.append(picture)
            records += found
            with options.records.open("a") as file:
                file.writelines(json.dumps(asdict(r)) + "\n" for r in found)
    print(f"{'prompt':<20}{'':<42}" + "".join(f"{c:>11}" for c in COLUMNS))
    print_table(records, options.floor)
    if options.sheet and pictures:
        Image.fromarray(np.concatenate(pictures)).save(options.sheet)


if __name__ == "__main__":
    main()
