"""The server's machine alone: hello first, pending ids, slots, cancel, progress, slow and vanished peers."""

from __future__ import annotations

import numpy as np
import pytest
from latent_loom.protocol import frames, limits, messages
from latent_loom.protocol.errors import LocalProtocolError
from latent_loom.protocol.server_state import (
    CancelRequested,
    PeerJoined,
    PeerLeft,
    RequestArrived,
    RequestWithdrawn,
    Sending,
    ServerConnection,
    ShutdownRequested,
)


class Wire:
    """A server and what it said to each peer; `now` moves by hand."""

    def __init__(self, **options):
        self.machine = ServerConnection(session="s1", **options)
        self.now = 100.0
        self.said: dict[str, list] = {}
        self.outcome = Sending.SENT

    def hear(self, message, peer="p"):
        raw = message if isinstance(message, list) else messages.encode(message)
        return self.machine.receive(peer, raw, self.now)

    def greet(self, peer="p", pending=()):
        return self.hear(messages.Hello(client="test", version="0", protocol=[1, 0], pending=pending), peer)

    def ask(self, id, type="generate", peer="p", **fields):
        return self.hear(messages.Request(type=type, id=id, **fields), peer)

    def turn(self, seconds=0.0):
        """Let time pass, tick and flush; the events are returned."""
        self.now += seconds
        return self.machine.tick(self.now) + self.machine.flush(self.send)

    def send(self, peer, raw):
        if self.outcome is Sending.SENT:
            self.said.setdefault(peer, []).append(messages.decode(raw, sender="server"))
        return self.outcome

    def hears(self, peer="p"):
        """What the peer was told since the last call."""
        self.turn()
        return self.said.pop(peer, [])


@pytest.fixture
def wire():
    wire = Wire()
    wire.greet()
    wire.hears()
    return wire


def kinds(events):
    return [type(event).__name__ for event in events]


def test_hello_is_answered_with_the_session_and_what_the_backend_says_of_itself():
    wire = Wire(describe=lambda: {"device": "cpu", "generators": ["builtin"]})
    assert wire.greet() == [PeerJoined("p", "test", "0")]
    (welcome,) = wire.hears()
    assert (welcome.session, welcome.device, welcome.generators) == ("s1", "cpu", ["builtin"])
    assert welcome.limits["frame_bytes"] == limits.MAX_FRAME_BYTES


@pytest.mark.parametrize("message", [messages.Ping(id=1), messages.Request(type="status", id=1)])
def test_whoever_says_something_else_first_is_told_to_say_hello(message):
    wire = Wire()
    assert wire.hear(message) == []
    assert [(m.type, m.code) for m in wire.hears()] == [("error", "hello_first")]


def test_what_was_refused_before_the_hello_is_said_before_the_welcome():
    """So that the client, which waits for the welcome, knows then that nobody has its request."""
    wire = Wire()
    wire.ask(5)
    wire.greet()
    error, welcome = wire.hears()
    assert (error.id, error.code, welcome.type) == (5, "hello_first", "welcome")


@pytest.mark.parametrize(("theirs", "older"), [([2, 0], "backend"), ([0, 9], "client")])
def test_another_major_version_is_refused_with_both_versions_named_and_who_is_to_be_updated(theirs, older):
    wire = Wire()
    assert wire.hear(messages.Hello(client="test", version="0", protocol=theirs)) == []
    (error,) = wire.hears()
    assert error.code == "version" and "1.1" in error.message and "{}.{}".format(*theirs) in error.message
    assert f"update the {older}" in error.message
    wire.ask(1)
    assert [m.code for m in wire.hears()] == ["hello_first"]


def test_another_minor_version_is_welcome():
    wire = Wire()
    wire.hear(messages.Hello(client="test", version="0", protocol=[1, 9]))
    assert [m.type for m in wire.hears()] == ["welcome"]


@pytest.mark.parametrize(("theirs", "advice"), [([1, 9], "update the backend"), ([1, 0], "check its name")])
def test_a_request_that_nobody_here_knows_is_answered_with_who_is_to_be_updated(theirs, advice):
    wire = Wire()
    wire.hear(messages.Hello(client="test", version="0", protocol=theirs))
    wire.hears()
    wire.machine.receive("p", frames.encode({"type": "dream", "id": 1}), wire.now)
    (error,) = wire.hears()
    assert (error.code, error.id) == ("unknown_type", 1) and advice in error.message


