"""The soak scripts, short: a handful of kills and of jobs, on real backends forked by their nursery."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the nursery forks, and memory is read from /proc")


def load(name: str):
    spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
    assert spec and spec.loader
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def scripts():
    return {name: load(name) for name in ("soak_backend", "soak_kills", "soak_memory", "soak_suspensions")}


def test_kills_in_the_middle_of_jobs_lose_nothing(scripts, tmp_path):
    kills = scripts["soak_kills"]
    tallies = kills.soak(tmp_path, kills=6, seed=1, only=("adapt", "generate", "batch", "import", "keep", "project"))
    assert sum(tally.kills for tally in tallies.values()) == 6
    assert {name: tally.wrong for name, tally in tallies.items() if tally.wrong} == {}
    assert "| **all** |" in kills.report(tallies)


def test_a_half_file_would_be_noticed(scripts, tmp_path):
    backend, kills = scripts["soak_backend"], scripts["soak_kills"]
    home = backend.Home(tmp_path)
    assert kills.whole(home) == []
    path = home.data / "generators" / "small.safetensors"
    (home.data / "generators" / "cut.safetensors").write_bytes(path.read_bytes()[:-20])
    (home.out / "half.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (home.out / "half.json").write_text('{"a":')
    (home.out / ".half.json.part").write_text('{"a":')
    assert len(kills.whole(home)) == 3


def test_suspensions_in_the_middle_of_jobs_and_of_none_lose_nothing(scripts, tmp_path):
    suspensions = scripts["soak_suspensions"]
    found = suspensions.soak(tmp_path, seconds=2.0, seed=1, only=("none", "adapt", "generate"))
    assert {one.kind: one.wrong for one in found} == {"none": [], "adapt": [], "generate": []}
    assert "| **all** |" in suspensions.report(found)


@pytest.mark.parametrize(("ends", "wrong"), [(0, "ended 0 times"), (2, "ended 2 times"), (1, "another life")])
def test_a_lost_and_a_second_answer_would_be_noticed(scripts, ends, wrong):
    client = SimpleNamespace(request=lambda *_, **__: None, welcome=SimpleNamespace(session="new"))
    watch = scripts["soak_suspensions"].Watch(client)
    watch.ends = [SimpleNamespace(value={})] * ends
    found = scripts["soak_suspensions"]._judge(SimpleNamespace(client=client), watch, "old" if ends == 1 else "new")
    assert wrong in " ".join(found)


def test_mixed_jobs_are_measured(scripts, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["soak_memory.py", "--jobs", "25", "--flood", "0.5"])
    assert scripts["soak_memory"].main() == 0
    said = capsys.readouterr().out
    assert "25 jobs; from the first quarter on" in said and "| requests for the status |" in said
