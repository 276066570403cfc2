"""The client with its socket against a tiny backend: real ZeroMQ on loopback."""

from __future__ import annotations

import time
import warnings

import numpy as np
import pytest
import zmq
import zmq.utils.z85
from latent_loom.protocol import client as client_module
from latent_loom.protocol import connection_file, errors
from latent_loom.protocol.client import Client, Connected, Failed, Finished, Lost, Progressed
from latent_loom.protocol.server_state import RequestArrived


def collect(client, until, seconds=15.0):
    """Poll until `until(event)` holds for one; all events so far are returned."""
    events, deadline = [], time.monotonic() + seconds
    while time.monotonic() < deadline:
        for event in client.poll(0.05):
            events.append(event)
            if until(event):
                return events
    raise AssertionError(f"it did not happen; there were {events}")


def test_a_request_comes_back_with_its_value_and_its_arrays(backends):
    with Client(backends().address, backends.token) as client:
        pixels = np.arange(24, dtype=np.uint8).reshape(1, 2, 4, 3)
        reply = client.request("generate", {"seeds": [1]}, arrays={"color": pixels}, timeout_s=15)
        assert reply.value == {"echo": {"seeds": [1]}}
        np.testing.assert_array_equal(reply.arrays["color"], pixels)


def test_the_first_event_is_the_welcome_and_the_session_is_known(backends):
    with Client(backends().address, backends.token) as client:
        events = collect(client, lambda e: isinstance(e, Connected))
        assert isinstance(events[0], Connected) and client.welcome.session == "s1" and client.connected


def test_a_wrong_token_is_refused_with_a_sentence_that_says_so(backends):
    with Client(backends().address, "another") as client:
        with pytest.raises(errors.WrongToken, match="wrong token"):
            client.connect(15)
        with pytest.raises(errors.WrongToken, match="wrong token"):
            client.request("status", timeout_s=15)


@pytest.mark.skipif(not zmq.has("curve"), reason="this libzmq was built without CURVE")
def test_with_curve_only_the_keys_on_the_list_are_let_in(backends):
    server, mine = zmq.curve_keypair(), zmq.curve_keypair()
    address = backends(curve_secret=server[1], admits=zmq.utils.z85.decode(mine[0])).address
    keys = tuple(key.decode() for key in mine)
    with Client(address, "", server_key=server[0].decode(), client_keys=keys) as client:
        assert client.request("status", timeout_s=15).value == {"echo": {}}
    with (
        Client(address, "", server_key=server[0].decode()) as stranger,
        pytest.raises(errors.WrongToken, match="does not know this client's key"),
    ):
        stranger.connect(15)


def test_nothing_listening_is_said_within_the_time_given():
    with (
        Client("tcp://127.0.0.1:9", "t", patience_s=0.3) as client,
        pytest.raises(errors.BackendLost, match="Nothing answers at tcp"),
    ):
        client.request("status", timeout_s=30)


def test_an_address_that_is_none_fails_the_request_with_a_sentence():
    with Client("nonsense", "t") as client, pytest.raises(errors.BackendLost, match="check the address"):
        client.request("status", timeout_s=15)


def test_send_and_poll_report_progress_and_the_end(backends):
    backend = backends(backends.answer_when_cancelled)
    with Client(backend.address, backends.token) as client:
        id = client.send("adapt", {"source": "a", "target": "b", "name": "n"})
        events = collect(client, lambda e: isinstance(e, Progressed))
        assert events[-1].id == id and events[-1].done == 1
        client.cancel(id)
        client.cancel(id)
        events = collect(client, lambda e: isinstance(e, Failed))
        assert isinstance(events[-1].error, errors.Cancelled)
        assert client.pending == ()


def test_a_request_that_takes_too_long_is_cancelled_and_leaves_nothing_behind(backends):
    backend = backends(backends.answer_when_cancelled)
    with Client(backend.address, backends.token) as client:
        client.connect()
        with pytest.raises(errors.BackendLost, match="the request was cancelled"):
            client.request("adapt", {"source": "a", "target": "b", "name": "n"}, timeout_s=0.2)
        deadline = time.monotonic() + 15
        while client.pending and time.monotonic() < deadline:
            assert not [e for e in client.poll(0.05) if isinstance(e, Finished | Failed | Progressed)]
        assert client.pending == ()


def test_an_exception_in_on_progress_cancels_the_request(backends):
    def stop(progress):
        raise KeyboardInterrupt

    backend = backends(backends.answer_when_cancelled)
    with Client(backend.address, backends.token) as client:
        with pytest.raises(KeyboardInterrupt):
            client.request("adapt", {"source": "a", "target": "b", "name": "n"}, on_progress=stop, timeout_s=15)
        deadline = time.monotonic() + 15
        while client.pending and time.monotonic() < deadline:
            client.poll(0.05)
        assert client.pending == ()


def test_events_of_other_requests_wait_while_one_is_waited_for(backends):
    with Client(backends().address, backends.token) as client:
        id = client.send("models")
        client.request("status", timeout_s=15)
        assert id in [e.id for e in collect(client, lambda e: isinstance(e, Finished)) if isinstance(e, Finished)]