def test_every_limit_of_the_server_is_in_the_welcome():
    wire = Wire(max_pending=7, max_peers=3, max_pending_bytes=1 << 20, max_request_bytes=1 << 10, grace_s=1.0)
    wire.greet()
    (welcome,) = wire.hears()
    assert welcome.limits == {
        "header_bytes": limits.MAX_HEADER_BYTES,
        "spilled_bytes": limits.MAX_SPILLED_BYTES,
        "items": limits.MAX_ITEMS,
        "arrays": limits.MAX_ARRAYS,
        "frame_bytes": limits.MAX_FRAME_BYTES,
        "message_bytes": limits.MAX_MESSAGE_BYTES,
        "request_bytes": 1 << 10,
        "picture_px": limits.MAX_PICTURE_PX,
        "pending": limits.MAX_PENDING_PER_PEER,
        "pending_of_all": 7,
        "pending_bytes": 1 << 20,
        "peers": 3,
        "connections": limits.MAX_CONNECTIONS,
        "hello_within_s": limits.HELLO_WITHIN_S,
        "queued_messages": limits.MAX_QUEUED_MESSAGES,
        "queued_bytes": limits.MAX_QUEUED_BYTES,
        "grace_s": 1.0,
    }


def test_one_client_too_many_is_told_so_and_gets_in_when_another_has_left():
    wire = Wire(max_peers=2)
    wire.greet("a"), wire.greet("b")
    wire.hears()
    assert wire.greet("c") == []
    (error,) = wire.hears("c")
    assert (error.code, error.id, error.retryable) == ("busy", None, True) and "2 clients" in error.message
    wire.greet("a")  # one that is in may greet again
    assert [m.type for m in wire.hears("a")][-1] == "welcome"
    wire.machine.peer_gone("b")
    assert kinds(wire.greet("c")) == ["PeerJoined"]


def test_a_client_whose_connection_ended_leaves_at_once_unless_it_waits_for_something():
    wire = Wire(max_peers=2)
    wire.greet("idle"), wire.greet("waiting")
    wire.ask(1, peer="waiting")
    wire.hears(), wire.hears("idle"), wire.hears("waiting")
    assert kinds(wire.machine.disconnected("idle", wire.now)) == ["PeerLeft"]
    assert wire.machine.disconnected("waiting", wire.now) == [] == wire.machine.disconnected("nobody", wire.now)
    assert kinds(wire.greet("new")) == ["PeerJoined"]
    wire.hears("new")
    wire.outcome = Sending.GONE
    wire.turn(limits.GRACE_S / 2)
    assert kinds(wire.turn(limits.GRACE_S)) == ["RequestWithdrawn", "PeerLeft"]


def test_a_request_that_carries_too_much_is_answered_and_its_client_stays():
    wire = Wire(max_request_bytes=1000)
    wire.greet()
    wire.hears()
    large = messages.Request(type="project", id=1, arrays={"picture": np.zeros((32, 32, 3), np.uint8)})
    assert wire.hear(large) == []
    (error,) = wire.hears()
    assert (error.code, error.id, error.retryable) == ("too_large", 1, False) and "name that" in error.message
    assert kinds(wire.ask(2)) == ["RequestArrived"]


def test_requests_that_together_carry_too_much_are_answered_busy_until_some_have_ended():
    wire = Wire(max_pending_bytes=5000)
    wire.greet()
    wire.hears()

    def ask(id):
        arrays = {"picture": np.zeros((32, 32, 3), np.uint8)}
        return wire.hear(messages.Request(type="project", id=id, arrays=arrays))

    assert kinds(ask(1)) == ["RequestArrived"]
    assert ask(2) == []
    (error,) = wire.hears()
    assert (error.code, error.id, error.retryable) == ("busy", 2, True)
    wire.machine.result("p", 1)
    assert kinds(ask(3)) == ["RequestArrived"]


def test_a_request_ends_in_exactly_one_answer(wire):
    assert kinds(wire.ask(1)) == ["RequestArrived"]
    assert wire.machine.started("p", 1)
    assert wire.machine.result("p", 1, {"a": 1})
    assert not wire.machine.result("p", 1, {"a": 2})
    assert not wire.machine.fail("p", 1, "internal", "late")
    assert not wire.machine.progress("p", 1, done=1, total=2)
    assert [m.type for m in wire.hears()] == ["result"]


def test_pings_are_answered_while_a_request_runs(wire):
    wire.ask(1)
    wire.machine.started("p", 1)
    wire.hear(messages.Ping(id=9))
    assert [m for m in wire.hears() if m.type == "pong"] == [messages.Pong(id=9)]


