"""A real process over real sockets: what clients may expect of a backend that stays up."""

import time
from contextlib import contextmanager

import pytest
import zmq
from latent_loom.protocol import PROTOCOL, connection_file, errors, messages
from latent_loom.protocol.client import Client, Progressed

FOREVER = {"target": "x", "name": "x"}


def started(client, kind, **params):
    """Send fake work and wait until it runs."""
    id = client.send("adapt", {"source": kind, **FOREVER, **params})
    while not any(job["id"] == id for job in running(client)):
        time.sleep(0.01)
    return id


def running(client):
    status = client.request("status", {}, timeout_s=30).value
    return status["jobs"][: len(status["jobs"]) - status["queued"]]


def code_of(events):
    return events[-1].error.code


def test_welcome_says_what_there_is(client):
    welcome = client.welcome
    assert "small" in welcome.generators
    assert welcome.memory_mib > 0
    assert welcome.device.startswith("cpu")
    assert {"adapt", "generate", "walk", "status"} <= set(welcome.capabilities)


def test_an_idle_backend_says_so(client):
    value = client.request("status", {}, timeout_s=30).value
    assert (value["state"], value["jobs"], value["queued"]) == ("idle", [], 0)


def test_a_job_reports_and_ends_in_a_result(client, collect):
    id = client.send("adapt", {"source": "steps", "iterations": 20, "rest_s": 0.03, "preview": 16, **FOREVER})
    events = collect(client, id)[id]
    reports = [event for event in events if isinstance(event, Progressed)]
    assert events[-1].value == {"steps": 20}
    assert reports[0].stage == "adapt"
    assert {"loss"} == set(reports[0].numbers)
    assert any(report.preview is not None and report.preview.shape == (16, 16, 3) for report in reports)
    assert any(report.eta_s is not None for report in reports)
    assert [report.done for report in reports] == sorted(report.done for report in reports)


def test_a_real_generator_answers_with_pictures(client):
    reply = client.request("generate", {"generator": "small", "seeds": [3, 4], "size": [32, 16]}, timeout_s=60)
    assert reply.arrays["color"].shape == (2, 16, 32, 3)
    assert reply.arrays["color"].dtype == "uint8"


def test_an_unknown_parameter_is_answered_with_near_names(client):
    with pytest.raises(errors.BadRequest, match="did you mean 'seeds'"):
        client.request("generate", {"seedz": [1]}, timeout_s=30)


def test_an_unknown_generator_is_answered_with_near_names(client):
    with pytest.raises(errors.NotFound, match="did you mean 'small'"):
        client.request("generate", {"generator": "smal", "seeds": [1]}, timeout_s=30)


def test_a_handler_that_raises_is_answered_and_the_service_lives_on(client):
    with pytest.raises(errors.Internal, match="ZeroDivisionError: a bug"):
        client.request("adapt", {"source": "failing", **FOREVER}, timeout_s=30)
    assert client.request("status", {}, timeout_s=30).value["state"] == "idle"


def test_an_answer_that_cannot_travel_is_answered_and_the_service_lives_on(client):
    with pytest.raises(errors.Internal, match="cannot travel"):
        client.request("adapt", {"source": "untransportable", **FOREVER}, timeout_s=30)
    assert client.request("status", {}, timeout_s=30).value["state"] == "idle"


def test_a_running_job_is_cancelled(client, collect):
    id = started(client, "steps", iterations=100_000)
    client.cancel(id)
    client.cancel(id)
    assert code_of(collect(client, id)[id]) == "cancelled"


def test_a_queued_job_is_cancelled_without_running(client, collect):
    first = started(client, "steps", iterations=100_000)
    second = client.send("adapt", {"source": "steps", **FOREVER})
    client.cancel(second)
    assert code_of(collect(client, second)[second]) == "cancelled"
    assert [job["id"] for job in running(client)] == [first]


def test_cancelling_what_has_ended_changes_nothing(client):
    client.request("adapt", {"source": "steps", "iterations": 1, **FOREVER}, timeout_s=30)
    client.cancel(1)
    assert client.request("status", {}, timeout_s=30).value["state"] == "idle"


def test_a_newer_request_in_a_slot_replaces_the_queued_one(client, collect):
    first = started(client, "steps", iterations=100_000)
    params = {"source": "steps", "iterations": 1, **FOREVER}
    older, newer = (client.send("adapt", params, slot="strength") for _ in range(2))
    assert code_of(collect(client, older)[older]) == "superseded"
    client.cancel(first)
    assert collect(client, newer)[newer][-1].value == {"steps": 1}


