"""What the protocol costs: the real service and the real client against a bare ZeroMQ echo, in one run.

    python scripts/measure_wire.py

small   1,000 `status` requests of each client, 16 under way; the echo gets the same frames
image   pictures of 4 MiB to the backend and back, 2 under way; the echo gets the same frames

Both ends of both pairs are processes or threads of the same machine, so each rate counts sending and receiving. The
two take turns, and the median of the rounds counts, since other work on the machine falls on both. Where there
is much of that, the processor's time of a message, of both ends together, still tells what it costs (Linux).
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import zmq
from latent_loom.protocol import messages
from latent_loom.protocol.client import Client, Failed, Finished
from service_process import ServiceProcess

SMALL_UNDER_WAY, IMAGES_UNDER_WAY = 16, 2
IMAGE = np.random.default_rng(0).integers(0, 256, (1024, 1024, 4), np.uint8)


def serve_echo(port: Any) -> None:
    """A ROUTER that sends every message back, and nothing else."""
    context = zmq.Context()
    router = context.socket(zmq.ROUTER)
    port.send(router.bind_to_random_port("tcp://127.0.0.1"))
    while True:
        message = router.recv_multipart(copy=False)
        if len(message) == 2:  # the end
            break
        router.send_multipart(message, copy=False)
    context.destroy(linger=0)


def processor_s(pid: int) -> float:
    """Time that the process had a processor, all its threads together; 0 where the system does not tell."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text("ascii").split()[0]) for thread in threads) / 1e9


class Echo:
    def __init__(self) -> None:
        here, there = multiprocessing.Pipe()
        self._process = multiprocessing.Process(target=serve_echo, args=(there,), daemon=True)
        self._process.start()
        self.pid = self._process.pid
        self.address = f"tcp://127.0.0.1:{here.recv()}"
        self._context = zmq.Context()

    def socket(self) -> zmq.Socket:
        socket = self._context.socket(zmq.DEALER)
        socket.connect(self.address)
        return socket

    def close(self) -> None:
        socket = self.socket()
        socket.send_multipart([b"end"])
        self._process.join(10)
        self._context.destroy(linger=0)


def rate_of_echo(sockets: list[zmq.Socket], frames: list[bytes], count: int, under_way: int) -> float:
    """Round trips a second over all sockets, `count` on each."""
    sent, back = [0] * len(sockets), [0] * len(sockets)
    poller = zmq.Poller()
    for socket in sockets:
        poller.register(socket, zmq.POLLIN)
    began = time.perf_counter()
    while sum(back) < count * len(sockets):
        for n, socket in enumerate(sockets):
            while sent[n] < count and sent[n] - back[n] < under_way:
                socket.send_multipart(frames, copy=False)
                sent[n] += 1
        for socket, _ in poller.poll(1000):
            while True:
                try:
                    socket.recv_multipart(zmq.NOBLOCK, copy=False)
                except zmq.Again:
                    break
                back[sockets.index(socket)] += 1
    return count * len(sockets) / (time.perf_counter() - began)


def rate_of_service(
    clients: list[Client], type: str, params: dict, arrays: dict[str, np.ndarray], count: int, under_way: int
) -> float:
    """The same over the real client."""
    sent, back = [0] * len(clients), [0] * len(clients)
    began = time.perf_counter()
    while sum(back) < count * len(clients):
        for n, client in enumerate(clients):
            while sent[n] < count and sent[n] - back[n] < under_way:
                client.send(type, params, arrays=arrays, copy=False)
                sent[n] += 1
            wait = 0.05 if len(clients) == 1 else 0.0
            for event in client.poll(wait):
                if isinstance(event, Failed):
                    raise event.error
                back[n] += isinstance(event, Finished)
    return count * len(clients) / (time.perf_counter() - began)


def measure(clients: int, requests: int, images: int, rounds: int) -> dict[str, dict[str, float]]:
    small = [bytes(frame) for frame in messages.encode(messages.Request(type="status", id=1))]
    large = [bytes(f) for f in messages.encode(messages.Request(type="project", id=1, arrays={"picture": IMAGE}))]
    rates: dict[str, dict[str, list[float]]] = {"small": {"echo": [], "ours": []}, "image": {"echo": [], "ours": []}}
    costs: dict[str, dict[str, list[float]]] = {"small": {"echo": [], "ours": []}, "image": {"echo": [], "ours": []}}

    def note(kind: str, who: str, count: int, pid: int, run: Callable[[], float]) -> None:
        before_s = processor_s(pid) + processor_s(os.getpid())
        rates[kind][who].append(run())
        costs[kind][who].append(1000 * (processor_s(pid) + processor_s(os.getpid()) - before_s) / count)

    echo = Echo()
    with ServiceProcess(program=("scripts/echo_service.py",)) as backend:
        ours = [backend.client(f"client-{n}") for n in range(clients)]
        theirs = [echo.socket() for _ in range(clients)]
        rate_of_echo(theirs[:1], large, 2, 1)  # both warm
        rate_of_service(ours[:1], "project", {}, {"picture": IMAGE}, 2, 1)
        for _ in range(rounds):
            each = requests // rounds
            pid, all_of_them = backend.process.pid, each * clients
            note("small", "echo", all_of_them, echo.pid, lambda n=each: rate_of_echo(theirs, small, n, SMALL_UNDER_WAY))
            note("small", "ours", all_of_them, pid,
                 lambda n=each: rate_of_service(ours, "status", {}, {}, n, SMALL_UNDER_WAY))  # fmt: skip
            each = images // rounds
            note("image", "echo", each, echo.pid, lambda n=each: rate_of_echo(theirs[:1], large, n, IMAGES_UNDER_WAY))
            note("image", "ours", each, pid,
                 lambda n=each: rate_of_service(
                     ours[:1], "project", {}, {"picture": IMAGE}, n, IMAGES_UNDER_WAY))  # fmt: skip
        for client in ours:
            client.close()
    echo.close()
    found = {}
    for kind, both in rates.items():
        medians = {who: statistics.median(each) for who, each in both.items()}
        shares = [a / b for a, b in zip(both["ours"], both["echo"], strict=True)]
        found[kind] = {
            **medians,
            "share": statistics.median(shares),
            "share_min": min(shares),
            "share_max": max(shares),
            **{f"{who}_processor_ms": statistics.median(each) for who, each in costs[kind].items()},
        }
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=8, help="for the small requests")
    parser.add_argument("--requests", type=int, default=1000, help="small ones of each client")
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    found = measure(args.clients, args.requests, args.images, args.rounds)
    if args.json:
        print(json.dumps(found))
        return 0
    print(f"{'':8}{'echo/s':>10}{'ours/s':>10}{'share':>8}   {'of single rounds':18}processor's ms: echo, ours, share")
    for kind, row in found.items():
        told = f"{row['share_min']:.2f} to {row['share_max']:.2f}"
        echo_ms, ours_ms = row["echo_processor_ms"], row["ours_processor_ms"]
        cost = f"{echo_ms:.2f} {ours_ms:.2f} {echo_ms / max(ours_ms, 1e-9):.2f}"
        print(f"{kind:8}{row['echo']:>10.0f}{row['ours']:>10.0f}{row['share']:>8.2f}   {told:18}{cost}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