def test_an_unknown_type_is_answered_and_the_peer_stays(wire):
    wire.hear(frames.encode({"type": "dance", "id": 3}))
    assert [(m.id, m.code) for m in wire.hears()] == [(3, "unknown_type")]
    assert kinds(wire.ask(4)) == ["RequestArrived"]


def test_a_newer_request_in_a_slot_replaces_the_queued_one(wire):
    wire.ask(1, slot="preview")
    events = wire.ask(2, slot="preview")
    assert events[0] == RequestWithdrawn("p", 1, "superseded") and kinds(events) == [
        "RequestWithdrawn",
        "RequestArrived",
    ]
    assert [(m.id, m.code) for m in wire.hears()] == [(1, "superseded")]
    assert not wire.machine.started("p", 1) and wire.machine.started("p", 2)


def test_a_running_request_in_a_slot_and_other_slots_and_peers_are_left_alone(wire):
    wire.greet("q")
    wire.ask(1, slot="preview")
    wire.machine.started("p", 1)
    wire.ask(2, slot="other")
    wire.ask(3, slot="preview", peer="q")
    wire.ask(4)
    assert kinds(wire.ask(5, slot="preview")) == ["RequestArrived"]
    assert all(wire.machine.is_pending("p", id) for id in (1, 2, 4, 5)) and wire.machine.is_pending("q", 3)


def test_cancelling_a_queued_request_ends_it_at_once(wire):
    wire.ask(1)
    assert wire.hear(messages.Cancel(id=1)) == [RequestWithdrawn("p", 1, "cancelled")]
    assert wire.hear(messages.Cancel(id=1)) == []
    assert [(m.id, m.code) for m in wire.hears()] == [(1, "cancelled")]


def test_cancelling_a_running_request_asks_the_worker_once_and_a_result_may_still_win(wire):
    wire.ask(1)
    wire.machine.started("p", 1)
    assert wire.hear(messages.Cancel(id=1)) == [CancelRequested("p", 1, "cancelled")]
    assert wire.hear(messages.Cancel(id=1)) == []
    wire.machine.result("p", 1)
    assert [m.type for m in wire.hears()] == ["result"]
    assert wire.hear(messages.Cancel(id=1)) == []


def test_cancelling_what_never_was_means_nothing(wire):
    assert wire.hear(messages.Cancel(id=77)) == []
    assert wire.hear(messages.Cancel(id=77), peer="stranger") == []
    assert wire.hears() == wire.hears("stranger") == []


def test_progress_leaves_at_most_ten_times_a_second_and_the_newest_wins(wire):
    wire.ask(1)
    wire.machine.started("p", 1)
    sent = []
    for step in range(1, 101):
        wire.machine.progress("p", 1, done=step, total=100)
        wire.turn(0.02)
        sent += wire.hears()
    assert 15 <= len(sent) <= 20
    wire.turn(1.0)
    assert (sent + wire.hears())[-1].done == 100


def test_progress_never_goes_back(wire):
    wire.ask(1)
    wire.machine.started("p", 1)
    seen = []
    for done in (1, 5, 3, 6):
        wire.machine.progress("p", 1, done=done, total=5)
        wire.turn(1.0)
        seen += [(m.done, m.total) for m in wire.hears()]
    assert seen == [(1, 5), (5, 5), (5, 5), (6, 6)]


def test_numbers_of_numpy_and_endless_estimates_do_not_break_a_report(wire):
    wire.ask(1)
    wire.machine.started("p", 1)
    numbers = {"loss": np.float32(0.5), "direction": float("nan")}
    wire.machine.progress("p", 1, done=np.int64(3), total=np.int32(9), eta_s=float("inf"), numbers=numbers)
    (progress,) = wire.hears()
    assert (progress.done, progress.total, progress.eta_s, progress.numbers["loss"]) == (3, 9, None, 0.5)


def test_a_preview_is_not_lost_when_a_report_without_one_overtakes_it(wire):
    wire.ask(1)
    wire.machine.started("p", 1)
    wire.machine.progress("p", 1, done=1, total=5, preview=np.full((2, 2, 3), 7, np.uint8))
    wire.machine.progress("p", 1, done=2, total=5)
    (progress,) = wire.hears()
    assert progress.done == 2 and progress.arrays["preview"][0, 0].tolist() == [7, 7, 7]


def test_a_waiting_peer_hears_something_every_two_seconds(wire):
    wire.ask(1)
    for _ in range(3):
        wire.hear(messages.Ping(id=9))
        assert [m.type for m in wire.hears()] == ["pong"]
        wire.turn(2.0)
        assert [(m.type, m.id) for m in wire.hears()] == [("progress", 1)]
        wire.turn(0.5)
        assert wire.hears() == []
    wire.machine.fail("p", 1, "internal", "x")
    wire.hears()
    wire.turn(60)
    assert wire.hears() == []


