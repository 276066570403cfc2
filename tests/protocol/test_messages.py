"""Messages check themselves: our mistakes are local errors, the same mistakes of the other end are remote ones."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from latent_loom.protocol import PROTOCOL, frames, limits, messages
from latent_loom.protocol.errors import LocalProtocolError, RemoteProtocolError

PIXELS = np.zeros((2, 3, 3), np.uint8)
EXAMPLES = [
    messages.Hello(client="test", version="0.1.0", protocol=[1, 0], pending=[3, 4]),
    messages.Ping(id=1),
    messages.Cancel(id=limits.MAX_ID),
    messages.Request(type="generate", id=2, slot="preview", params={"seeds": [1]}, arrays={"image": PIXELS}),
    messages.Request(type="status", id=2),
    messages.Welcome(server="s", version="0.1.0", protocol=[1, 0], session="x", memory_mib=5, generators=["builtin"]),
    messages.Pong(id=1),
    messages.Progress(
        id=1, done=2, total=3, stage="adapting", eta_s=1.5, numbers={"loss": 0.1}, arrays={"preview": PIXELS}
    ),
    messages.Progress(id=1, done=0, total=0),
    messages.Result(id=1, value={"files": []}, arrays={"color": PIXELS[None]}),
    messages.Error(id=1, code="busy", message="Too many.", retryable=True),
    messages.Error(code="bad_message", message="No."),
]
CLIENTS = (messages.Hello, messages.Ping, messages.Cancel, messages.Request)


@pytest.mark.parametrize("message", EXAMPLES, ids=lambda m: m.type)
def test_every_message_comes_back_equal(message):
    sender = "client" if isinstance(message, CLIENTS) else "server"
    got = messages.decode(messages.encode(message), sender=sender)
    assert type(got) is type(message)
    for name, value in vars(message).items():
        if name == "arrays":
            assert {k: v.tolist() for k, v in got.arrays.items()} == {k: v.tolist() for k, v in value.items()}
        else:
            assert plain(getattr(got, name)) == plain(value)


def plain(value):
    return list(value) if isinstance(value, tuple) else value


WRONG = {
    "an id of zero": (messages.Ping, {"id": 0}),
    "an id that is true": (messages.Ping, {"id": True}),
    "an id beyond 2**53": (messages.Cancel, {"id": 2**53}),
    "a text as id": (messages.Pong, {"id": "1"}),
    "an unknown request": (messages.Request, {"type": "dance", "id": 1}),
    "params that are a list": (messages.Request, {"type": "status", "id": 1, "params": []}),
    "a slot that is a number": (messages.Request, {"type": "status", "id": 1, "slot": 5}),
    "a version of one number": (messages.Hello, {"client": "a", "version": "b", "protocol": [1]}),
    "a version of texts": (messages.Hello, {"client": "a", "version": "b", "protocol": ["1", "0"]}),
    "a client that is a list": (messages.Hello, {"client": [], "version": "b", "protocol": [1, 0]}),
    "pending that is a number": (messages.Hello, {"client": "a", "version": "b", "protocol": [1, 0], "pending": 4}),
    "an empty session": (messages.Welcome, {"server": "a", "version": "b", "protocol": [1, 0], "session": ""}),
    "styles that are numbers": (
        messages.Welcome,
        {"server": "a", "version": "b", "protocol": [1, 0], "session": "s", "styles": [1]},
    ),
    "more done than there is": (messages.Progress, {"id": 1, "done": 4, "total": 3}),
    "less than nothing done": (messages.Progress, {"id": 1, "done": -1, "total": 3}),
    "an eta of infinity": (messages.Progress, {"id": 1, "done": 1, "total": 3, "eta_s": float("inf")}),
    "a text as measurement": (messages.Progress, {"id": 1, "done": 1, "total": 3, "numbers": {"loss": "low"}}),
    "a value that is a list": (messages.Result, {"id": 1, "value": []}),
    "a code that is a number": (messages.Error, {"code": 5, "message": "x"}),
    "a sentence without end": (messages.Error, {"code": "a", "message": "x" * (limits.MAX_TEXT + 1)}),
    "retryable by a word": (messages.Error, {"code": "a", "message": "x", "retryable": "yes"}),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_field_is_a_local_error_here_and_a_remote_error_from_there(name):
    kind, fields = WRONG[name]
    with pytest.raises(LocalProtocolError):
        kind(**fields)
    if fields.get("type") == "dance":
        return  # an unknown type from there is no error: the next test
    raw = frames.encode({"type": next(t for t, k in TYPES.items() if k is kind), **fields})
    with pytest.raises(RemoteProtocolError):
        messages.decode(raw, sender="client" if kind in CLIENTS else "server")


TYPES = {**messages.CLIENT_TYPES, **messages.SERVER_TYPES}


def test_an_unknown_type_is_no_error():
    raw = frames.encode({"type": "dance", "id": 7, "tempo": 120})
    assert messages.decode(raw, sender="client") == messages.Unknown(type="dance", id=7)
    assert messages.decode(frames.encode({"type": "dance"}), sender="server") == messages.Unknown(type="dance")


def test_what_the_server_says_means_nothing_from_a_client():
    raw = messages.encode(messages.Result(id=1))
    assert isinstance(messages.decode(raw, sender="client"), messages.Unknown)


def test_unknown_fields_are_ignored():
    raw = frames.encode({"type": "ping", "id": 7, "mood": "good"})
    assert messages.decode(raw, sender="client") == messages.Ping(id=7)


@pytest.mark.parametrize("type", TYPES)
def test_a_message_without_its_fields_is_a_remote_error(type):
    sender = "client" if type in messages.CLIENT_TYPES else "server"
    with pytest.raises(RemoteProtocolError):
        messages.decode(frames.encode({"type": type}), sender=sender)


@pytest.mark.parametrize("header", [{}, {"type": 1}, {"type": None}, {"type": ["ping"]}])
def test_a_message_without_a_type_is_a_remote_error(header):
    with pytest.raises(RemoteProtocolError):
        messages.decode(frames.encode(header), sender="client")


def test_arrays_on_a_message_that_has_none_are_a_remote_error():
    with pytest.raises(RemoteProtocolError, match="no arrays"):
        messages.decode(frames.encode({"type": "ping", "id": 1}, {"a": PIXELS}), sender="client")


@pytest.mark.parametrize("preview", [PIXELS[0], PIXELS[..., :1], PIXELS.astype(np.float32)])
def test_a_preview_of_another_kind_is_refused(preview):
    with pytest.raises(LocalProtocolError, match="preview"):
        messages.Progress(id=1, done=0, total=1, arrays={"preview": preview})
    raw = frames.encode({"type": "progress", "id": 1, "done": 0, "total": 1}, {"preview": preview})
    with pytest.raises(RemoteProtocolError, match="preview"):
        messages.decode(raw, sender="server")


JUNK = (
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.floats()
    | st.text(max_size=3)
    | st.lists(st.integers(-5, 5), max_size=2)
)
FIELDS = [
    "id",
    "client",
    "version",
    "protocol",
    "pending",
    "slot",
    "params",
    "done",
    "total",
    "code",
    "message",
    "numbers",
]


@given(
    st.sampled_from(list(TYPES)), st.dictionaries(st.sampled_from(FIELDS), JUNK), st.sampled_from(["client", "server"])
)
def test_any_header_is_a_message_or_a_remote_error(type, fields, sender):
    with contextlib.suppress(RemoteProtocolError):
        messages.decode(frames.encode({**fields, "type": type}), sender=sender)


def test_both_ends_speak_the_version_of_this_package():
    assert PROTOCOL == (1, 1)
