"""What a demo measured and where things lie, part by part."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .console import Console


@dataclass
class Report:
    """parts     name, seconds, and what is to be said of each: its numbers, and where its result lies
    numbers   everything measured that is no duration of a part
    problems  sentences; the demo goes on, and fails in the end
    """

    out: Path
    console: Console
    parts: list[dict[str, Any]] = field(default_factory=list)
    numbers: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @contextlib.contextmanager
    def part(self, name: str) -> Iterator[dict[str, Any]]:
        """Time a part. The body may set `said` of the yielded line: where its result lies."""
        line: dict[str, Any] = {"name": name, "seconds": 0.0, "said": ""}
        started = time.perf_counter()
        yield line
        line["seconds"] = round(time.perf_counter() - started, 3)
        self.parts.append(line)
        self.console.say(f"  {name}: {line['said']} ({line['seconds']:.1f} s)")

    def value(self) -> dict[str, Any]:
        """What `--json` prints and `demo.json` keeps."""
        seconds = {part["name"]: part["seconds"] for part in self.parts}
        return {
            **self.numbers,
            "seconds": seconds,
            "total_s": round(sum(seconds.values()), 3),
            "out": str(self.out),
            "parts": self.parts,
            "problems": self.problems,
        }

    def table(self) -> None:
        """End with what lies where, and how long each took."""
        width = max(len(part["name"]) for part in self.parts)
        self.console.say()
        for part in self.parts:
            self.console.say(f"{part['name']:<{width}}  {part['seconds']:>7.1f} s  {part['said']}")
        self.console.say(f"{'altogether':<{width}}  {sum(part['seconds'] for part in self.parts):>7.1f} s  {self.out}")
