"""The scripts that try the service for minutes, for seconds; they share one backend."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture(scope="module")
def scripts():
    """(flood_frames, service_process, soak_clients) as modules."""
    sys.path.insert(0, str(SCRIPTS))
    try:
        import flood_frames
        import service_process
        import soak_clients
    finally:
        sys.path.remove(str(SCRIPTS))
    return flood_frames, service_process, soak_clients


@pytest.fixture(scope="module")
def backend(scripts):
    if not Path("/proc/self/statm").exists():
        pytest.skip("the scripts read the backend's memory from /proc")
    with scripts[1].ServiceProcess() as running:
        yield running


def test_clients_with_mixed_jobs_get_every_answer_once_in_order_and_right(scripts, backend):
    row = scripts[2].soak(backend, seconds=4.0, seed=1, clients=4)
    assert row["wrong"] == []
    assert row["answered_once"] == row["requests"] > 20
    assert row["ends"]["done"] > 0


def test_broken_frames_leave_a_backend_that_serves(scripts, backend):
    row = scripts[0].flood(backend, frames_wanted=4000, seed=1)
    assert backend.alive
    assert row["replies"] > 0 and row["tracebacks"] == 0 and row["jobs_left"] <= 1
