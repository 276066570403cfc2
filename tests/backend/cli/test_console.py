from __future__ import annotations

import io
import os
import signal
import sys
import threading

import pytest
from latent_loom.backend.cli.console import STOPPING, Bar, Console, interrupts
from latent_loom.backend.errors import Cancelled
from latent_loom.backend.job import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_bar_is_drawn_on_a_terminal(monkeypatch):
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    bar = Bar("mossy stone")
    bar.follow(Progress(done=1, total=4, stage="train", numbers={"loss": 0.5}))
    bar.follow(Progress(done=4, total=4, stage="train", numbers={"loss": 0.25}))
    bar.close()
    assert "mossy stone (train)" in screen.getvalue()
    assert "4/4" in screen.getvalue() and "loss=0.25" in screen.getvalue()


def test_nothing_is_drawn_in_a_pipe(monkeypatch):
    pipe = io.StringIO()
    monkeypatch.setattr(sys, "stderr", pipe)
    with Console().job("mossy stone") as job:
        job.report(Progress(done=1, total=2))
    assert pipe.getvalue() == ""


def test_the_first_interrupt_asks_the_job_to_stop_and_the_second_stops_at_once(capsys):
    with Console().job("work") as job:
        job.check()
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(Cancelled):
            job.check()
        assert STOPPING in capsys.readouterr().err
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_after_a_job_an_interrupt_is_an_interrupt_again():
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(ValueError, match="broken"), interrupts():
        raise ValueError("broken")
    assert signal.getsignal(signal.SIGINT) is before


def test_a_job_in_another_thread_leaves_the_signals_alone():
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def work() -> None:
        with interrupts() as stop:
            seen.append((stop.is_set(), signal.getsignal(signal.SIGINT)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(False, before)]