def test_who_is_not_trusted_hears_no_notices():
    wire = Wire(describe=lambda: {"device": "cpu", "notices": ["/home/me/styles/x was moved."]})
    wire.machine.trusts = lambda peer: peer == "owner"
    for peer in ("owner", "guest"):
        wire.greet(peer)
    told = {peer: wire.hears(peer)[0].notices for peer in ("owner", "guest")}
    assert told == {"owner": ["/home/me/styles/x was moved."], "guest": None}


def test_a_pong_does_not_wait_behind_all_the_answers_to_a_flood(wire):
    wire.greet("quiet")
    wire.hears()
    for id in range(1, 50):
        wire.ask(id)
        wire.machine.fail("p", id, "busy", "Later.")
    wire.hear(messages.Ping(id=1), "quiet")
    told = []
    wire.send = lambda peer, raw: told.append(peer) or Sending.SENT
    wire.turn()
    assert "quiet" in told[:2] and told.count("p") == 49


def test_progress_to_a_peer_that_does_not_read_is_dropped_and_its_result_kept(wire):
    wire.ask(1)
    wire.machine.started("p", 1)
    wire.outcome = Sending.BLOCKED
    for step in range(50):
        wire.machine.progress("p", 1, done=step, total=50)
        assert wire.turn(0.2) == []
    wire.machine.result("p", 1, {"a": 1})
    assert wire.turn(60) == []
    wire.outcome = Sending.SENT
    assert [m.type for m in wire.hears()] == ["result"]


def test_a_peer_that_falls_silent_hears_little_until_it_is_heard_again(wire):
    wire.ask(1)
    wire.machine.started("p", 1)
    preview = np.zeros((2, 2, 3), np.uint8)
    told = []
    for step in range(300):  # half a minute
        wire.machine.progress("p", 1, done=step, total=300, preview=preview)
        assert wire.turn(1.1 * limits.PROGRESS_INTERVAL_S) == []
        told.append([(m.done, "preview" in m.arrays) for m in wire.hears()])
    early, late = told[:45], told[60:]
    assert sum(map(len, early)) >= 40 and all(shown for heard in early for _, shown in heard)
    assert 4 <= sum(map(len, late)) <= 33 / limits.UNHEARD_S
    assert all(heard in ([], [(step, False)]) for step, heard in enumerate(told) if step >= 60), "the newest"
    wire.hear(messages.Ping(id=10))
    wire.turn()
    assert [(m.done, "preview" in m.arrays) for m in wire.hears() if m.type == "progress"] == [(299, True)]
    wire.turn(2 * limits.UNHEARD_S)
    wire.machine.result("p", 1)
    wire.turn()
    assert wire.hears()[-1].type == "result"


def test_a_peer_that_lets_too_many_answers_pile_up_is_dropped(wire):
    wire.outcome = Sending.BLOCKED
    events = []
    for id in range(1, limits.MAX_QUEUED_MESSAGES + 2):
        wire.ask(id)
        wire.machine.result("p", id)
        events += wire.turn()
    assert events == [PeerLeft("p", "stopped reading")]
    wire.outcome = Sending.SENT
    wire.hear(messages.Ping(id=5))
    assert [m.code for m in wire.hears()] == ["hello_first"]


def test_the_work_of_a_vanished_peer_stops_after_the_grace_time(wire):
    wire.ask(1)
    wire.ask(2)
    wire.machine.started("p", 1)
    wire.outcome = Sending.GONE
    assert wire.turn(limits.KEEPALIVE_S) == []
    assert wire.turn(limits.GRACE_S - 0.1) == []
    assert wire.turn(0.2) == [
        CancelRequested("p", 1, "peer_left"),
        RequestWithdrawn("p", 2, "peer_left"),
        PeerLeft("p", "vanished"),
    ]
    assert not wire.machine.result("p", 1)


def test_a_peer_that_comes_back_in_time_finds_its_requests_and_the_kept_answers(wire):
    wire.ask(1)
    wire.ask(2)
    wire.machine.started("p", 1)
    wire.outcome = Sending.GONE
    wire.machine.result("p", 1, {"a": 1})
    wire.turn(1.0)
    assert wire.greet(pending=[1, 2]) == []
    wire.outcome = Sending.SENT
    result, welcome = wire.hears()
    assert result.type == "result" and welcome.pending == [2]
    assert wire.turn(60) == []


