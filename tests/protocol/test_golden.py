"""Golden bytes: what version 1.0 looks like on the wire, kept in tests/golden/protocol.json, and beside it what each
minor version added (protocol-1.1.json): an older end writes the old bytes for ever, and they must be understood.

If this fails, old clients and new servers no longer understand each other: think of a new minor or major version before
writing the file anew (`python tests/protocol/test_golden.py`).
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from latent_loom.protocol import frames, messages

FOLDER = Path(__file__).parents[1] / "golden"
GOLDEN = FOLDER / "protocol.json"
PREVIEW = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)

MESSAGES: dict[str, messages.Message] = {
    "hello": messages.Hello(client="add-on", version="0.1.0", protocol=[1, 0], pending=[3]),
    "ping": messages.Ping(id=7),
    "cancel": messages.Cancel(id=2**53 - 1),
    "status": messages.Request(type="status", id=1),
    "adapt": messages.Request(type="adapt", id=2, params={"source": "stone", "target": "mossy stone", "name": "mössy"}),
    "generate in a slot": messages.Request(
        type="generate", id=3, slot="preview", params={"seeds": [0, 1], "styles": [["mossy", 0.5]], "size": [64, 64]}
    ),
    "welcome": messages.Welcome(
        server="latent-loom",
        version="0.1.0",
        protocol=[1, 0],
        session="5e55",
        device="cpu",
        memory_mib=8000,
        generators=["builtin"],
        styles=[],
        limits={"frame_bytes": 268435456},
        capabilities=["adapt"],
        pending=[],
    ),
    "pong": messages.Pong(id=7),
    "progress": messages.Progress(
        id=2,
        done=10,
        total=200,
        stage="adapting",
        eta_s=12.5,
        numbers={"loss": 0.25},
        arrays={"preview": PREVIEW},
    ),
    "result": messages.Result(
        id=3,
        value={"files": [], "seconds": 0.5},
        arrays={"color": PREVIEW[None], "height": PREVIEW[None, ..., 0].astype(np.uint16) * 257},
    ),
    "error": messages.Error(id=2, code="busy", message="Too many requests are waiting.", retryable=True),
    "error about the connection": messages.Error(code="hello_first", message="Say hello first."),
    "a spilled result": messages.Result(id=4, value={"text": "loom" * 16385}),
}


ADDED: dict[str, dict[str, messages.Message]] = {
    "protocol-1.1.json": {
        "free": messages.Request(type="free", id=1),
        "what was freed": messages.Result(id=1, value={"freed_mib": 340, "kept_mib": 120}),
        "a greeting": messages.Hello(client="add-on", version="0.1.0", protocol=[1, 1]),
        "too large": messages.Error(id=2, code="too_large", message="Make it smaller."),
    },
}
"""What each later minor version added to the wire."""


@pytest.mark.parametrize("file", ADDED)
def test_what_a_later_version_added_does_not_change_either(file):
    golden = json.loads((FOLDER / file).read_text(encoding="utf-8"))
    assert golden == {name: shortened(messages.encode(m)) for name, m in ADDED[file].items()}
    for name, message in ADDED[file].items():
        sender = "client" if message.type in messages.CLIENT_TYPES else "server"
        got = messages.decode([bytes.fromhex(frame) for frame in golden[name]], sender=sender)
        assert shortened(messages.encode(got)) == golden[name]


@pytest.fixture(scope="module")
def golden():
    return json.loads(GOLDEN.read_text(encoding="utf-8"))


def test_the_golden_file_holds_every_message(golden):
    assert list(golden) == list(MESSAGES)
    held = {messages.CLIENT_TYPES.get(m.type) or messages.SERVER_TYPES[m.type] for m in MESSAGES.values()}
    assert held == {*messages.CLIENT_TYPES.values(), *messages.SERVER_TYPES.values()}


@pytest.mark.parametrize("name", MESSAGES)
def test_the_bytes_of_a_message_do_not_change(golden, name):
    assert shortened(messages.encode(MESSAGES[name])) == golden[name]


@pytest.mark.parametrize("name", [name for name in MESSAGES if "spilled" not in name])
def test_the_golden_bytes_are_still_understood(golden, name):
    raw = [bytes.fromhex(frame) for frame in golden[name]]
    message = MESSAGES[name]
    sender = "client" if message.type in messages.CLIENT_TYPES else "server"
    got = messages.decode(raw, sender=sender)
    assert type(got) is type(message) and shortened(messages.encode(got)) == golden[name]


def test_every_dtype_has_its_golden_bytes():
    arrays = {
        name: np.array([1, 258], dtype.newbyteorder("=")) for name, dtype in frames.DTYPES.items() if name != "uint8"
    }
    raw = frames.encode({}, {"uint8": np.array([1, 2], np.uint8), **arrays})
    assert [frame.hex() for frame in raw[2:]] == [
        "0102",
        "01000201",
        "0100000002010000",
        "01000000000000000201000000000000",
        "003c085c",
        "0000803f00008143",
    ]


def shortened(raw: list[bytes]) -> list[str]:
    """Frames in hexadecimal; a long one by its first bytes and its length."""
    return [frame.hex() if len(frame) <= 1024 else f"{frame[:16].hex()}... {len(frame)} bytes" for frame in raw]


if __name__ == "__main__":
    for path, held in {GOLDEN: MESSAGES, **{FOLDER / file: added for file, added in ADDED.items()}}.items():
        lines = {name: shortened(messages.encode(m)) for name, m in held.items()}
        path.write_text(json.dumps(lines, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
