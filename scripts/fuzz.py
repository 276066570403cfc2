"""Coverage-guided fuzzing of everything that reads bytes from outside.

    pip install atheris
    python scripts/fuzz.py --seconds 60                    every target in turn, and a table
    python scripts/fuzz.py pickles torch --seconds 600 --keep

The targets are those of tests/attacks/targets.py. What breaks one is written to tests/attacks/corpus/TARGET/, where
the tests read it again; inputs that reached new code are kept in --work, so that the next run goes on from there.
With --keep those of them that run lines which no smaller one runs go into tests/attacks/reached/TARGET.zip: the next
run anywhere begins with them, and the tests read them.
The real socket has a script of its own, flood_frames.py. Ends with 1 if something was found.
"""

from __future__ import annotations

import argparse
import functools
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
import types
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
CORPUS = ROOT / "tests" / "attacks" / "corpus"
REACHED = ROOT / "tests" / "attacks" / "reached"
KEPT_BYTES = 4096
"""Larger inputs are not kept for good: every clone carries them."""
INSTRUMENTED = (
    *("latent_loom.protocol", "latent_loom.stylegan2.checkpoints", "latent_loom.backend.textures"),
    *("latent_loom.backend.models", "latent_loom.backend.service", "latent_loom.backend.adaptation.style"),
)
MEMORY_MIB = 4096
LONGEST_INPUT_S = 20
NAMES = (
    *("messages", "headers", "servers", "clients", "params", "pickles", "torch", "safetensors", "tensorflow"),
    *("styles", "kept", "batches", "manifests", "pictures", "connection", "keys"),
)


def fuzz_here(name: str, options: list[str]) -> None:
    """In a process of its own: libFuzzer ends it. `options` are libFuzzer's, the last but one the folder of seeds."""
    import atheris

    with atheris.instrument_imports(include=list(INSTRUMENTED)):
        import latent_loom.backend.service.parameters
        import latent_loom.backend.textures.batch
        import latent_loom.protocol.client_state
        import latent_loom.stylegan2.checkpoints  # noqa: F401

        sys.path.insert(0, str(ROOT))
        from tests.attacks import targets

        read = targets.TARGETS[name]
        with tempfile.TemporaryDirectory(prefix="latent-loom-fuzz-") as folder:
            for path in sorted(seed for at in options[-2:] for seed in Path(at).glob("seed-*"))[
                :1
            ]:  # what it imports only now takes seconds
                read(path.read_bytes(), Path(folder))
    with tempfile.TemporaryDirectory(prefix="latent-loom-fuzz-") as folder:
        atheris.Setup([sys.argv[0], *options], lambda data: read(data, Path(folder)))
        atheris.Fuzz()


def fuzz(name: str, seconds: int, work: Path) -> dict[str, int | str]:
    """The row of one target."""
    kept, finds = work / name, CORPUS / name
    kept.mkdir(parents=True, exist_ok=True)
    finds.mkdir(parents=True, exist_ok=True)
    before = set(finds.iterdir())
    sys.path.insert(0, str(ROOT))
    from tests.attacks import seeds

    for number, raw in enumerate([*seeds.seeds(name, work / "whole" / name), *seeds.reached(name)]):
        (kept / f"seed-{number}").write_bytes(raw)
    options = [
        *(f"-max_total_time={seconds}", f"-artifact_prefix={finds}/", f"-rss_limit_mb={MEMORY_MIB}"),
        *(f"-timeout={LONGEST_INPUT_S}", "-print_final_stats=1", "-max_len=100000", str(kept), str(finds)),
    ]
    done = subprocess.run(
        [sys.executable, __file__, "--here", name, "--", *options],
        capture_output=True, text=True, errors="replace", env=os.environ | {"LATENT_LOOM_KERNELS": "torch"},
    )  # fmt: skip
    said = done.stderr + done.stdout
    (work / f"{name}.log").write_text(said)
    new = sorted(path.name for path in set(finds.iterdir()) - before)
    if not any(finds.iterdir()):
        finds.rmdir()
    return {
        "target": name,
        "runs": _number(r"number_of_executed_units: *(\d+)", said),
        "per_s": _number(r"average_exec_per_sec: *(\d+)", said),
        "reached": max((int(n) for n in re.findall(r"cov: (\d+)", said)), default=0),
        "peak_rss_mib": _number(r"peak_rss_mb: *(\d+)", said),
        "exit": done.returncode,
        "found": ", ".join(new),
    }


def keep(name: str, work: Path) -> None:
    """Write the inputs of a target that run a line of ours that no smaller one runs, for the tests and later runs."""
    from tests.attacks import targets

    there = {path.read_bytes() for path in (work / name).iterdir()}
    small = sorted((raw for raw in there if len(raw) <= KEPT_BYTES), key=lambda raw: (len(raw), raw))
    seen: set[tuple[str, int]] = set()
    REACHED.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="latent-loom-fuzz-") as folder,
        zipfile.ZipFile(REACHED / f"{name}.zip", "w") as archive,
    ):
        for raw in small:
            lines = lines_run(functools.partial(targets.TARGETS[name], raw, Path(folder)))
            if not lines <= seen:
                seen |= lines
                entry = zipfile.ZipInfo(f"{len(archive.namelist()):03}")  # of no date: the same bytes every time
                archive.writestr(entry, raw, zipfile.ZIP_DEFLATED)


def lines_run(call: Callable[[], Any]) -> set[tuple[str, int]]:
    """(file, line) of our own that a call runs."""
    lines: set[tuple[str, int]] = set()

    def follow(frame: types.FrameType, event: str, arg: Any) -> Any:
        if not frame.f_globals.get("__name__", "").startswith("latent_loom."):
            return None
        lines.add((frame.f_code.co_filename, frame.f_lineno))
        return follow

    sys.settrace(follow)
    try:
        call()
    finally:
        sys.settrace(None)
    return lines


def _number(pattern: str, text: str) -> int:
    found = re.search(pattern, text)
    return int(found[1]) if found else 0


def main() -> int:
    if "--here" in sys.argv:
        at = sys.argv.index("--here")
        fuzz_here(sys.argv[at + 1], sys.argv[at + 3 :])
        return 0
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(NAMES)} (default: all)")
    parser.add_argument("--seconds", type=int, default=60, help="for each target (60)")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "latent-loom-fuzz")
    parser.add_argument("--keep", action="store_true", help="write tests/attacks/reached anew from what was reached")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    for name in args.targets:
        if name not in NAMES:
            parser.error(f"there is no target {name!r}; there are {', '.join(NAMES)}")
    if importlib.util.find_spec("atheris") is None:
        parser.error("the fuzzer is not installed: pip install atheris")
    rows = []
    for name in args.targets or NAMES:
        rows.append(row := fuzz(name, args.seconds, args.work))
        if args.keep:
            keep(name, args.work)
        if not args.json:
            if len(rows) == 1:
                print("".join(f"{key:>13}" for key in row))
            print("".join(f"{value!s:>13}" for value in row.values()), flush=True)
    if args.json:
        print(json.dumps(rows))
    return int(any(row["found"] or row["exit"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
