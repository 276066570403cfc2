import pytest
from latent_loom.backend.job import Progress
from latent_loom.backend.service.eta import Eta


def at(done: int, stage: str = "adapt") -> Progress:
    return Progress(done=done, total=100, stage=stage)


def test_nothing_is_said_before_there_is_a_pace():
    assert Eta().update(at(1), 10.0) is None


def test_the_time_left_follows_the_pace_since_the_first_report():
    eta = Eta()
    eta.update(at(0), 10.0)
    assert eta.update(at(10), 15.0) == pytest.approx(45.0)
    assert eta.update(at(50), 20.0) == pytest.approx(10.0)


def test_the_slow_first_step_does_not_count():
    eta = Eta()
    eta.update(at(1), 30.0)  # half a minute went by before the first report
    assert eta.update(at(2), 31.0) == pytest.approx(98.0)


def test_a_new_stage_begins_anew():
    eta = Eta()
    eta.update(at(0), 0.0)
    eta.update(at(50), 1.0)
    assert eta.update(at(50, "measure"), 2.0) is None
    assert eta.update(at(60, "measure"), 12.0) == pytest.approx(40.0)


def test_an_unknown_total_gives_no_time():
    eta = Eta()
    eta.update(Progress(done=0, total=0), 0.0)
    assert eta.update(Progress(done=5, total=0), 1.0) is None
