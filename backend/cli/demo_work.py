"""The parts of the demo that are work for the backend, each asked for through the client that the add-on uses."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...protocol.client import Client, Failed, Finished, Lost, Ponged, Progressed
from ...protocol.errors import BackendLost, Cancelled
from ..errors import LoomError
from .console import Bar, Console
from .demo_pictures import write_animation, write_before_after, write_texture_sheet
from .demo_report import Report

PROMPTS = {  # style: source, target
    "mossy": ("stone", "mossy stone"),
    "gilded": ("stone", "gilded stone"),
    "frosted": ("stone", "frosted stone"),
}
STARTERS = ("rusty", "dusty", "snowy")
"""Styles that come with the built-in generator; the batch shows them too."""
SHEET_SEEDS = (1, 4, 5, 12, 13, 59)
TEXTURE_SEEDS, TEXTURE_PX = (1, 2, 4), 512
MAPS = ["color", "height", "normal", "roughness", "ao", "orm"]
PING_EVERY_S, POLL_S = 0.1, 0.02
WALK_FRAMES, WALK_FPS = 48, 16
MANY_STEPS = 100_000  # more than could be done before the cancel


@dataclass(frozen=True, kw_only=True)
class Step:
    """`done` steps were reported at the time `at` (seconds, `perf_counter`)."""

    done: int
    at: float


@dataclass(kw_only=True)
class Work:
    """seed: of every adaptation. `best_style` is the first one, which the later parts use."""

    client: Client
    console: Console
    report: Report
    generator: str
    seed: int
    best_style: str = next(iter(PROMPTS))
    pings_ms: list[float] = field(default_factory=list)

    @property
    def out(self) -> Path:
        return self.report.out

    def ask(self, title: str, request: str, params: dict[str, Any]):
        """One request with a bar; waits for its answer."""
        bar = Bar(title)
        try:
            return self.client.request(request, params, on_progress=bar.follow)
        finally:
            bar.close()

    def adapt_styles(self, iterations: int | str) -> None:
        """A style for every prompt, with pings while it trains; then the before/after sheet."""
        scores: dict[str, Any] = {}
        for name, (source, target) in PROMPTS.items():
            with self.report.part(f"adapt: {source} -> {target}") as part:
                style = self._adapt(name, source, target, iterations)
                scores[name] = style["measures"]
                shown = ", ".join(f"{measure} {value:.3f}" for measure, value in style["measures"].items())
                part["said"] = f"style {name!r}, {style['iterations']} steps, {style['bytes']:,} bytes; {shown}"
        self.report.numbers["scores"] = scores
        self.report.numbers["ping_ms"] = {
            "median": round(statistics.median(self.pings_ms), 3),
            "worst": round(max(self.pings_ms), 3),
            "count": len(self.pings_ms),
        }
        with self.report.part("before/after sheet") as part:
            part["said"] = str(self._write_sheet())

    def _adapt(self, name: str, source: str, target: str, iterations: int | str) -> dict[str, Any]:
        params = {"generator": self.generator, "source": source, "target": target, "name": name, "overwrite": True}
        number = self.client.send("adapt", params | {"iterations": iterations, "seed": self.seed})
        bar = Bar(target)
        next_ping = time.monotonic()
        try:
            while True:
                if time.monotonic() >= next_ping:
                    self.client.ping()
                    next_ping = time.monotonic() + PING_EVERY_S
                for event in self.client.poll(timeout_s=POLL_S):
                    if isinstance(event, Progressed) and event.id == number:
                        bar.follow(event)
                    elif isinstance(event, Finished) and event.id == number:
                        return event.value["style"]
                    else:
                        self._note(event, number)
        finally:
            bar.close()

    def _note(self, event: object, number: int) -> None:
        """Pongs are measured; an end without a result is raised."""
        if isinstance(event, Ponged):
            self.pings_ms.append(1000 * event.seconds)
        if isinstance(event, Failed) and event.id == number:
            raise event.error
        if isinstance(event, Lost):
            raise BackendLost(event.reason)

    def _write_sheet(self) -> Path:
        params = {"generator": self.generator, "seeds": list(SHEET_SEEDS), "size": [256, 256], "maps": ["color"]}
        looks: dict[str, list[Any]] = {"": [], **{name: [[name, 1.0]] for name in PROMPTS}}
        pictures = {
            name: self.ask("sheet", "generate", params | {"styles": look}).arrays["color"]
            for name, look in looks.items()
        }
        before = pictures.pop("")
        return write_before_after(self.out / "before_after.png", before, pictures, PROMPTS, SHEET_SEEDS)

    def measure_cancel(self) -> None:
        """How long a running adaptation takes to end after `cancel`, beside how long one of its steps takes."""
        source, target = PROMPTS[self.best_style]
        params = {"generator": self.generator, "source": source, "target": target, "name": "cancelled"}
        with self.report.part("cancel an adaptation") as part:
            # An earlier demo may have left its own behind.
            params_now = {"iterations": MANY_STEPS, "seed": self.seed, "overwrite": True}
            number = self.client.send("adapt", params | params_now)
            first = self._await_step(number, 0)
            second = self._await_step(number, first.done)
            step_s = (second.at - first.at) / (second.done - first.done)
            time.sleep(step_s / 2)  # into the middle of a step: right after its report it would be flattering
            asked = time.perf_counter()
            self.client.cancel(number)
            cancel_s = self._await_cancelled(number) - asked
            self.report.numbers |= {"cancel_s": round(cancel_s, 4), "step_s": round(step_s, 4)}
            part["said"] = f"took effect after {1000 * cancel_s:.0f} ms; a step takes {1000 * step_s:.0f} ms"

    def _await_step(self, number: int, after: int) -> Step:
        """The first report of more than `after` steps done."""
        while True:
            for event in self.client.poll(timeout_s=POLL_S):
                if isinstance(event, Progressed) and event.id == number and event.done > after:
                    return Step(done=event.done, at=time.perf_counter())
                self._note(event, number)
            self._check_pending(number)

    def _await_cancelled(self, number: int) -> float:
        """When the request ended as cancelled."""
        while True:
            for event in self.client.poll(timeout_s=POLL_S):
                if isinstance(event, Failed) and event.id == number and isinstance(event.error, Cancelled):
                    return time.perf_counter()
                self._note(event, number)
            self._check_pending(number)

    def _check_pending(self, number: int) -> None:
        if number not in self.client.pending:
            raise LoomError("The adaptation ended before it could be cancelled; run the demo again.")

    def make_textures(self) -> None:
        """Seamless textures with every PBR map, and one of each other style."""
        folder = self.out / "textures"
        with self.report.part("textures with PBR maps") as part:
            files = self._generate(self.best_style, TEXTURE_SEEDS, folder)
            sheet = write_texture_sheet(self._previews(folder) / "maps.png", files[: len(MAPS)])
            count = len(files)
            for name in PROMPTS:
                if name != self.best_style:
                    count += len(self._generate(name, (0,), folder))
            part["said"] = f"{count} files in {folder}; {sheet}"

    def compare_repeats(self) -> None:
        """Make the first textures once more and compare every byte."""
        with self.report.part("the same seeds again") as part, tempfile.TemporaryDirectory() as again:
            files = [Path(file["path"]) for file in self._generate(self.best_style, TEXTURE_SEEDS, Path(again))]
            first = self.out / "textures"
            other = [file.name for file in files if file.read_bytes() != (first / file.name).read_bytes()]
            self.report.numbers["identical"] = not other
            part["said"] = f"{len(files)} files, " + (f"other: {', '.join(other)}" if other else "every byte the same")
            if other:
                self.report.problems.append(f"The same seeds gave other files: {', '.join(other)}.")

    def _generate(self, style: str, seeds: Sequence[int], folder: Path) -> list[dict[str, Any]]:
        params = {"generator": self.generator, "styles": [[style, 1.0]], "seeds": list(seeds), "out": str(folder)}
        params |= {"size": [TEXTURE_PX, TEXTURE_PX], "tile": "xy", "maps": MAPS}
        return self.ask(f"textures ({style})", "generate", params).value["files"]

    def make_walk(self) -> None:
        """A loop through the latent space: frames, and an animated preview of them."""
        folder = self.out / "walk"
        params: dict[str, Any] = {"generator": self.generator, "styles": [[self.best_style, 1.0]]}
        params |= {
            "seeds": [0, 1, 2, 3],
            "frames": WALK_FRAMES,
            "loop": True,
            "size": [256, 256],
            "tile": "xy",
            "out": str(folder),
        }
        with self.report.part("latent walk") as part:
            files = self.ask("walk", "walk", params).value["files"]
            frames = [Path(file["path"]) for file in files]
            preview = write_animation(self._previews(folder) / "walk.webp", frames, fps=WALK_FPS)
            part["said"] = f"{len(files)} frames in {folder}; {preview}"

    def export_batch(self) -> None:
        """A set of textures from a batch file, with its manifest: of the new styles, and of some that came along."""
        folder = self.out / "batch"
        folder.mkdir(exist_ok=True)
        styles = [*PROMPTS, *(STARTERS if self.generator == "builtin" else ())]
        jobs = folder / "jobs.toml"
        jobs.write_text(batch_file(self.generator, styles), encoding="utf-8")
        with self.report.part("batch export") as part:
            value = self.ask("batch", "batch", {"file": str(jobs), "out": str(folder / "set")}).value
            part["said"] = f"{value['written']} files in {value['out']}; {value['manifest']}"
            if value["failed"]:
                self.report.problems.append(f"The batch failed in part: {value['failed'][0]['message']}")

    @staticmethod
    def _previews(folder: Path) -> Path:
        previews = folder / "previews"
        previews.mkdir(parents=True, exist_ok=True)
        return previews


def batch_file(generator: str, styles: list[str]) -> str:
    """A batch file with two textures of every style."""
    lines = ["[defaults]", f'generator = "{generator}"', 'size = "256x256"', 'tile = "xy"']
    lines += ['maps = ["color", "normal", "roughness"]', 'format = "png"']
    for style in styles:
        lines += ["", "[[items]]", f'name = "{style}-set"', f'style = "{style}"', 'seeds = "10-11"']
    return "\n".join(lines) + "\n"
