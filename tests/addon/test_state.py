"""What the head of the tab tells: the state that is asked for quietly, memory, troubles with two buttons."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from loom_extension.addon import troubles
from loom_extension.addon.session import Session
from loom_extension.protocol.client import BackendLost, Connected, Failed, Finished
from loom_extension.protocol.errors import NotFound


class Client:
    """`say` queues events for the next poll; `sent` keeps what was asked."""

    def __init__(self):
        self.events, self.sent = [], []

    def say(self, *events):
        self.events += events

    def send(self, type, params, **more):
        self.sent.append(type)
        return len(self.sent)

    def poll(self, timeout_s=0.0, *, budget_s=None):
        events, self.events = self.events, []
        return events

    def close(self):
        pass


def welcome(session="first", notices=()):
    return SimpleNamespace(device="NVIDIA H100, 80 GB", version="1", memory_mib=81920, session=session, notices=notices)


@pytest.fixture
def clock():
    return SimpleNamespace(now=100.0)


@pytest.fixture
def client():
    return Client()


@pytest.fixture
def session(client, clock, tmp_path):
    """Connected, with its lists read."""
    session = Session(open_client=lambda path: client, clock=lambda: clock.now)
    (tmp_path / "c.json").write_text("{}")
    session.connect(tmp_path / "c.json")
    client.say(Connected(welcome()))
    session.tick()
    answer(session, client)
    return session


def answer(session, client, **value):
    """Answer all that is asked."""
    client.say(*(Finished(number, value, {}) for number in list(session.jobs)))
    for job in session.tick().ended:
        if job.on_end:
            job.on_end(job)


def test_the_state_is_asked_for_now_and_then_and_is_no_work(session, client, clock):
    session.ask_status(5.0)
    session.ask_status(5.0)
    assert client.sent.count("status") == 1
    assert not session.working and not session.busy, "asking must not make the timer hurry"
    answer(session, client, device_mib=700, resident_mib=900)
    assert session.memory_used_mib == 700
    session.ask_status(5.0)
    assert client.sent.count("status") == 1
    clock.now += 6
    session.ask_status(5.0)
    assert client.sent.count("status") == 2


def test_what_the_device_does_not_hold_the_machine_does(session, client):
    assert session.memory_used_mib is None and session.memory_mib == 81920
    session.ask_status(5.0)
    answer(session, client, device_mib=0, resident_mib=900)
    assert session.memory_used_mib == 900


def test_only_a_state_that_has_changed_is_drawn_anew(session, client, clock):
    session.tick()
    session.ask_status(5.0)
    answer(session, client, device_mib=1)
    assert session.tick().redraw
    clock.now += 6
    session.ask_status(5.0)
    answer(session, client, device_mib=1)
    assert not session.tick().redraw


def test_a_state_that_cannot_be_had_is_no_news(session, client):
    session.notice = "Wrote 4."
    session.ask_status(5.0)
    client.say(Failed(len(client.sent), BackendLost("gone")))
    session.tick()
    assert session.trouble is None and session.notice == "Wrote 4."


def test_the_user_s_own_work_is_work(session):
    session.submit("adapt", {})
    assert session.working and session.busy


def test_parting_forgets_what_the_backend_said_of_itself(session, client):
    session.ask_status(5.0)
    answer(session, client, device_mib=700, device="x")
    session.disconnect()
    assert session.memory_used_mib is None and session.device == ""


def test_a_backend_that_lacks_a_library_offers_to_repair_it_and_another_the_log():
    lacks = troubles.stopped_while_starting(1, "ModuleNotFoundError: No module named 'torch'")
    assert (lacks.mend, lacks.more) == ("loom.backend_repair", troubles.LOG)
    assert troubles.stopped_while_starting(1, "killed").mend == "loom.backend_log"
    assert troubles.died(9).more == troubles.LOG


def test_what_the_backend_found_damaged_at_its_start_is_told_once(session, client):
    damaged = welcome("second", ["The style moss is damaged.", "It is in the folder damaged now."])
    client.say(Connected(damaged))
    session.tick()
    assert session.trouble.sentence == "The style moss is damaged. It is in the folder damaged now."
    session.trouble = None
    client.say(Connected(damaged))  # the connection broke, the backend did not
    session.tick()
    assert session.trouble is None


def test_a_failure_says_which_job_it_was_so_that_its_panel_shows_it(session, client):
    session.submit("walk", {})
    client.say(Failed(len(client.sent), NotFound("No such style.")))
    session.tick()
    assert (session.trouble.about, session.trouble.mend) == ("walk", "loom.refresh")
    job = session.submit("generate", {}, slot="live", quiet=True)
    client.say(Failed(len(client.sent), NotFound("No such style.")))
    session.tick()
    assert job.trouble.about == "live"


def test_a_part_of_the_panels_shows_its_own_jobs_and_no_others_of_their_type(session, client):
    of_variations = session.submit("generate", {}, part="variations")
    assert session.running("variations") is of_variations and session.running("generate") is None
    client.say(Failed(len(client.sent), NotFound("No such style.")))
    session.tick()
    assert session.trouble.about == "variations"
