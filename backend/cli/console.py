"""What a command shows: prose or one JSON object on standard output, progress and complaints on standard error."""

from __future__ import annotations

import contextlib
import json
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from ..job import Job

STOPPING = "Stopping after this step; press Ctrl-C again to stop at once."


class UnfinishedError(Exception):
    """A command did part of its work. `.value` is its JSON value all the same; the exit code is 1."""

    def __init__(self, sentence: str, value: Any) -> None:
        super().__init__(sentence)
        self.value = value


class Console:
    """One command's voice.

    as_json   prose is left out, and `finish` prints the command's value as one JSON object on the last line
    """

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json

    def say(self, line: str = "") -> None:
        """A line of prose for a person."""
        if not self.as_json:
            print(line, flush=True)

    def complain(self, sentence: str) -> None:
        """A sentence on standard error, in JSON mode too."""
        print(sentence, file=sys.stderr, flush=True)

    def finish(self, value: Any) -> None:
        """End standard output with `value`, if JSON was asked for."""
        if self.as_json:
            print(json.dumps(value, ensure_ascii=False), flush=True)

    @contextlib.contextmanager
    def job(self, title: str) -> Iterator[Job]:
        """A `Job` that draws a bar called `title` and that Ctrl-C cancels."""
        bar = Bar(title)
        try:
            with interrupts() as stop:
                yield Job(report=bar.follow, cancelled=stop.is_set)
        finally:
            bar.close()


class Report(Protocol):
    """What a bar needs of a report: `job.Progress` has it, and so has the client's `Progressed`."""

    @property
    def done(self) -> int: ...
    @property
    def total(self) -> int: ...
    @property
    def stage(self) -> str: ...
    @property
    def numbers(self) -> Mapping[str, float]: ...


class Bar:
    """A progress bar on a terminal; nothing at all in a pipe."""

    def __init__(self, title: str) -> None:
        self.title = title
        self._bar: Any = None

    def follow(self, progress: Report) -> None:
        """Show one report of a `Job`, or one that came over the wire."""
        self.update(progress.done, progress.total, progress.stage, progress.numbers)

    def update(self, done: int, total: int, stage: str = "", numbers: Mapping[str, float] | None = None) -> None:
        if self._bar is None:
            from tqdm import tqdm

            self._bar = tqdm(total=total, desc=self.title, disable=None, leave=False, dynamic_ncols=True)
        if self._bar.disable:
            return
        if numbers and "predicted_s" in numbers:
            told = f"At most about {numbers['predicted_s']:,.0f} s and {numbers['predicted_mib']:,.0f} MiB of memory."
            self._bar.write(told, file=sys.stderr)
            return
        if total != self._bar.total:
            self._bar.total = total
        self._bar.set_description_str(f"{self.title} ({stage})" if stage else self.title, refresh=False)
        self._bar.set_postfix({name: f"{value:.3g}" for name, value in (numbers or {}).items()}, refresh=False)
        self._bar.update(done - self._bar.n)
        self._bar.refresh()

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


@contextlib.contextmanager
def interrupts() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C sets, so that work ends between two steps; the second one raises as usual."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def on_interrupt(signum, frame) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        print(f"\n{STOPPING}", file=sys.stderr, flush=True)

    before = signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)
