"""Measures what one gateway takes: posts a second on one core, their latency, and open WebSockets.

    python benchmarks/gateway.py [--seconds 15] [--connections 64] [--websockets 5000]

A gateway runs on one core; broker and clients share the others. Each post has a block of 50 samples
in float32 of a device of its own. First the clients send the next post when the last one is
answered, which gives the rate. Then they send at half of that rate, and latency counts from the
time at which a post was due. Each WebSocket sends a reading and waits for its acknowledgement.
"""

import asyncio
import contextlib
import itertools
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import click
import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.figures import report
from streamer.contracts.encode import encode
from streamer.contracts.readings import Format
from streamer.localkafka.broker import LocalKafka

SAMPLES = 50
SETTLE_S = 3.0


@click.command()
@click.option("--seconds", default=15.0, show_default=True, help="Of each of the two runs.")
@click.option("--connections", default=64, show_default=True)
@click.option("--websockets", default=5000, show_default=True)
def main(seconds: float, connections: int, websockets: int) -> None:
    with LocalKafka() as kafka, gateway(kafka.bootstrap_servers) as (port, process):
        process.cpu_affinity([0])
        asyncio.run(measure(port, process, seconds, connections, websockets))


@contextlib.contextmanager
def gateway(brokers: str, *options: str) -> Iterator[tuple[int, psutil.Process]]:
    """Run a gateway of one device per connection, without limits that the benchmark would reach."""
    command = [sys.executable, "-m", "streamer", "gateway", "--gateway-port", "0"]
    command += ["--bootstrap-servers", brokers, "--gateway-max-samples-per-s", "1e9"]
    command += options
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        for line in running.stderr:
            if found := re.search(
                r"the gateway listens.*port=(\d+)", re.sub(r"\x1b\[\d*m", "", line)
            ):
                break
        else:
            raise SystemExit("the gateway has ended")
        yield int(found[1]), psutil.Process(running.pid)
        running.terminate()


def request_of(device: str) -> bytes:
    """Return a post of a block of samples."""
    rows = np.tile([0.01, -0.98, 0.12, 0.02, 0.0, -0.01], (SAMPLES, 1))
    value = encode(device, round(time.time() * 1000), 20, rows, Format.F32)[1]
    head = (
        f"POST /readings/{device} HTTP/1.1\r\nHost: gateway\r\nContent-Length: {len(value)}\r\n"
        "Content-Type: application/x-streamer-f32\r\n\r\n"
    )
    return head.encode() + value


class Client:
    """One connection that posts one request after the other."""

    def __init__(self, number: int) -> None:
        self._request = request_of(f"phone-{number}")
        self.latencies_s: list[float] = []

    async def connect(self, port: int) -> None:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", port)

    async def post(self) -> bool:
        self._writer.write(self._request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        await self._reader.readexactly(size)
        return head.startswith(b"HTTP/1.1 200")

    async def run(self, until_s: float, due: AsyncIterator[float] | None = None) -> None:
        """Post until a time: at once, or when a post is due."""
        while (begun_s := time.monotonic()) < until_s:
            if due is not None:
                begun_s = await anext(due)
            if await self.post():
                self.latencies_s.append(time.monotonic() - begun_s)


async def every(period_s: float, first_s: float) -> AsyncIterator[float]:
    """Yield the times at which posts are due, each when it has come."""
    for number in itertools.count():
        due_s = first_s + number * period_s
        if (wait_s := due_s - time.monotonic()) > 0:
            await asyncio.sleep(wait_s)
        yield due_s


async def measure(
    port: int, process: psutil.Process, seconds: float, connections: int, websockets: int
) -> None:
    clients = [Client(number) for number in range(connections)]
    for client in clients:
        await client.connect(port)
    while not await clients[0].post():  # noqa: ASYNC110 - Kafka is not there yet
        await asyncio.sleep(0.2)
    await run_all(clients, SETTLE_S)
    cpu_s = sum(process.cpu_times()[:2])
    rate = await run_all(clients, seconds)
    cpu_us = (sum(process.cpu_times()[:2]) - cpu_s) / (rate * seconds) * 1e6
    await run_all(clients, seconds, rate / 2)
    latencies_ms = np.array([s for client in clients for s in client.latencies_s]) * 1000
    before = process.memory_info().rss
    open_ones = await open_websockets(port, websockets)
    after = process.memory_info().rss
    for writer in open_ones:
        writer.close()
    posts = {
        "benchmark": "gateway posts",
        "connections": connections,
        "posts_per_s": round(rate),
        "samples_per_s": round(rate * SAMPLES),
        "cpu_us_per_post": round(cpu_us),
        "p50_ms_at_half": round(float(np.percentile(latencies_ms, 50)), 1),
        "p99_ms_at_half": round(float(np.percentile(latencies_ms, 99)), 1),
    }
    sockets = {
        "benchmark": "gateway websockets",
        "open": len(open_ones),
        "rss_mb": round(after / 1e6),
        "rss_kb_per_websocket": round((after - before) / 1e3 / websockets, 1),
    }
    for figure in (posts, sockets):
        report([figure])


async def run_all(clients: list[Client], seconds: float, rate: float | None = None) -> float:
    """Let all clients post for a time; return the posts a second that were answered with 200."""
    for client in clients:
        client.latencies_s.clear()
    begun_s = time.monotonic()
    period_s = len(clients) / rate if rate else 0.0
    await asyncio.gather(
        *(
            client.run(
                begun_s + seconds,
                every(period_s, begun_s + period_s * number / len(clients)) if rate else None,
            )
            for number, client in enumerate(clients)
        )
    )
    return sum(len(client.latencies_s) for client in clients) / (time.monotonic() - begun_s)


async def open_websockets(port: int, count: int) -> list[asyncio.StreamWriter]:
    """Open WebSockets, a hundred at a time; each has one reading acknowledged."""
    opened: list[asyncio.StreamWriter] = []
    for begin in range(0, count, 100):
        numbers = range(begin, min(begin + 100, count))
        opened += await asyncio.gather(*(open_websocket(port, number) for number in numbers))
    return opened


async def open_websocket(port: int, number: int) -> asyncio.StreamWriter:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        f"GET /ws/phone-{number} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"
        "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
    )
    await reader.readuntil(b"\r\n\r\n")
    value = request_of(f"phone-{number}").partition(b"\r\n\r\n")[2]
    writer.write(bytes([0x82, 0x80 | 126]) + len(value).to_bytes(2, "big") + bytes(4) + value)
    assert b"ack" in await reader.readuntil(b"}")
    return writer


if __name__ == "__main__":
    main()
