"""Messages through real sockets of one process: whole, in order, and large ones without a copy."""

from __future__ import annotations

import pytest
import zmq
from latent_loom.protocol import transport

SMALL, LARGE = b"small", bytes(transport.LARGE_BYTES)


@pytest.fixture
def pair():
    context = zmq.Context()
    ends = context.socket(zmq.PAIR), context.socket(zmq.PAIR)
    for end in ends:
        end.setsockopt(zmq.SNDHWM, 2)
        end.setsockopt(zmq.RCVHWM, 2)
    ends[0].bind("inproc://pair")
    ends[1].connect("inproc://pair")
    yield ends
    context.destroy(linger=0)


def test_a_message_comes_whole_and_then_there_is_nothing(pair):
    transport.send(pair[0], [SMALL, LARGE, b""])
    parts = transport.receive(pair[1])
    assert [bytes(part) for part in transport.contents(parts)] == [SMALL, LARGE, b""]
    assert transport.receive(pair[1]) is None


def test_what_is_large_is_a_view_and_what_is_small_lets_the_frame_go(pair):
    transport.send(pair[0], [SMALL, LARGE])
    assert [type(frame) for frame in transport.contents(transport.receive(pair[1]))] == [bytes, memoryview]


def test_a_view_outlives_its_message(pair):
    transport.send(pair[0], [b"\1" * transport.LARGE_BYTES])
    (view,) = transport.contents(transport.receive(pair[1]))
    transport.send(pair[0], [b"\2" * transport.LARGE_BYTES])
    transport.receive(pair[1])
    assert set(view) == {1}


def test_what_cannot_leave_now_leaves_nothing_half_sent(pair):
    sent = 0
    with pytest.raises(zmq.Again):
        for sent in range(100):
            transport.send(pair[0], [b"%d" % sent, LARGE])
    came = []
    while (parts := transport.receive(pair[1])) is not None:
        came.append([len(part) for part in parts[1:]])
    assert came == [[len(LARGE)]] * sent and sent > 0
