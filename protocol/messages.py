"""The messages, each a small frozen value that checks itself, and their way to and from frames.

    client -> server   Hello  Ping  Cancel  Request (one of requests.REQUESTS)
    server -> client   Welcome  Pong  Progress  Result  Error

Building a message that breaks the contract raises LocalProtocolError (our bug); `decode` turns the same finding in a
message from the other end into RemoteProtocolError. Fields that this version does not know are ignored, a type that it
does not know becomes `Unknown`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from . import frames
from .errors import LocalProtocolError, RemoteProtocolError
from .limits import MAX_ID, MAX_TEXT
from .requests import REQUESTS


def _require(good: bool, sentence: str) -> None:
    if not good:
        raise LocalProtocolError(sentence)


def _check_text(name: str, value: Any) -> None:
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise LocalProtocolError(f"`{name}` is a text of at most {MAX_TEXT} characters.")


def _check_id(value: Any) -> None:
    _require(type(value) is int and 1 <= value <= MAX_ID, "`id` is an integer of at least 1.")


def _check_ids(name: str, value: Any) -> None:
    _require(isinstance(value, list | tuple), f"`{name}` is a list of ids.")
    for item in value:
        _check_id(item)


def _check_texts(name: str, value: Any) -> None:
    _require(isinstance(value, list | tuple), f"`{name}` is a list of texts.")
    for item in value:
        _check_text(name, item)


def _check_map(name: str, value: Any) -> None:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise LocalProtocolError(f"`{name}` is a map.")


def _check_version(value: Any) -> None:
    good = isinstance(value, list | tuple) and len(value) == 2 and all(type(n) is int and n >= 0 for n in value)
    _require(good, "`protocol` is [major, minor].")


@dataclass(frozen=True, kw_only=True)
class Hello:
    """The client's first message on every connection. `pending`: ids that it still waits for in that session."""

    client: str
    version: str
    protocol: Sequence[int]
    pending: Sequence[int] = ()
    type: str = "hello"

    def __post_init__(self) -> None:
        _check_text("client", self.client)
        _check_text("version", self.version)
        _check_version(self.protocol)
        _check_ids("pending", self.pending)


@dataclass(frozen=True, kw_only=True)
class Ping:
    """Asks for a `pong` with the same id, at any time after the welcome."""

    id: int
    type: str = "ping"

    def __post_init__(self) -> None:
        _check_id(self.id)


@dataclass(frozen=True, kw_only=True)
class Cancel:
    """Asks that a request end soon. Has no answer of its own; for an ended or unknown id it means nothing."""

    id: int
    type: str = "cancel"

    def __post_init__(self) -> None:
        _check_id(self.id)


@dataclass(frozen=True, kw_only=True)
class Request:
    """Something to do; ends in exactly one Result or Error with its id. `slot`: a newer one replaces a queued one."""

    type: str
    id: int
    slot: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.type not in REQUESTS:
            raise LocalProtocolError(f"There is no request of type {self.type!r}; there are {', '.join(REQUESTS)}.")
        _check_id(self.id)
        if self.slot is not None:
            _check_text("slot", self.slot)
        _check_map("params", self.params)


@dataclass(frozen=True, kw_only=True)
class Welcome:
    """The server's answer to Hello. `pending`: ids of this client that it still works on (after a reconnection).

    notices  sentences for people about what the server found at its start (since 1.1)
    """

    server: str
    version: str
    protocol: Sequence[int]
    session: str
    device: str = ""
    memory_mib: int = 0
    generators: Sequence[str] = ()
    styles: Sequence[str] = ()
    limits: Mapping[str, Any] = field(default_factory=dict)
    capabilities: Sequence[str] = ()
    pending: Sequence[int] = ()
    notices: Sequence[str] | None = None
    type: str = "welcome"

    def __post_init__(self) -> None:
        for name in ("server", "version", "session", "device"):
            _check_text(name, getattr(self, name))
        _require(bool(self.session), "`session` is not empty.")
        _check_version(self.protocol)
        _require(type(self.memory_mib) is int and self.memory_mib >= 0, "`memory_mib` is a count.")
        for name in ("generators", "styles", "capabilities", "notices"):
            if name != "notices" or self.notices is not None:
                _check_texts(name, getattr(self, name))
        _check_map("limits", self.limits)
        _check_ids("pending", self.pending)


