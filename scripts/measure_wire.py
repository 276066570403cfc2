"""What the protocol costs: the real service and the real client against a bare ZeroMQ echo, in one run.

    python scripts/measure_wire.py

small   1,000 `status` requests of each client, 16 under way; the echo gets the same frames
image   pictures of 4 MiB to the backend and back, 2 under way; the echo gets the same frames

All ends are processes or threads of the same machine, so each rate counts sending and receiving. They take turns, and
the median of the rounds counts, since other work on the machine falls on all. Where there is much of that, the
processor's time of a message, of both ends together, still tells what it costs (Linux).

Beside the bare echo stands the least that a service in Python can be: a loop that polls, reads the header and hands
the message to one worker thread, which gives it back. What is lost from there on is our own protocol's.
"""

from __future__ import annotations

import argparse
import collections
import functools
import json
import multiprocessing
import os
import queue
import statistics
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import zmq
from latent_loom.backend.service.outbox import Wakeup
from latent_loom.protocol import messages, transport
from latent_loom.protocol.client import Client, Failed, Finished
from service_process import ServiceProcess

SMALL_UNDER_WAY, IMAGES_UNDER_WAY = 16, 2
WHO = ("echo", "least", "ours")
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


def serve_least(port: Any) -> None:
    """The same with a loop that waits for two things, a decoded header, and a worker thread that does nothing."""
    router = zmq.Context().socket(zmq.ROUTER)
    port.send(router.bind_to_random_port("tcp://127.0.0.1"))
    waiting: queue.SimpleQueue[list[zmq.Frame]] = queue.SimpleQueue()
    done: collections.deque[list[zmq.Frame]] = collections.deque()
    bell = Wakeup()

    def work() -> None:
        while True:
            done.append(waiting.get())
            bell.ring()

    threading.Thread(target=work, daemon=True).start()
    poller = zmq.Poller()
    poller.register(router, zmq.POLLIN)
    poller.register(bell.reader, zmq.POLLIN)
    while True:
        for ready, _ in poller.poll():
            if ready is not router:
                bell.clear()
                while done:
                    transport.send(router, done.popleft())
                continue
            while (parts := transport.receive(router)) is not None:
                if len(parts) == 2:
                    return  # the end
                frames = transport.contents(parts)
                messages.decode(frames[1:], sender="client")
                waiting.put(frames)


def processor_s(pid: int) -> float:
    """Time that the process had a processor, all its threads together; 0 where the system does not tell."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text("ascii").split()[0]) for thread in threads) / 1e9


class Echo:
    """A process that gives back what it is sent."""

    def __init__(self, serve: Callable[[Any], None]) -> None:
        here, there = multiprocessing.Pipe()
        self._process = multiprocessing.Process(target=serve, args=(there,), daemon=True)
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
    """Of each kind of message: the median rates a second ("echo", "least", "ours"), the share of the echo's rate that
    the others reach, its range over the rounds, and the processor's milliseconds of a message."""
    small = [bytes(frame) for frame in messages.encode(messages.Request(type="status", id=1))]
    large = [bytes(f) for f in messages.encode(messages.Request(type="project", id=1, arrays={"picture": IMAGE}))]
    picture = {"picture": IMAGE}
    rates: dict[str, dict[str, list[float]]] = {kind: {who: [] for who in WHO} for kind in ("small", "image")}
    costs: dict[str, dict[str, list[float]]] = {kind: {who: [] for who in WHO} for kind in ("small", "image")}

    def note(kind: str, who: str, count: int, pid: int, run: Callable[[], float]) -> None:
        before_s = processor_s(pid) + processor_s(os.getpid())
        rates[kind][who].append(run())
        costs[kind][who].append(1000 * (processor_s(pid) + processor_s(os.getpid()) - before_s) / count)

    echoes = {"echo": Echo(serve_echo), "least": Echo(serve_least)}
    sockets = {who: [echo.socket() for _ in range(clients)] for who, echo in echoes.items()}
    with ServiceProcess(program=("scripts/echo_service.py",)) as backend:
        ours = [backend.client(f"client-{n}") for n in range(clients)]
        pids = {who: echo.pid for who, echo in echoes.items()} | {"ours": backend.process.pid}

        def rate(kind: str, who: str, n: int, count: int) -> float:
            under_way = SMALL_UNDER_WAY if kind == "small" else IMAGES_UNDER_WAY
            if who == "ours":
                type, arrays = ("status", {}) if kind == "small" else ("project", picture)
                return rate_of_service(ours[:n], type, {}, arrays, count, under_way)
            return rate_of_echo(sockets[who][:n], small if kind == "small" else large, count, under_way)

        for who in WHO:
            rate("image", who, 1, 2)  # all warm
        for _ in range(rounds):
            for kind, n, count in (("small", clients, requests // rounds), ("image", 1, images // rounds)):
                for who in WHO:
                    note(kind, who, n * count, pids[who], functools.partial(rate, kind, who, n, count))
        for client in ours:
            client.close()
    for echo in echoes.values():
        echo.close()
    return {kind: _summary(rates[kind], costs[kind]) for kind in rates}


def _summary(rates: dict[str, list[float]], costs: dict[str, list[float]]) -> dict[str, float]:
    found = {who: statistics.median(each) for who, each in rates.items()}
    for who in WHO[1:]:
        shares = [a / b for a, b in zip(rates[who], rates["echo"], strict=True)]
        found |= {f"{who}_share": statistics.median(shares), f"{who}_min": min(shares), f"{who}_max": max(shares)}
    return found | {f"{who}_processor_ms": statistics.median(each) for who, each in costs.items()}


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
    print(f"{'':8}{'':7}{'a second':>9}  {'of the echo':11}  {'single rounds':14}processor's ms")
    for kind, row in found.items():
        for who in WHO:
            share = f"{row[f'{who}_share']:.2f}" if who != "echo" else ""
            rounds = f"{row[f'{who}_min']:.2f} to {row[f'{who}_max']:.2f}" if who != "echo" else ""
            cost = f"{row[f'{who}_processor_ms']:.2f}"
            print(f"{kind:8}{who:7}{row[who]:>9.0f}  {share:11}  {rounds:14}{cost}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