def test_a_client_that_does_not_read_hinders_nobody_and_finds_its_answers_later(backends):
    def answer_with_a_picture(machine, event):
        if isinstance(event, RequestArrived):
            machine.started(event.peer, event.request.id)
            machine.result(event.peer, event.request.id, {}, {"color": np.zeros((1, 512, 512, 3), np.uint8)})

    backend = backends(answer_with_a_picture)
    with Client(backend.address, backends.token) as slow, Client(backend.address, backends.token) as other:
        slow.connect()
        asked, deadline = [], time.monotonic() + 60
        while len([e for e in backend.events if isinstance(e, RequestArrived)]) < 150:
            if len(asked) < 150:
                asked.append(slow.send("generate", {"seeds": [len(asked)]}))
            else:
                slow._machine.flush(slow._send)  # sends what the socket did not take at first; reads nothing
            time.sleep(0.001)
            assert time.monotonic() < deadline
        assert len(other.request("status", timeout_s=30).arrays) == 1
        ended = set()
        while len(ended) < 150:
            ended |= {e.id for e in slow.poll(0.1) if isinstance(e, Finished)}
            assert time.monotonic() < deadline
        assert ended == set(asked)


def test_a_restarted_backend_fails_what_cannot_be_asked_twice_and_answers_the_rest(backends):
    first = backends(backends.answer_when_cancelled)
    with Client(first.address, backends.token) as client:
        adapt = client.send("adapt", {"source": "a", "target": "b", "name": "n"})
        generate = client.send("generate", {"seeds": [0]})
        collect(client, lambda e: isinstance(e, Progressed) and e.id == generate)
        first.stop()
        collect(client, lambda e: isinstance(e, Lost))
        backends(address=first.address, session="s2")
        events = collect(client, lambda e: isinstance(e, Finished))
        ends = {e.id: e for e in events if isinstance(e, Finished | Failed)}
        assert isinstance(ends[adapt].error, errors.BackendLost)
        assert ends[generate].value == {"echo": {"seeds": [0]}}
        assert client.welcome.session == "s2"


def test_a_backend_that_moves_is_found_through_its_connection_file(backends, tmp_path):
    path = tmp_path / "connection.json"

    def announce(backend, session):
        info = connection_file.ConnectionInfo(address=backend.address, token=backends.token, pid=1, session=session)
        connection_file.write(info, path)

    first = backends()
    announce(first, "s1")
    with Client.from_connection_file(path) as client:
        client.request("status", timeout_s=15)
        first.stop()
        second = backends(session="s2")
        announce(second, "s2")
        client.request("status", timeout_s=15)
        assert client.welcome.session == "s2"


def test_a_cut_cable_costs_a_running_request_nothing(backends):
    backend = backends(backends.answer_when_cancelled)
    cable = backends.cable(backend)
    with Client(cable.address, backends.token) as client:
        id = client.send("adapt", {"source": "a", "target": "b", "name": "n"})
        collect(client, lambda e: isinstance(e, Progressed))
        (peer,) = {event.peer for event in backend.events}
        cable.cut()
        collect(client, lambda e: isinstance(e, Lost))
        connected = collect(client, lambda e: isinstance(e, Connected))[-1]
        assert not connected.restarted and list(connected.welcome.pending) == [id]
        backend.calls.append(lambda machine: machine.result(peer, id, {"style": "n"}))
        assert collect(client, lambda e: isinstance(e, Finished))[-1].value == {"style": "n"}


def test_pings_measure_the_round_trip(backends):
    with Client(backends().address, backends.token) as client:
        client.connect()
        id = client.ping()
        events = collect(client, lambda e: getattr(e, "id", None) == id)
        assert events[-1].seconds == client.round_trip_s >= 0


def test_shutdown_is_answered_before_the_backend_closes(backends):
    with Client(backends().address, backends.token) as client:
        assert client.request("shutdown", timeout_s=15).value == {}
        with pytest.raises(errors.ShuttingDown):
            client.request("status", timeout_s=15)


def test_closing_fails_what_is_pending_and_leaves_no_socket_open(backends):
    backend = backends(backends.answer_when_cancelled)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        client = Client(backend.address, backends.token)
        id = client.send("adapt", {"source": "a", "target": "b", "name": "n"})
        collect(client, lambda e: isinstance(e, Progressed))
        client.close()
        client.close()
        events = client.poll()
        assert [e.id for e in events if isinstance(e, Failed)] == [id]
        with pytest.raises(errors.LocalProtocolError):
            client.send("status")


def test_the_token_stands_in_no_repr():
    client = Client("tcp://127.0.0.1:9", "very-secret")
    assert "very-secret" not in repr(client) + repr(vars(client))
    client.close()


def test_a_missing_connection_file_is_said_with_the_way_to_start_a_backend(tmp_path):
    with pytest.raises(errors.NoConnectionFile, match="latent-loom serve"):
        Client.from_connection_file(tmp_path / "connection.json")


def test_a_connection_file_that_is_written_anew_is_noticed_once(tmp_path, monkeypatch):
    monkeypatch.setattr(client_module, "WAIT_S", 0.0)
    path = tmp_path / "connection.json"
    changed = client_module._watch(path)
    assert not changed()
    path.write_text("one")
    assert changed() and not changed()
    other = tmp_path / "other"
    other.write_text("two")
    other.replace(path)
    assert changed() and not changed()
    path.unlink()
    assert not changed()