def test_a_peer_that_comes_back_just_before_it_is_judged_stays(wire):
    wire.ask(1)
    wire.outcome = Sending.GONE
    wire.turn(limits.KEEPALIVE_S)
    wire.outcome = Sending.SENT
    wire.now += limits.GRACE_S
    wire.greet(pending=[1])
    assert wire.turn() == [] and wire.machine.is_pending("p", 1)


def test_what_a_returning_peer_does_not_wait_for_is_cancelled(wire):
    wire.ask(1)
    wire.ask(2)
    wire.machine.started("p", 1)
    assert wire.greet(pending=[]) == [CancelRequested("p", 1, "cancelled"), RequestWithdrawn("p", 2, "cancelled")]


def test_a_silent_peer_that_waits_for_nothing_is_forgotten(wire):
    wire.turn(limits.FORGET_S - 1)
    wire.hear(messages.Ping(id=1))
    assert wire.turn(limits.FORGET_S - 1) == []
    assert wire.turn(2) == [PeerLeft("p", "was silent")]


@pytest.mark.parametrize("raw", [[], [b"junk"], [limits.MAGIC, b"\xc1"], frames.encode({"type": "ping", "id": 0})])
def test_whoever_breaks_the_contract_is_dropped_and_told_why(wire, raw):
    wire.ask(1)
    assert wire.hear(raw)[-1].peer == "p" and not wire.machine.is_pending("p", 1)
    assert [m.code for m in wire.hears()] == ["bad_message"]
    wire.hear(messages.Ping(id=3))
    assert [m.code for m in wire.hears()] == ["hello_first"]


def test_an_id_that_is_in_use_is_a_breach(wire):
    wire.ask(1)
    assert kinds(wire.ask(1)) == ["RequestWithdrawn", "PeerLeft"]


def test_an_id_may_be_used_again_after_its_end(wire):
    wire.ask(1)
    wire.machine.result("p", 1)
    assert kinds(wire.ask(1)) == ["RequestArrived"]


def test_ids_of_different_peers_do_not_meet(wire):
    wire.greet("q")
    wire.hears("q")
    wire.ask(1)
    wire.ask(1, peer="q")
    wire.machine.result("q", 1, {"to": "q"})
    assert [m.value for m in wire.hears("q")] == [{"to": "q"}] and wire.machine.is_pending("p", 1)


def test_too_many_requests_are_answered_busy():
    wire = Wire(max_pending_per_peer=2, max_pending=3)
    wire.greet()
    wire.greet("q")
    for id in (1, 2, 3):
        wire.ask(id)
    for id in (1, 2):
        wire.ask(id, peer="q")
    busy = [(m.id, m.retryable) for m in wire.hears() if m.type == "error" and m.code == "busy"]
    assert busy == [(3, True)]
    assert [m.id for m in wire.hears("q") if m.type == "error" and m.code == "busy"] == [2]


def test_an_answer_over_the_limits_becomes_an_error_that_says_what_to_do(wire):
    wire.ask(1)
    wire.machine.result("p", 1, {"text": "x" * (limits.MAX_SPILLED_BYTES + 1)})
    (error,) = wire.hears()
    assert error.code == "too_large" and "smaller" in error.message


def test_a_result_that_cannot_travel_is_our_bug_and_the_request_can_still_be_answered(wire):
    wire.ask(1)
    with pytest.raises(LocalProtocolError):
        wire.machine.result("p", 1, {"thing": object()})
    assert wire.machine.fail("p", 1, "internal", "x" * 100_000)
    (error,) = wire.hears()
    assert error.code == "internal" and len(error.message) <= limits.MAX_TEXT


def test_shutdown_is_answered_then_everything_ends_and_nothing_new_begins(wire):
    wire.greet("q")
    wire.hears("q")
    wire.ask(1, peer="q")
    wire.ask(2, peer="q")
    wire.machine.started("q", 1)
    events = wire.ask(3, type="shutdown")
    assert events == [
        CancelRequested("q", 1, "shutting_down"),
        RequestWithdrawn("q", 2, "shutting_down"),
        ShutdownRequested("p"),
    ]
    assert [(m.type, m.id) for m in wire.hears()] == [("result", 3)]
    assert [m.code for m in wire.hears("q")] == ["shutting_down", "shutting_down"]
    assert wire.ask(4) == []
    assert [m.code for m in wire.hears()] == ["shutting_down"]


def test_arrays_arrive_with_the_request(wire):
    (event,) = wire.ask(1, arrays={"image": np.ones((1, 2, 2, 3), np.uint8)})
    assert isinstance(event, RequestArrived) and event.request.arrays["image"].shape == (1, 2, 2, 3)
