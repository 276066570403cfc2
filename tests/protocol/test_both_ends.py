"""Both machines against each other in memory, driven by hypothesis: lost connections, restarts, slow and silent ends.

Whatever happens, each request ends exactly once, progress never goes back, and no more than ten reports a second of one
request arrive. A worker that runs one request at a time stands behind the server, as in the real backend.
"""

from __future__ import annotations

import itertools
from collections import deque

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from latent_loom.protocol import errors
from latent_loom.protocol.client_state import ClientConnection, Failed, Finished, Progressed, State
from latent_loom.protocol.server_state import (
    CancelRequested,
    RequestArrived,
    RequestWithdrawn,
    Sending,
    ServerConnection,
    ShutdownRequested,
)

PEER = "p"
TYPES = ["status", "generate", "adapt", "delete_style"]


class BothEnds(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.now = 0.0
        self.life = 0
        self.client = ClientConnection(now=0.0)
        self.start_server()
        self.linked = False
        self.reachable = True
        self.client_reads = True
        self.to_server: deque = deque()
        self.to_client: deque = deque()
        self.asked: dict[int, str] = {}
        self.ends: dict[int, list] = {}
        self.done: dict[int, int] = {}
        self.reports: dict[int, list[float]] = {}
        self.executions: dict[int, int] = {}

    def start_server(self):
        self.life += 1
        self.server = ServerConnection(session=f"life {self.life}")
        self.queue: list[int] = []
        self.running: int | None = None
        self.steps = 0

    # --- what the world does ---

    @rule(type=st.sampled_from(TYPES), slot=st.sampled_from([None, None, "a", "b"]))
    def ask(self, type, slot):
        id = self.client.request(type, {}, slot=slot)
        self.asked[id] = type
        self.turn()

    @rule(data=st.data())
    def cancel(self, data):
        if self.asked:
            self.take(self.client.cancel(data.draw(st.sampled_from(sorted(self.asked)))))
            self.turn()

    @rule(seconds=st.sampled_from([0.01, 0.05, 0.2, 1.0, 3.0]))
    def time_passes(self, seconds):
        self.now += seconds
        self.turn()

    @rule(seconds=st.sampled_from([5.0, 60.0, 700.0]))
    def the_client_is_blocked(self, seconds):
        """Blender renders: the server goes on alone."""
        for _ in range(5):
            self.now += seconds / 5
            self.server_turn()

    @rule(count=st.integers(1, 6))
    def the_worker_works(self, count):
        for _ in range(count):
            self.work()
        self.turn()

    @rule()
    def the_worker_finishes(self):
        if self.running is not None:
            self.server.result(PEER, self.running, {"life": self.life})
            self.running = None
        self.turn()

    @rule()
    def the_worker_fails(self):
        if self.running is not None:
            self.server.fail(PEER, self.running, "out_of_memory", "Use a smaller size.")
            self.running = None
        self.turn()

    @rule()
    def the_connection_breaks(self):
        self.unlink()
        self.turn()

    @rule(reachable=st.booleans())
    def the_network_changes(self, reachable):
        self.reachable = reachable
        if not reachable:
            self.unlink()
        self.turn()

    @rule(reads=st.booleans())
    def the_client_reads_or_not(self, reads):
        self.client_reads = reads
        self.turn()

    @rule()
    def the_backend_is_killed_and_started_again(self):
        self.unlink()
        self.start_server()
        self.turn()

    # --- the ends ---

    def unlink(self):
        """The transport breaks with whatever was under way."""
        self.to_server.clear()
        self.to_client.clear()
        if self.linked:
            self.linked = False
            self.take(self.client.transport_lost(self.now, "It broke."))

    def turn(self):
        for _ in range(4):
            self.client_turn()
            self.server_turn()
        self.client_turn()

    def client_turn(self):
        if self.client.wants_transport(self.now):
            self.client.transport_opened(self.now)
            self.linked = self.reachable
            if not self.reachable:
                self.take(self.client.transport_lost(self.now, "Nothing answers."))
        self.client.flush(self.send_to_server)
        while self.to_client and self.linked:
            self.take(self.client.receive(self.to_client.popleft(), self.now))
        self.take(self.client.tick(self.now))
        if self.client.state is State.WAITING and self.linked:
            self.unlink()
        self.client.flush(self.send_to_server)

    def send_to_server(self, raw):
        if self.linked:
            self.to_server.append(raw)
        return self.linked

    def server_turn(self):
        events = []
        while self.to_server:
            events += self.server.receive(PEER, self.to_server.popleft(), self.now)
        events += self.server.tick(self.now)
        events += self.server.flush(self.send_to_client)
        for event in events:
            self.act(event)

    def send_to_client(self, peer, raw):
        assert peer == PEER
        if not self.linked:
            return Sending.GONE
        if not self.client_reads:
            return Sending.BLOCKED
        self.to_client.append(raw)
        return Sending.SENT

    def act(self, event):
        """The queue in front of the worker."""
        assert not isinstance(event, ShutdownRequested)
        if isinstance(event, RequestArrived):
            self.queue.append(event.request.id)
        elif isinstance(event, RequestWithdrawn):
            self.queue.remove(event.id)
        elif isinstance(event, CancelRequested):
            assert event.id == self.running
            self.server.fail(PEER, event.id, "cancelled", "Cancelled.")
            self.running = None

    def work(self):
        if self.running is None and self.queue:
            self.running, self.steps = self.queue.pop(0), 0
            assert self.server.started(PEER, self.running)
            asked = self.client._on_wire.get(self.running, self.running)
            self.executions[asked] = self.executions.get(asked, 0) + 1
        if self.running is not None:
            self.steps += 1
            self.server.progress(PEER, self.running, done=self.steps, total=100)

    def take(self, events):
        for event in events:
            if isinstance(event, Finished | Failed):
                self.ends.setdefault(event.id, []).append(event)
            elif isinstance(event, Progressed):
                assert event.done >= self.done.get(event.id, 0), "progress went back"
                assert event.id not in self.ends, "progress after the end"
                self.done[event.id] = event.done
                self.reports.setdefault(event.id, []).append(self.now)

    # --- what always holds ---

    @invariant()
    def nothing_ends_twice(self):
        assert all(len(ends) == 1 for ends in self.ends.values())
        assert set(self.ends) | set(self.client.pending) == set(self.asked)
        assert not set(self.ends) & set(self.client.pending)

    @invariant()
    def what_must_not_be_done_twice_is_not(self):
        assert all(n == 1 for id, n in self.executions.items() if self.asked.get(id) in ("adapt", "delete_style"))

    def teardown(self):
        """The world heals: everything that was asked ends."""
        self.reachable = self.client_reads = True
        for _ in range(400):
            self.now += 0.5
            self.work()
            if self.running is not None and self.steps > 2:
                self.server.result(PEER, self.running, {})
                self.running = None
            self.turn()
            if not self.client.pending and self.client.state is State.READY:
                break
        assert self.client.pending == ()
        assert self.client.state is State.READY
        self.nothing_ends_twice()
        for ends in self.ends.values():
            assert isinstance(ends[0], Finished) or isinstance(ends[0].error, errors.RequestError | errors.BackendLost)


BothEnds.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None, derandomize=True)
TestBothEnds = BothEnds.TestCase


