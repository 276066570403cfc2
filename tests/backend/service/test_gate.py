"""Connections are counted, and one that says nothing is closed: a real ROUTER, and sockets that knock."""

from __future__ import annotations

import socket
import time

import pytest
import zmq
from latent_loom.backend.service.gate import Gate


class Door:
    """A ROUTER with its gate; everybody who says anything counts as greeted."""

    def __init__(self, **limits):
        self.context = zmq.Context()
        self.router = self.context.socket(zmq.ROUTER)
        self.router.linger = 0
        self.router.setsockopt(zmq.ROUTER_HANDOVER, 1)
        self.gate = Gate(self.router, **limits)
        self.port = self.router.bind_to_random_port("tcp://127.0.0.1")
        self.later_s = 0.0
        self.sockets = []
        self.left: list[bytes] = []
        self.late_to_look = False

    def turn(self, seconds=0.5):
        """Half a second of the I/O thread's turns."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            now = time.monotonic() + self.later_s
            if not self.late_to_look:
                self.gate.look(now)
            while self.router.poll(10):
                identity = self.router.recv(copy=False)
                said = self.router.recv_multipart()
                self.gate.heard(identity.get(zmq.SRCFD), identity.bytes, said == [b"hello"], now)
            self.gate.look(now)
            self.left += self.gate.left()

    def knock(self):
        self.sockets.append(socket.create_connection(("127.0.0.1", self.port), timeout=5))
        return self.sockets[-1]

    def client(self, *words, identity=b""):
        self.sockets.append(self.context.socket(zmq.DEALER))
        if identity:
            self.sockets[-1].setsockopt(zmq.IDENTITY, identity)
        self.sockets[-1].linger = 0
        self.sockets[-1].connect(f"tcp://127.0.0.1:{self.port}")
        for word in words:
            self.sockets[-1].send(word)
        return self.sockets[-1]

    def close(self):
        for one in self.sockets:
            one.close()
        self.gate.close()
        self.router.close()
        self.context.term()


@pytest.fixture
def door():
    made = []

    def make(**limits):
        made.append(Door(**limits))
        return made[-1]

    yield make
    for one in made:
        one.close()


def is_closed(sock):
    sock.settimeout(0.3)
    try:
        while sock.recv(4096):
            pass
    except TimeoutError:
        return False
    except OSError:
        return True
    return True


def test_a_connection_too_many_is_closed_and_the_others_stay(door):
    here = door(most=3, hello_within_s=60)
    first = [here.knock() for _ in range(3)]
    here.turn()
    late = here.knock()
    here.turn()
    assert is_closed(late) and not any(map(is_closed, first)) and len(here.gate) == 3
    first[0].close()
    here.turn()
    assert not is_closed(here.knock())
    here.turn()
    assert len(here.gate) == 3 and here.gate.closed == 1


def test_a_connection_without_a_hello_is_closed_in_time_and_one_with_it_stays(door):
    here = door(most=10, hello_within_s=5)
    silent, greeted, other = here.knock(), here.client(b"hello"), here.client(b"something else")
    here.turn()
    assert len(here.gate) == 3
    here.later_s = 6.0
    here.turn(0.2)
    assert is_closed(silent) and here.gate.closed >= 2
    here.later_s = 0.0
    greeted.send(b"again")
    here.turn()
    assert len(here.gate) >= 1  # `other` may have come back: libzmq connects anew
    other.close()


def test_only_connections_of_ours_are_shut_down(door):
    """The number of a connection that has ended may be another file's by now."""
    here = door(most=10, hello_within_s=5)
    a, b = socket.socketpair()
    with a, b:
        here.gate._silent[a.fileno()] = 0.0
        here.turn(0.1)
        a.send(b"x")
        assert b.recv(1) == b"x" and here.gate.closed == 1


@pytest.mark.parametrize("late_to_look", [False, True])
def test_a_client_that_leaves_is_named_at_once_and_one_that_came_back_meanwhile_is_not(door, late_to_look):
    """late_to_look: a message is read before it was noted that its connection was accepted."""
    here = door(most=10, hello_within_s=60)
    here.late_to_look = late_to_look
    first = here.client(b"hello", identity=b"moss")
    here.turn(0.2)
    again = here.client(b"hello", identity=b"moss")  # the same client by a new connection, as after a broken cable
    here.turn(0.2)
    first.close()
    here.turn(0.3)
    assert here.left == []
    again.close()
    deadline = time.monotonic() + 60
    while not here.left and time.monotonic() < deadline:
        here.turn(0.1)
    assert here.left == [b"moss"] and len(here.gate) == 0