def test_a_full_queue_is_said_and_is_retryable(client, collect):
    first = started(client, "steps", iterations=100_000)
    limit = client.welcome.limits["pending"]
    ids = [client.send("adapt", {"source": "steps", **FOREVER}) for _ in range(limit)]
    last = collect(client, ids[-1])[ids[-1]][-1]
    assert (last.error.code, last.error.retryable) == ("busy", True)
    for id in ids[:-1]:
        client.cancel(id)
    collect(client, *ids[:-1])
    client.cancel(first)


@pytest.mark.parametrize("kind", ["torch", "python"])
def test_pings_and_lists_are_answered_while_the_device_works(client, kind):
    id = started(client, kind)
    for _ in range(20):
        client.ping()
        while not any(type(event).__name__ == "Ponged" for event in client.poll(10.0)):
            pass
    assert isinstance(client.request("styles", {}, timeout_s=30).value["styles"], list)
    assert [job["id"] for job in running(client)] == [id]


def test_one_client_with_many_jobs_does_not_keep_another_one_waiting(client, shared_backend, collect):
    other = shared_backend.connect()
    mine = [client.send("adapt", {"source": "steps", "iterations": 20, **FOREVER}) for _ in range(20)]
    while not running(client):
        time.sleep(0.01)
    other.request("adapt", {"source": "steps", "iterations": 1, **FOREVER}, timeout_s=30)
    assert len(client.pending) >= 15 or len(running(client)) == 1
    status = client.request("status", {}, timeout_s=30).value
    assert status["queued"] >= 15
    for id in mine:
        client.cancel(id)
    collect(client, *mine)


def test_a_wrong_token_is_refused_in_the_handshake(shared_backend):
    info = connection_file.read(shared_backend.connection_file)
    with Client(info.address, "0" * 64) as stranger, pytest.raises(errors.WrongToken, match="token"):
        stranger.connect(timeout_s=20)


def test_the_jobs_of_a_client_that_vanishes_are_cancelled(client, shared_backend):
    other = shared_backend.connect()
    started(other, "steps", iterations=100_000)
    other.send("adapt", {"source": "steps", "iterations": 100_000, **FOREVER})
    other.close()
    deadline = time.monotonic() + 60
    while client.request("status", {}, timeout_s=30).value["state"] != "idle":
        assert time.monotonic() < deadline, "its jobs go on"
        time.sleep(0.1)


@contextmanager
def deaf_client(info):
    """A bare socket that says hello and then asks, but never reads."""
    context = zmq.Context()
    socket = context.socket(zmq.DEALER)
    for option, value in ((zmq.LINGER, 0), (zmq.RCVHWM, 1), (zmq.RCVBUF, 65536)):
        socket.setsockopt(option, value)
    socket.setsockopt(zmq.PLAIN_USERNAME, b"latent-loom")
    socket.setsockopt(zmq.PLAIN_PASSWORD, info.token.encode())
    socket.connect(info.address)
    socket.send_multipart(messages.encode(messages.Hello(client="deaf", version="0", protocol=PROTOCOL)))
    try:
        yield socket
    finally:
        socket.close()
        context.term()


def ask(socket, id, **params):
    request = messages.Request(type="adapt", id=id, params={**FOREVER, **params})
    socket.send_multipart(messages.encode(request))


def test_a_client_that_stops_reading_is_dropped_and_does_not_stop_the_others(start_backend):
    backend = start_backend(SMALL_BUFFERS="1")
    client = backend.connect()
    with deaf_client(connection_file.read(backend.connection_file)) as deaf:
        ask(deaf, 1, source="steps", iterations=200, rest_s=0.001, preview=512)
        for id in range(2, 42):
            ask(deaf, id, source="large", mib=1)
        deadline = time.monotonic() + 60
        while "left: stopped reading" not in backend.log.read_text():
            assert time.monotonic() < deadline, "it was not dropped"
            client.request("status", {}, timeout_s=10)
        reply = client.request("adapt", {"source": "steps", "iterations": 1, **FOREVER}, timeout_s=30)
        assert reply.value == {"steps": 1}


def test_a_large_answer_arrives_whole(client):
    reply = client.request("adapt", {"source": "large", "mib": 64, **FOREVER}, timeout_s=60)
    assert reply.arrays["color"].nbytes == 64 << 20


def test_an_answer_over_the_limit_says_what_to_do(client):
    with pytest.raises(errors.TooLarge, match="ask for fewer or smaller pictures"):
        client.request("adapt", {"source": "large", "mib": 300, **FOREVER}, timeout_s=60)