@dataclass(frozen=True, kw_only=True)
class Pong:
    id: int
    type: str = "pong"

    def __post_init__(self) -> None:
        _check_id(self.id)


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a request is.

    done, total  steps, 0 <= done <= total; total 0 = not known yet; done never decreases within a request
    stage        what is being done, for people
    eta_s        seconds left, None = not known
    numbers      named measurements (loss, direction, ...)
    arrays       optionally {"preview": uint8 [H, W, 3]}, top row first
    """

    id: int
    done: int
    total: int
    stage: str = ""
    eta_s: float | None = None
    numbers: Mapping[str, float] = field(default_factory=dict)
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    type: str = "progress"

    def __post_init__(self) -> None:
        _check_id(self.id)
        counts = type(self.done) is int and type(self.total) is int
        _require(counts and self.done >= 0 and (self.done <= self.total or self.total == 0), "`done` is 0 .. `total`.")
        _check_text("stage", self.stage)
        good_eta = self.eta_s is None or (_is_number(self.eta_s) and math.isfinite(self.eta_s) and self.eta_s >= 0)
        _require(good_eta, "`eta_s` is a number of seconds.")
        _check_map("numbers", self.numbers)
        _require(all(_is_number(n) for n in self.numbers.values()), "`numbers` holds numbers.")
        _check_preview(self.arrays.get("preview"))


@dataclass(frozen=True, kw_only=True)
class Result:
    """The good end of a request. Pictures in `arrays` are uint8 [N, H, W, 3], top row first."""

    id: int
    value: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    type: str = "result"

    def __post_init__(self) -> None:
        _check_id(self.id)
        _check_map("value", self.value)


@dataclass(frozen=True, kw_only=True)
class Error:
    """The bad end of a request; without `id` it is about the connection. `message` is a sentence for people."""

    code: str
    message: str
    retryable: bool = False
    id: int | None = None
    type: str = "error"

    def __post_init__(self) -> None:
        _check_text("code", self.code)
        _check_text("message", self.message)
        _require(type(self.retryable) is bool, "`retryable` is true or false.")
        if self.id is not None:
            _check_id(self.id)


@dataclass(frozen=True, kw_only=True)
class Unknown:
    """A message of a type that this version does not know; never sent."""

    type: str
    id: int | None = None


ClientMessage = Hello | Ping | Cancel | Request
ServerMessage = Welcome | Pong | Progress | Result | Error
Message = ClientMessage | ServerMessage

CLIENT_TYPES: dict[str, type] = {"hello": Hello, "ping": Ping, "cancel": Cancel, **dict.fromkeys(REQUESTS, Request)}
SERVER_TYPES: dict[str, type] = {
    "welcome": Welcome,
    "pong": Pong,
    "progress": Progress,
    "result": Result,
    "error": Error,
}
"""Every type on the wire with its class, by who sends it."""


def encode(message: Message, *, copy: bool = True) -> frames.Frames:
    """The frames of a message; copy: see `frames.encode`.

    Raises  LocalProtocolError, TooLargeToSend
    """
    header = {name: value for name in _LAYOUTS[type(message)].header if (value := getattr(message, name)) is not None}
    return frames.encode(header, getattr(message, "arrays", None), copy=copy)


def decode(raw: Sequence[frames.Frame], *, sender: Literal["client", "server"]) -> Message | Unknown:
    """The message in `raw`, which `sender` sent.

    Raises  RemoteProtocolError, and nothing else, whatever the bytes are
    """
    header, arrays = frames.decode(raw)
    name = header.get("type")
    if not isinstance(name, str) or len(name) > MAX_TEXT:
        raise RemoteProtocolError("A message has a `type`.")
    kind = (CLIENT_TYPES if sender == "client" else SERVER_TYPES).get(name)
    if kind is None:
        return Unknown(type=name, id=_id_or_none(header.get("id")))
    layout = _LAYOUTS[kind]
    known = {field: header[field] for field in layout.header if field in header}
    missing = [field for field in layout.required if field not in known]
    if missing:
        raise RemoteProtocolError(f"A message of type {name!r} has the fields {', '.join(missing)}.")
    if layout.has_arrays:
        known["arrays"] = arrays
    elif arrays:
        raise RemoteProtocolError(f"A message of type {name!r} carries no arrays.")
    try:
        return kind(**known)
    except LocalProtocolError as error:
        raise RemoteProtocolError(str(error)) from None


@dataclass(frozen=True, kw_only=True)
class _Layout:
    """The fields of a kind of message. header: `type` and all others but `arrays`; required: those without default."""

    header: Sequence[str]
    required: Sequence[str]
    has_arrays: bool


def _layout(kind: type) -> _Layout:
    fields = dataclasses.fields(kind)
    names = [f.name for f in fields]
    return _Layout(
        header=["type", *(name for name in names if name not in ("type", "arrays"))],
        required=[f.name for f in fields if f.default is f.default_factory is dataclasses.MISSING],
        has_arrays="arrays" in names,
    )


_LAYOUTS: dict[type, _Layout] = {kind: _layout(kind) for kind in (*CLIENT_TYPES.values(), *SERVER_TYPES.values())}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def _check_preview(preview: np.ndarray | None) -> None:
    good = preview is None or (preview.dtype == np.uint8 and preview.ndim == 3 and preview.shape[2] == 3)
    _require(good, "A preview is uint8 [height, width, 3].")


def _id_or_none(value: Any) -> int | None:
    return value if type(value) is int and 1 <= value <= MAX_ID else None
