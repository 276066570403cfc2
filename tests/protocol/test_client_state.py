"""The client's machine alone: hello, pending requests, loss, restart, backoff, blocked callers, hostile backends."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from latent_loom.protocol import errors, frames, limits, messages
from latent_loom.protocol.client_state import (
    ClientConnection,
    Connected,
    Failed,
    Finished,
    Lost,
    Ponged,
    Progressed,
    State,
    newest_progress,
)

ADAPT = {"source": "stone", "target": "moss", "name": "moss"}


class Wire:
    """A client and what it said; the test plays the backend."""

    def __init__(self, **options):
        self.now = 100.0
        self.machine = ClientConnection(now=self.now, **options)
        self.blocked = False
        self._said: list = []

    def said(self):
        """What it sent since the last call."""
        self.machine.flush(self._send)
        said, self._said = self._said, []
        return said

    def _send(self, raw):
        if not self.blocked:
            self._said.append(messages.decode(raw, sender="client"))
        return not self.blocked

    def hear(self, message):
        raw = message if isinstance(message, list) else messages.encode(message)
        return self.machine.receive(raw, self.now)

    def welcome(self, session="s1", **fields):
        return self.hear(messages.Welcome(server="s", version="0", protocol=[1, 0], session=session, **fields))

    def open(self, session="s1", **fields):
        """A new transport, up to and with the welcome; its events."""
        assert self.machine.wants_transport(self.now)
        self.machine.transport_opened(self.now)
        assert self.said()[0].type == "hello"
        return self.welcome(session, **fields)

    def lose(self, reason="Gone."):
        return self.machine.transport_lost(self.now, reason)

    def wait(self, seconds, step=0.5):
        """Let time pass in small steps (nobody is blocked)."""
        events, end = [], self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + step)
            events += self.machine.tick(self.now)
        return events


@pytest.fixture
def wire():
    wire = Wire()
    wire.open()
    return wire


def test_hello_comes_first_and_requests_wait_for_the_welcome():
    wire = Wire()
    id = wire.machine.request("status")
    assert wire.said() == []
    wire.machine.transport_opened(wire.now)
    wire.machine.request("models")
    (hello,) = wire.said()
    assert hello.type == "hello" and list(hello.protocol) == [1, 1] and list(hello.pending) == []
    (event,) = wire.welcome()
    assert isinstance(event, Connected) and not event.restarted
    assert [(m.type, m.id) for m in wire.said()] == [("status", id), ("models", id + 1)]


def test_a_request_ends_once_and_later_answers_mean_nothing(wire):
    id = wire.machine.request("status")
    wire.said()
    (end,) = wire.hear(messages.Result(id=id, value={"state": "idle"}))
    assert isinstance(end, Finished) and end.value == {"state": "idle"}
    assert wire.hear(messages.Result(id=id)) == []
    assert wire.hear(messages.Error(id=id, code="internal", message="x")) == []
    assert wire.hear(messages.Progress(id=id, done=1, total=2)) == []


# hello_first never ends a request: the client says hello and asks again
@pytest.mark.parametrize("code", [code for code in errors.REQUEST_ERRORS if code != "hello_first"])
def test_every_code_becomes_its_own_exception(wire, code):
    id = wire.machine.request("status")
    wire.said()
    (end,) = wire.hear(messages.Error(id=id, code=code, message="Do this.", retryable=True))
    assert type(end.error) is errors.REQUEST_ERRORS[code]
    assert str(end.error) == "Do this." and end.error.code == code and end.error.retryable


def test_a_code_of_a_newer_backend_keeps_its_name(wire):
    id = wire.machine.request("status")
    wire.said()
    (end,) = wire.hear(messages.Error(id=id, code="too_funny", message="Ha."))
    assert type(end.error) is errors.RequestError and end.error.code == "too_funny"


def test_progress_never_goes_back(wire):
    id = wire.machine.request("adapt", ADAPT)
    wire.said()
    events = [wire.hear(messages.Progress(id=id, done=done, total=10))[0] for done in (2, 5, 3)]
    assert [e.done for e in events] == [2, 5, 5]


def test_cancel_is_sent_once_and_the_backend_has_the_last_word(wire):
    id = wire.machine.request("adapt", ADAPT)
    wire.said()
    assert wire.machine.cancel(id) == wire.machine.cancel(id) == []
    assert [m.type for m in wire.said()] == ["cancel"]
    assert isinstance(wire.hear(messages.Result(id=id))[0], Finished)
    assert wire.machine.cancel(id) == [] and wire.said() == []


def test_cancelling_what_has_not_left_ends_it_here():
    wire = Wire()
    id = wire.machine.request("adapt", ADAPT)
    (end,) = wire.machine.cancel(id)
    assert isinstance(end.error, errors.Cancelled)
    wire.open()
    assert wire.said() == []


def test_a_request_behind_a_full_socket_is_sent_later(wire):
    wire.blocked = True
    wire.machine.request("status")
    assert wire.said() == [] and wire.machine.has_outgoing
    wire.blocked = False
    assert [m.type for m in wire.said()] == ["status"]


def test_after_a_reconnection_to_the_same_session_requests_go_on(wire):
    id = wire.machine.request("adapt", ADAPT)
    wire.said()
    assert wire.lose() == [Lost("Gone.")]
    wire.now += 1
    wire.machine.transport_opened(wire.now)
    (hello,) = wire.said()
    assert list(hello.pending) == [id]
    assert wire.welcome(pending=[id]) == [Connected(wire.machine.welcome)]
    assert wire.said() == []
    assert isinstance(wire.hear(messages.Result(id=id))[0], Finished)


def test_what_the_same_session_does_not_know_any_more_is_lost_or_asked_again(wire):
    adapt, status = wire.machine.request("adapt", ADAPT), wire.machine.request("status")
    wire.said()
    wire.lose()
    wire.now += 1
    _, failed = wire.open()
    assert failed.id == adapt and isinstance(failed.error, errors.BackendLost)
    (again,) = wire.said()
    assert again.type == "status" and again.id not in (adapt, status)
    assert wire.hear(messages.Result(id=status)) == []  # a late answer to the lost attempt
    assert wire.hear(messages.Progress(id=again.id, done=1, total=2))[0].id == status
    assert wire.hear(messages.Result(id=again.id, value={"state": "idle"})) == [Finished(status, {"state": "idle"}, {})]


def test_a_restarted_backend_fails_the_rest_and_says_so(wire):
    adapt, generate = wire.machine.request("adapt", ADAPT), wire.machine.request("generate", {"seeds": [1]})
    wire.said()
    wire.lose()
    late = wire.machine.request("adapt", ADAPT)
    wire.now += 1
    connected, failed = wire.open("s2", pending=[adapt])
    assert connected.restarted and failed.id == adapt and "restarted" in str(failed.error)
    again, held_back = wire.said()
    assert (again.type, held_back.id) == ("generate", late)
    wire.machine.cancel(generate)
    assert wire.said() == [messages.Cancel(id=again.id)]


def test_an_idempotent_request_is_not_asked_again_for_ever(wire):
    id = wire.machine.request("generate", {"seeds": [1]})
    wire.said()
    ends = []
    for life in range(limits.MAX_RETRIES + 1):
        wire.lose()
        wire.now += 60
        ends += [e for e in wire.open(f"life {life}") if isinstance(e, Failed)]
        wire.said()
    assert [e.id for e in ends] == [id] and isinstance(ends[0].error, errors.BackendLost)


def test_a_cancelled_request_is_not_asked_again(wire):
    id = wire.machine.request("generate", {"seeds": [1]})
    wire.said()
    wire.machine.cancel(id)
    wire.lose()
    wire.now += 1
    _, failed = wire.open("s2")
    assert isinstance(failed.error, errors.Cancelled) and wire.said() == []


def test_a_cancel_during_the_loss_is_said_after_it(wire):
    id = wire.machine.request("adapt", ADAPT)
    wire.said()
    wire.lose()
    assert wire.machine.cancel(id) == []
    wire.now += 1
    wire.open(pending=[id])
    assert wire.said() == [messages.Cancel(id=id)]


def test_without_a_connection_requests_fail_after_the_patience():
    wire = Wire(patience_s=5)
    wire.wait(3600)
    id = wire.machine.request("status")
    wire.machine.transport_lost(wire.now, "Nothing answers.")
    assert wire.wait(4.5) == []
    (failed,) = wire.wait(2)
    assert failed.id == id and isinstance(failed.error, errors.BackendLost) and "Nothing answers." in str(failed.error)


def test_a_wrong_token_fails_everything_at_once(wire):
    id = wire.machine.request("status")
    wire.said()
    events = wire.machine.transport_lost(wire.now, "No.", error=errors.WrongToken("No."))
    assert events[0] == Lost("No.") and events[1].id == id and isinstance(events[1].error, errors.WrongToken)


def test_attempts_come_ever_more_rarely_up_to_32_seconds():
    wire = Wire()
    waits = []
    for _ in range(14):
        began = wire.now
        while not wire.machine.wants_transport(wire.now):
            wire.now += 0.05
        waits.append(wire.now - began)
        wire.machine.transport_opened(wire.now)
        wire.lose()
    assert waits[0] == 0 and waits[1] < 0.2 and 31.9 < waits[-1] < 32.1
    assert all(b >= a * 1.9 for a, b in itertools.pairwise(waits[4:10]))


def test_a_request_does_not_sit_out_a_long_backoff():
    wire = Wire()
    for _ in range(12):
        wire.wait(40)
        wire.machine.transport_opened(wire.now)
        wire.lose()
    wire.wait(1)
    assert not wire.machine.wants_transport(wire.now)
    wire.machine.request("status")
    wire.wait(0.2, 0.1)
    assert wire.machine.wants_transport(wire.now)


def test_a_welcome_makes_the_next_attempt_quick_again(wire):
    for _ in range(10):
        wire.lose()
        wire.now += 60
        wire.open()
    wire.lose()
    wire.now += 0.11
    assert wire.machine.wants_transport(wire.now)


def test_each_loss_is_said_once(wire):
    assert wire.lose() == [Lost("Gone.")]
    for _ in range(3):
        wire.now += 60
        wire.machine.transport_opened(wire.now)
        assert wire.lose() == []
    wire.now += 60
    wire.machine.transport_opened(wire.now)
    assert wire.lose("Nothing answers.") == [Lost("Nothing answers.")]


def test_a_backend_that_says_no_welcome_is_given_up():
    wire = Wire()
    wire.machine.transport_opened(wire.now)
    assert wire.wait(limits.HELLO_TIMEOUT_S - 1) == []
    (lost,) = wire.wait(2)
    assert "does not answer" in lost.reason and wire.machine.state is State.WAITING


def test_time_in_which_the_caller_was_blocked_counts_against_nobody():
    wire = Wire(patience_s=5)
    wire.machine.transport_opened(wire.now)
    wire.machine.request("status")
    assert wire.wait(2) == []
    wire.now += 600  # Blender renders
    assert wire.machine.tick(wire.now) == []
    assert isinstance(wire.welcome()[0], Connected)


def test_pings_go_out_by_themselves_and_measure_the_round_trip(wire):
    wire.wait(limits.PING_INTERVAL_S)
    (ping,) = wire.said()
    wire.now += 0.25
    assert wire.hear(messages.Pong(id=ping.id)) == [Ponged(ping.id, 0.25)]
    assert wire.machine.round_trip_s == 0.25
    assert wire.hear(messages.Pong(id=ping.id)) == []
    wire.lose()
    assert wire.machine.round_trip_s is None


def test_unanswered_pings_do_not_pile_up(wire):
    wire.wait(1000)
    assert len(wire.machine._pings) <= limits.MAX_PINGS


def test_a_backend_that_forgot_the_client_is_greeted_again_and_asked_again(wire):
    adapt = wire.machine.request("adapt", ADAPT)
    wire.said()
    assert wire.hear(messages.Error(id=adapt, code="hello_first", message="Hello?", retryable=True)) == []
    assert [m.type for m in wire.said()] == ["hello"]
    wire.welcome()
    assert [(m.type, m.id) for m in wire.said()] == [("adapt", adapt)]


def test_another_major_version_closes_for_good(wire):
    id = wire.machine.request("status")
    wire.said()
    failed, lost = wire.hear(messages.Error(code="version", message="Install the same version."))
    assert failed.id == id and isinstance(failed.error, errors.VersionMismatch) and lost.final
    wire.now += 1000
    assert not wire.machine.wants_transport(wire.now)
    assert wire.lose() == [] and wire.hear(messages.Pong(id=1)) == [] and wire.machine.close() == []


def test_a_backend_of_another_major_version_that_says_welcome_is_left_with_who_is_to_be_updated():
    wire = Wire()
    id = wire.machine.request("status")
    wire.machine.transport_opened(wire.now)
    wire.said()
    failed, lost = wire.hear(messages.Welcome(server="s", version="9", protocol=[0, 3], session="s1"))
    assert failed.id == id and isinstance(failed.error, errors.VersionMismatch) and lost.final
    assert "update the backend" in str(failed.error)


def test_what_an_older_backend_cannot_know_is_not_sent_and_says_who_is_to_be_updated():
    wire = Wire()
    held_back = wire.machine.request("free")
    events = wire.open()  # this backend speaks 1.0
    assert [type(event) for event in events] == [Connected, Failed] and wire.machine.minor == 0
    assert events[1].id == held_back and events[1].error.code == "unknown_type"
    assert "update the backend" in str(events[1].error)
    later = wire.machine.request("free")
    (failed,) = wire.machine.tick(wire.now)
    assert failed.id == later and wire.said() == [] and wire.machine.pending == ()


def test_a_newer_backend_is_asked_for_all_that_this_client_knows():
    wire = Wire()
    wire.machine.transport_opened(wire.now)
    wire.said()
    wire.hear(messages.Welcome(server="s", version="9", protocol=[1, 7], session="s1"))
    wire.machine.request("free")
    assert [m.type for m in wire.said()] == ["free"] and wire.machine.minor == 1


def test_a_backend_that_takes_the_connection_and_is_silent_is_waited_for_longer():
    wire = Wire()
    id = wire.machine.request("adapt", ADAPT)
    wire.machine.transport_opened(wire.now)
    events = []
    while wire.now < 150:  # a suspended process: every connection opens, no welcome comes
        events += wire.wait(1)
        if wire.machine.wants_transport(wire.now):
            wire.machine.transport_opened(wire.now)
    if wire.machine.state is State.WAITING:
        wire.wait(5)
        wire.machine.transport_opened(wire.now)
    assert not any(isinstance(event, Failed) for event in events) and wire.machine.pending == (id,)
    wire.said()
    wire.welcome()
    assert [m.type for m in wire.said()] == ["adapt"]


def test_a_new_backend_ends_the_backoff(wire):
    for _ in range(8):
        wire.lose()
        wire.wait(40)
        wire.machine.transport_opened(wire.now)
    wire.lose()
    assert not wire.machine.wants_transport(wire.now)
    wire.machine.hurry(wire.now)
    assert wire.machine.wants_transport(wire.now)


HOSTILE = {
    "junk": [b"junk"],
    "nothing": [],
    "an answer to what was never asked": messages.encode(messages.Result(id=99)),
    "a second welcome": messages.encode(messages.Welcome(server="s", version="0", protocol=[1, 0], session="s")),
    "a preview of floats": frames.encode(
        {"type": "progress", "id": 1, "done": 0, "total": 1}, {"preview": np.zeros((2, 2, 3), np.float32)}
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_backend_that_breaks_the_contract_loses_the_connection_and_nothing_is_raised(wire, name):
    events = wire.hear(HOSTILE[name])
    assert isinstance(events[0], Lost) and wire.machine.state is State.WAITING


def test_a_message_of_a_newer_backend_is_ignored(wire):
    assert wire.hear(frames.encode({"type": "gossip", "text": "x"})) == []
    assert wire.machine.state is State.READY


def test_closing_fails_what_is_pending_and_nothing_more_can_be_asked(wire):
    id = wire.machine.request("status")
    failed, lost = wire.machine.close()
    assert failed.id == id and lost.final
    with pytest.raises(errors.LocalProtocolError):
        wire.machine.request("status")


@pytest.mark.parametrize("params", [{"a": object()}, [1], {"a": "x" * (limits.MAX_SPILLED_BYTES + 1)}])
def test_a_request_that_cannot_travel_raises_and_leaves_nothing_pending(wire, params):
    with pytest.raises(errors.LocalProtocolError):
        wire.machine.request("generate", params)
    assert wire.machine.pending == ()


def test_opening_a_second_transport_is_our_bug(wire):
    with pytest.raises(errors.LocalProtocolError):
        wire.machine.transport_opened(wire.now)


def test_only_the_newest_progress_is_kept_with_the_newest_preview():
    preview = np.zeros((1, 1, 3), np.uint8)
    events = [
        Progressed(1, 1, 9, preview=preview),
        Progressed(2, 1, 9),
        Progressed(1, 2, 9, stage="b"),
        Finished(2, {}, {}),
        Progressed(1, 3, 9, stage="c"),
    ]
    kept = newest_progress(events)
    assert [(type(e).__name__, e.id) for e in kept] == [("Progressed", 2), ("Finished", 2), ("Progressed", 1)]
    assert (kept[2].done, kept[2].stage) == (3, "c") and kept[2].preview is preview