def test_in_a_good_world_everything_finishes():
    world = BothEnds()
    for kind in ("adapt", "generate", "status"):
        world.ask(kind, None)
    world.teardown()
    assert [type(ends[0]) for ends in world.ends.values()] == [Finished] * 3
    assert world.executions == {1: 1, 2: 1, 3: 1}


def test_at_most_ten_reports_a_second_arrive():
    world = BothEnds()
    world.ask("adapt", None)
    for _ in range(500):
        world.the_worker_works(1)
        world.time_passes(0.01)
    times = world.reports[1]
    assert 30 <= len(times) <= 51
    assert all(b - a > 0.0999 for a, b in itertools.pairwise(times))


def test_a_short_break_costs_a_running_adaptation_nothing():
    world = BothEnds()
    world.ask("adapt", None)
    world.the_worker_works(3)
    world.the_connection_breaks()
    world.the_worker_works(3)
    world.time_passes(1.0)
    world.the_worker_finishes()
    world.time_passes(1.0)
    assert isinstance(world.ends[1][0], Finished) and world.executions == {1: 1}


def test_a_result_that_was_on_its_way_when_the_connection_broke_is_not_awaited_for_ever():
    world = BothEnds()
    world.ask("adapt", None)
    world.the_worker_works(1)
    world.server.result(PEER, 1, {})
    world.running = None
    world.server.flush(world.send_to_client)
    world.unlink()
    world.time_passes(1.0)
    assert isinstance(world.ends[1][0].error, errors.BackendLost)
