"""Broken frames against the real socket of a real backend: no crash, no hang, no growth.

    python scripts/flood_frames.py --frames 1000000

Several clients that hold the token send messages that were whole and then were mutated, or never were any; between them
they say hello, since a peer that broke the contract is forgotten. A well-behaved client pings and asks for `status` all
the while, and must be answered. Seeded: the same seed sends the same bytes. Ends with 1 if anything did not hold.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import sys
import time
from collections.abc import Callable
from typing import Any

import msgpack
import numpy as np
import zmq
from latent_loom.protocol import PROTOCOL, connection_file, messages
from latent_loom.protocol.client import Ponged
from service_process import ServiceProcess

Frames = list[bytes]
SENDERS = 4
HELLO_EVERY = 5
LEAK_MIB, STEP_MIB = 16.0, 128.0
"""Growth from the first tenth to the end without its largest step, and that step: a broken request may by chance be a
whole `generate`, whose buffers the allocator keeps, once. A leak grows in every tenth."""

PATIENCE_S = 120.0
LAST = 2**53 - 1
HOSTILE = (
    *(None, True, 0, -1, 2**63, 2**64 - 1, 1e308, float("nan"), float("inf"), "", "\0", "\u202e", "x" * 9000, [], {}),
    *([[[[[[]]]]]], {"a": {"b": {"c": {}}}}, ["arrays"], "../../etc/passwd", "local-dir:/", "status", "hello"),
)
DTYPES = ("uint8", "float32", "int64", "object", "O", "float64", "V8", "", "uint8 ", "datetime64")


def whole(rng: random.Random) -> Frames:
    """A message as a client sends it. None of them makes the backend compute, before it is mutated."""
    id = rng.choice((rng.randrange(1, 50), rng.randrange(1, 2**53)))
    kind = rng.choice((0, 1, 2, 3, 4, 4, 4, 4, 4, 5))  # half of them of many frames
    if kind == 0:
        return messages.encode(messages.Ping(id=id))
    if kind == 1:
        return messages.encode(messages.Cancel(id=id))
    if kind == 2:
        return messages.encode(hello(rng))
    if kind == 3:
        params = {"seeds": [1], "generator": "none-of-that-name", "out": rng.choice(("x", "~/x", "a\0b", 7))}
        return messages.encode(messages.Request(type="generate", id=id, params=params, slot=rng.choice((None, "s"))))
    if kind == 4:
        array = np.zeros((rng.randrange(4), rng.randrange(1, 9), 3), rng.choice((np.uint8, np.float16, np.int64)))
        many = {f"a{n}": array for n in range(rng.randrange(8, 33))}
        return messages.encode(messages.Request(type="status", id=id, arrays=many))
    params = {"name": rng.choice(("x", "../x", "a" * 65)), "text": "loom" * rng.choice((1, 1, 1, 20_000))}
    return messages.encode(messages.Request(type="show_style", id=id, params=params))


def hello(rng: random.Random) -> messages.Hello:
    pending = [rng.randrange(1, 99) for _ in range(rng.randrange(3))]
    return messages.Hello(client="flood", version="0", protocol=PROTOCOL, pending=pending)


# --- what is done to a message ---


def flip(rng: random.Random, frames: Frames) -> Frames:
    """Bits."""
    at = rng.randrange(len(frames))
    raw = bytearray(frames[at] or b"\0")
    for _ in range(rng.choice((1, 1, 2, 8))):
        raw[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
    return [*frames[:at], bytes(raw), *frames[at + 1 :]]


def cut(rng: random.Random, frames: Frames) -> Frames:
    """The end of a frame, or of the message."""
    if rng.random() < 0.3:
        return frames[: rng.randrange(1, len(frames) + 1)]
    at = rng.randrange(len(frames))
    return [*frames[:at], frames[at][: rng.randrange(len(frames[at]) + 1)], *frames[at + 1 :]]


def shuffle(rng: random.Random, frames: Frames) -> Frames:
    """Frames twice, in another order, or many more of them."""
    more = frames + [rng.choice(frames) for _ in range(rng.choice((1, 1, 3, 30)))]
    if rng.random() < 0.5:
        rng.shuffle(more)
    return more


def spoil(rng: random.Random, frames: Frames) -> Frames:
    """One field of the header becomes something else."""
    header = msgpack.unpackb(frames[1])
    for _ in range(rng.choice((1, 1, 2))):
        key = rng.choice((*header, "arrays", "spilled", "params", "pending", "slot", "protocol", "id", "type", "extra"))
        header[key] = rng.choice(HOSTILE)
    return [frames[0], msgpack.packb(header, use_bin_type=True), *frames[2:]]


def lie(rng: random.Random, frames: Frames) -> Frames:
    """Arrays that are announced otherwise than they come."""
    header = msgpack.unpackb(frames[1])
    count = rng.choice((0, 1, 2, 33))
    sizes = (0, 1, 3, -1, 2**28, 2**40, 2**63, 1.5, "3", None)
    header["arrays"] = [
        {
            "name": rng.choice((f"n{n}", "same", "", None)),
            "dtype": rng.choice(DTYPES),
            "shape": [rng.choice(sizes) for _ in range(rng.choice((0, 1, 3, 6, 7)))],
        }
        for n in range(count)
    ]
    if rng.random() < 0.3:
        header["spilled"] = [{"name": rng.choice(("params", "id", "arrays", "")), "bytes": rng.choice(sizes)}]
    extra = [rng.randbytes(rng.choice((0, 1, 3, 64))) for _ in range(rng.choice((count, count, 1)))]
    return [frames[0], msgpack.packb(header, use_bin_type=True), *extra]


def noise(rng: random.Random, frames: Frames) -> Frames:
    """No message at all."""
    made = [rng.randbytes(rng.choice((0, 1, 6, 50, 3000))) for _ in range(rng.choice((1, 2, 3, 12)))]
    return [b"LOOM/1", *made] if rng.random() < 0.6 else made


def nest(rng: random.Random, frames: Frames) -> Frames:
    """Lists in lists, far deeper than allowed, or a claim of four thousand million entries."""
    depth = rng.choice((15, 17, 500, 30_000))
    return [
        frames[0],
        rng.choice((b"\x91" * depth, b"\x81\xa1a" * depth, b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff")),
    ]


MUTATIONS: tuple[Callable[[random.Random, Frames], Frames], ...] = (flip, cut, shuffle, spoil, lie, noise, nest)


# --- the flood ---


def sender(context: zmq.Context, info: connection_file.ConnectionInfo) -> zmq.Socket:
    socket = context.socket(zmq.DEALER)
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.SNDHWM, 32)
    socket.setsockopt(zmq.PLAIN_USERNAME, b"latent-loom")
    socket.setsockopt(zmq.PLAIN_PASSWORD, info.token.encode())
    socket.connect(info.address)
    return socket


def drain(socket: zmq.Socket) -> int:
    """Read what is there; how many messages."""
    count = 0
    while True:
        try:
            socket.recv_multipart(zmq.NOBLOCK)
        except zmq.Again:
            return count
        count += 1


def settle(socket: zmq.Socket, rng: random.Random) -> int:
    """Wait until everything that was sent has been taken: a last ping is answered. How many messages came by then."""
    last = messages.encode(messages.Ping(id=LAST))
    for message in (messages.encode(hello(rng)), last):
        if not socket.poll(int(PATIENCE_S * 1000), zmq.POLLOUT):
            raise SystemExit("The backend takes nothing any more.")
        socket.send_multipart(message)
    count = 0
    while socket.poll(int(PATIENCE_S * 1000)):
        answer = messages.decode(socket.recv_multipart(), sender="server")
        count += 1
        if isinstance(answer, messages.Pong) and answer.id == LAST:
            return count
    raise SystemExit("The last ping was not answered.")


def flood(backend: ServiceProcess, frames_wanted: int, seed: int) -> dict[str, Any]:
    """Send until so many frames have gone; the row of the table."""
    rng = random.Random(seed)
    context = zmq.Context()
    info = connection_file.read(backend.connection_file)
    senders = [sender(context, info) for _ in range(SENDERS)]
    witness = backend.client("witness")
    # A broken request may be a whole one by chance: `generate` without parameters loads a generator, once.
    witness.request("generate", {}, timeout_s=600)
    sent = frames_sent = replies = pings = 0
    worst_s, asked_at, began = 0.0, None, time.monotonic()
    curve: list[float] = []  # MiB after each tenth; by the first, everything is imported that these requests need
    descriptors = backend.descriptors
    ping = None
    while frames_sent < frames_wanted:
        socket = senders[sent % SENDERS]
        message = whole(rng)
        if sent % HELLO_EVERY < SENDERS and sent // SENDERS % HELLO_EVERY == 0:
            message = messages.encode(hello(rng))
        elif rng.random() < 0.9:
            message = rng.choice(MUTATIONS)(rng, message)
        if not message:
            continue
        if not socket.poll(int(PATIENCE_S * 1000), zmq.POLLOUT):
            raise SystemExit(f"The backend has taken nothing for {PATIENCE_S:g} s: it hangs, or is dead.")
        socket.send_multipart(message, zmq.NOBLOCK)
        sent += 1
        frames_sent += len(message)
        replies += drain(socket)
        if sent % 50 == 0:
            if ping is None:
                ping, asked_at = witness.ping(), time.monotonic()
            for event in witness.poll():
                if isinstance(event, Ponged) and event.id == ping:
                    worst_s, pings, ping = max(worst_s, time.monotonic() - asked_at), pings + 1, None
            if ping is not None and time.monotonic() - asked_at > PATIENCE_S:
                raise SystemExit(f"The witness's ping was not answered for {PATIENCE_S:g} s.")
        if frames_sent >= frames_wanted * (len(curve) + 1) / 10:
            replies += sum(settle(socket, rng) for socket in senders)  # what is on its way is not growth
            curve.append(round(backend.resident_mib, 1))
    replies += sum(settle(socket, rng) for socket in senders)
    seconds = time.monotonic() - began
    status = witness.request("status", {}, timeout_s=60).value
    witness.close()
    for socket in senders:
        socket.close()
    context.term()
    time.sleep(1.0)
    return {
        "frames": frames_sent,
        "messages": sent,
        "frames_per_s": frames_sent / seconds,
        "seconds": seconds,
        "replies": replies,
        "pings": pings,
        "worst_ping_ms": worst_s * 1000,
        "rss_before_mib": curve[0],
        "rss_after_mib": backend.resident_mib,
        "rss_curve_mib": curve,
        "files_before": descriptors,
        "files_after": backend.descriptors,
        "jobs_left": len(status["jobs"]),
        "tracebacks": backend.log.read_text(errors="replace").count("Traceback"),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    with ServiceProcess() as backend:
        row = flood(backend, args.frames, args.seed)
        alive = backend.alive
    curve = [*row["rss_curve_mib"], row["rss_after_mib"]]
    row["step_mib"] = max(after - before for before, after in itertools.pairwise(curve))
    row["leak_mib"] = curve[-1] - curve[0] - max(0.0, row["step_mib"])
    still = row["leak_mib"] < LEAK_MIB and row["step_mib"] < STEP_MIB
    good = alive and still and not row["tracebacks"] and row["files_after"] <= row["files_before"]
    if args.json:
        print(json.dumps(row | {"ok": good}))
    else:
        for name, value in row.items():
            told = f"{value:,.1f}" if isinstance(value, float) else str(value)
            print(f"{name:<16}{told:>14}")
        print("all held" if good else "NOT ALL HELD")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
