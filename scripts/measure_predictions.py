"""What `adapt` predicts before a run, beside what the run takes: processor time, so that other work counts little, and
memory, on the built-in models.

    .venv/bin/python scripts/measure_predictions.py --method full --batch 8 --iterations 60

Time is the first step's times the number of steps, as `adapt` tells it; the run has its snapshots beside the steps.
Memory is what training adds to the loaded models: the high-water mark of the process (Linux), whose heap keeps what the
loading left free, so that small runs show less than they take.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch
from latent_loom.backend.adaptation import Adaptation, AdaptSettings
from latent_loom.backend.adaptation.stopping import SNAPSHOT_EVERY
from latent_loom.backend.models.store import Store

STATUS, PEAK = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def resident_mib(which: str) -> float:
    """VmRSS = now, VmHWM = the most since PEAK was reset."""
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(which))
    return int(line.split()[1]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", default="lowrank")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--iterations", type=int, default=60)
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    settings = AdaptSettings(
        source="stone", target="mossy stone", method=asked.method, batch=asked.batch, iterations=asked.iterations
    )
    run = Adaptation(Store().generator(), settings)
    before = resident_mib("VmRSS")
    PEAK.write_text("5")
    began = time.process_time()
    run.rehearse()
    predicted, began = (time.process_time() - began) * asked.iterations, time.process_time()
    while run.iterations < asked.iterations:
        run.step()
        if run.iterations % SNAPSHOT_EVERY == 0:
            run.snapshot()
    took, grew = time.process_time() - began, resident_mib("VmHWM") - before
    print(f"{asked.method}, batch {asked.batch}, {asked.iterations} iterations, {asked.threads} threads")
    print(f"seconds of processor: predicted {predicted:.1f}, took {took:.1f}, ratio {predicted / took:.2f}")
    print(f"MiB: predicted {run.need.total / 2**20:.0f}, grew by {grew:.0f}")


if __name__ == "__main__":
    main()
