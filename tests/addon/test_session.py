"""The session against a client and a child that do as they are told, and against a real process over a real socket."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from loom_extension.addon import session as states
from loom_extension.addon.child import Launch
from loom_extension.addon.job import CANCELLED, FAILED, FINISHED
from loom_extension.addon.session import Session
from loom_extension.protocol.client import BackendLost, Connected, Failed, Finished, Lost, Progressed
from loom_extension.protocol.errors import Cancelled, NoConnectionFile, PromptError, Superseded

FAKE_BACKEND = Path(__file__).with_name("fake_backend.py")
WELCOME = SimpleNamespace(session="s", notices=(), device="cpu", version="1.0", memory_mib=0)


class ScriptedClient:
    """`say` queues events for the next poll; `sent` and `cancelled` keep what was asked of it."""

    def __init__(self):
        self.events, self.sent, self.cancelled, self.closed = [], [], [], False

    def say(self, *events):
        self.events += events

    def send(self, type, params, *, slot=None, arrays=None):
        self.sent.append((type, params))
        return len(self.sent)

    def cancel(self, id):
        self.cancelled.append(id)

    def poll(self, timeout_s=0.0, *, budget_s=None):
        events, self.events = self.events, []
        return events

    def close(self):
        self.closed = True


class ScriptedChild:
    def __init__(self, argv, log):
        self.code, self.stopping, self.ended = None, False, False

    def exit_code(self):
        return self.code

    def begin_stop(self, now):
        self.stopping = True

    def press(self, now):
        return self.code is not None

    def end(self):
        self.ended = True

    def last_line(self):
        return "no module named torch"


@pytest.fixture
def client():
    return ScriptedClient()


@pytest.fixture
def session(client):
    return Session(open_client=lambda path: client, open_child=ScriptedChild, clock=lambda: 0.0)


@pytest.fixture
def launch(tmp_path):
    return Launch(command=["loom"], connection_file=tmp_path / "c.json", log=tmp_path / "log")


@pytest.fixture
def ready(session, client, tmp_path):
    """A session that was welcomed and has read its lists."""
    (tmp_path / "c.json").write_text("{}")
    session.connect(tmp_path / "c.json")
    client.say(Connected(WELCOME))
    session.tick()
    lists = {"models": {"generators": [{"name": "builtin"}]}, "styles": {"styles": [{"name": "moss"}]}, "textures": {}}
    client.say(*(Finished(number, lists[type], {}) for number, (type, _) in enumerate(client.sent, 1)))
    for job in session.tick().ended:
        job.on_end(job)
    return session


def test_a_new_session_is_off_and_content(session):
    assert (session.state, session.trouble, session.busy) == (states.OFF, None, False)


def test_the_welcome_makes_it_ready_and_brings_the_lists(ready):
    assert ready.connected and ready.backend_version == "1.0" and not ready.busy
    assert ready.generators == [{"name": "builtin"}] and ready.styles == [{"name": "moss"}]


def test_a_missing_connection_file_is_trouble_and_not_an_exception(session, tmp_path):
    session.connect(tmp_path / "none.json")
    assert session.state == states.OFF and "latent-loom serve" in session.trouble.sentence


def test_a_connection_file_that_cannot_be_read_is_told_in_its_own_words(tmp_path):
    def refuse(path):
        raise NoConnectionFile("Others may read it: run chmod 600 on it.")

    session = Session(open_client=refuse)
    (tmp_path / "c.json").write_text("")
    session.connect(tmp_path / "c.json")
    assert session.state == states.OFF and session.trouble.sentence == "Others may read it: run chmod 600 on it."


def test_starting_waits_for_the_connection_file_without_blocking(session, launch):
    session.start(launch)
    session.tick()
    assert session.state == states.STARTING and session.busy
    launch.connection_file.write_text("{}")
    session.tick()
    assert session.state == states.CONNECTING


def test_a_stale_connection_file_is_removed_before_the_start(session, launch):
    launch.connection_file.write_text("{}")
    session.start(launch)
    session.tick()
    assert session.state == states.STARTING


def test_a_child_that_dies_while_starting_is_quoted(session, launch):
    session.start(launch)
    session.child.code = 1
    session.tick()
    assert session.state == states.OFF and session.child is None
    assert "exit code 1" in session.trouble.sentence and "no module named torch" in session.trouble.sentence


def test_a_command_that_cannot_be_run_offers_to_set_one_up(launch):
    def fail(argv, log):
        raise FileNotFoundError(2, "No such file or directory")

    session = Session(open_child=fail)
    session.start(launch)
    assert session.state == states.OFF and session.trouble.mend == "loom.backend_setup"


def test_a_child_that_dies_later_fails_the_running_job_and_offers_a_new_start(session, client, launch):
    session.start(launch)
    launch.connection_file.write_text("{}")
    session.tick()
    client.say(Connected(WELCOME))
    session.tick()
    job = session.submit("adapt", {})
    session.child.code = -9
    assert job in session.tick().ended
    assert (job.state, session.state) == (FAILED, states.OFF)
    assert session.trouble.mend == "loom.backend_start"


def test_stopping_our_own_backend_asks_it_and_is_no_trouble_when_it_is_gone(session, client, launch):
    session.start(launch)
    launch.connection_file.write_text("{}")
    session.tick()
    client.say(Connected(WELCOME))
    session.tick()
    child = session.child
    session.stop()
    assert client.sent[-1][0] == "shutdown" and client.closed and child.stopping
    assert session.busy, "its end is awaited"
    child.code = 0
    session.tick()
    assert session.child is None and session.trouble is None and not session.busy


def test_parting_from_a_backend_that_is_not_ours_does_not_end_it(ready, client):
    ready.stop()
    assert ready.state == states.OFF and ("shutdown", {}) not in client.sent


def test_without_a_backend_nothing_can_be_submitted(session):
    with pytest.raises(BackendLost, match="start it or connect"):
        session.submit("generate", {})


def test_progress_is_kept_on_the_job_and_only_the_newest_preview(ready, client):
    job = ready.submit("adapt", {})
    old, new = np.zeros((2, 2, 3), np.uint8), np.ones((2, 2, 3), np.uint8)
    client.say(
        Progressed(job.id, 1, 4, preview=old),
        Progressed(job.id, 2, 4, "training", 3.0, {"loss": 0.5}, new),
    )
    assert ready.tick().redraw
    assert (job.done, job.total, job.stage, job.eta_s, job.numbers) == (2, 4, "training", 3.0, {"loss": 0.5})
    assert job.preview is new and ready.running("adapt") is job


def test_a_finished_job_is_handed_over_once(ready, client):
    job = ready.submit("generate", {})
    client.say(Finished(job.id, {"files": []}, {}))
    assert ready.tick().ended == [job] and job.state == FINISHED
    assert ready.tick().ended == [] and not ready.busy


def test_a_failed_job_is_trouble_in_the_backend_s_words(ready, client):
    job = ready.submit("adapt", {})
    client.say(Failed(job.id, PromptError("The word xyz is not known")))
    ready.tick()
    assert job.state == FAILED and ready.trouble.sentence == "The word xyz is not known."


def test_the_next_submission_takes_the_trouble_away(ready, client):
    job = ready.submit("adapt", {})
    client.say(Failed(job.id, PromptError("No.")))
    ready.tick()
    ready.submit("adapt", {})
    assert ready.trouble is None


def test_reading_the_lists_takes_no_message_away(ready, client):
    job = ready.submit("adapt", {})
    client.say(Failed(job.id, PromptError("No.")))
    ready.tick()
    ready.refresh()
    assert ready.trouble.sentence == "No."


@pytest.mark.parametrize("error", [Cancelled("Cancelled; kept as moss-partial."), Superseded("Replaced.")])
def test_a_cancelled_or_superseded_job_is_no_trouble(ready, client, error):
    job = ready.submit("adapt", {})
    client.say(Failed(job.id, error))
    ready.tick()
    assert job.state == CANCELLED and ready.trouble is None


def test_cancelling_asks_the_backend_and_tells_what_was_kept(ready, client):
    job = ready.submit("adapt", {})
    ready.cancel(job)
    assert client.cancelled == [job.id] and job.cancelling
    client.say(Failed(job.id, Cancelled("Cancelled; kept as moss-partial.")))
    ready.tick()
    assert ready.notice == "Cancelled; kept as moss-partial."


def test_a_lost_connection_is_told_and_forgotten_when_it_comes_back(ready, client):
    client.say(Lost("It is gone"))
    ready.tick()
    assert ready.state == states.LOST and ready.trouble.sentence == "It is gone."
    client.say(Connected(WELCOME, restarted=True))
    ready.tick()
    assert ready.connected and ready.trouble is None


def test_news_of_jobs_that_nobody_remembers_is_ignored(ready, client):
    client.say(Progressed(99, 1, 2), Finished(99, {}, {}), Failed(99, PromptError("?")))
    assert ready.tick().ended == []


def test_loading_another_file_detaches_what_runs(ready):
    job = ready.submit("generate", {})
    ready.detach_jobs()
    assert job.detached and not ready.submit("generate", {}).detached


def test_disconnecting_fails_what_was_waited_for(ready):
    job = ready.submit("generate", {})
    ready.disconnect()
    assert ready.tick().ended == [job] and job.state == FAILED


def until(session: Session, condition, limit_s=30.0):
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, f"it did not come true; {session.state}, {session.trouble}"
        for job in session.tick(0.05).ended:
            if job.on_end is not None:
                job.on_end(job)


def test_a_real_child_over_a_real_socket_trains_dies_and_is_started_again(tmp_path):
    session = Session()
    launch = Launch(
        command=[sys.executable, str(FAKE_BACKEND)], connection_file=tmp_path / "c.json", log=tmp_path / "log"
    )
    params = {"generator": "builtin", "source": "a", "name": "moss", "iterations": "auto", "preview_every": 5}
    try:
        session.start(launch)
        until(session, lambda: session.connected and not session.jobs)
        job = session.submit("adapt", params | {"target": "moss"})
        until(session, lambda: not job.running)
        assert job.state == FINISHED and job.preview.shape == (64, 64, 3)
        job = session.submit("adapt", params | {"target": "dies"})
        until(session, lambda: session.state == states.OFF)
        assert job.state == FAILED and session.trouble.mend == "loom.backend_start"
        session.start(launch)
        until(session, lambda: session.connected)
        child = session.child
        session.stop()
        until(session, lambda: session.child is None)
        assert child.exit_code() == 0
    finally:
        session.disconnect()
