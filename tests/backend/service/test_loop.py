"""The I/O thread's turn, by itself: what it does before the others have theirs."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest
import zmq
from latent_loom.backend.service import loop as loops
from latent_loom.backend.service.handlers import Context
from latent_loom.backend.service.outbox import Wakeup
from latent_loom.protocol import messages
from latent_loom.protocol.server_state import ServerConnection


class Clock:
    """Time passes where the machine is given a message, `each_s` for each."""

    def __init__(self, each_s):
        self.now, self.each_s = 100.0, each_s

    def monotonic(self):
        return self.now


@pytest.fixture
def flooded(monkeypatch):
    """A function that makes a loop whose router has many pings waiting, each of which takes `each_s` seconds."""
    context = zmq.Context()
    wakeup, sockets = Wakeup(), []

    def make(each_s):
        router, dealer = context.socket(zmq.ROUTER), context.socket(zmq.DEALER)
        sockets.extend((router, dealer))
        router.bind(f"inproc://{id(router)}")
        dealer.connect(f"inproc://{id(router)}")
        clock = Clock(each_s)
        monkeypatch.setattr(loops, "time", clock)
        monkeypatch.setattr(loops, "_shown", lambda frame: "owner")
        gate = SimpleNamespace(monitor=None, look=lambda *_: None, left=list, heard=lambda *_: None)
        monkeypatch.setattr(zmq.Frame, "get", lambda frame, option: 0)
        loop = loops.Loop(
            router=router,
            gate=gate,
            doorkeeper=SimpleNamespace(socket=None, user_of=lambda shown: shown),
            wakeup=wakeup,
            machine=ServerConnection(session="s"),
            context=Context(store=None),
            device=None,
            stop=threading.Event(),
        )  # fmt: skip
        read = []

        def hear(peer, user, frames):
            clock.now += each_s
            read.append(peer)

        monkeypatch.setattr(loop, "_hear", hear)
        for n in range(100):
            dealer.send_multipart(messages.encode(messages.Ping(id=n + 1)))
        return loop, router, read

    yield make
    for socket in sockets:
        socket.close(linger=0)
    context.term()
    wakeup.close()


def test_a_turn_reads_some_cheap_messages_and_leaves_the_rest_for_the_next(flooded):
    loop, router, read = flooded(0.0)
    assert loop._turn({router}) is True
    assert len(read) == loops.MESSAGES_A_TURN


def test_a_turn_reads_few_messages_that_take_long(flooded):
    loop, router, read = flooded(0.6 * loops.RECEIVE_S)
    assert loop._turn({router}) is True
    assert len(read) == 2


def test_a_turn_reads_nothing_where_there_is_nothing(flooded):
    loop, _, read = flooded(0.0)
    assert not loop._turn(set()) and read == []
