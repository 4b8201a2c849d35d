"""Lets phones send while the gateway is killed and Kafka goes away, and judges what comes back.

    python benchmarks/phones.py [--phones 1000] [--minutes 5] [--batch 12] [--seed 0]

Half of the phones send over a WebSocket and get their labels on it. The others publish to mosquitto
and follow their events over HTTP; without mosquitto all use WebSockets. A gateway with a token for
each phone, a worker with the default model and a broker run beside them. The gateway is killed
three times, and the broker once, for 30 s.

The verdict is good if every acknowledged sample is in the topic of readings, if every phone gets
labels in each calm stretch, and if the 99th percentile of the time from the last sample of a window
to the label on the phone is below 500 ms in the calm stretches. A phone keeps samples until its
batch is full, and this time counts. A calm stretch begins `SETTLE_S` after all phones are connected
and have labels again.
"""

import asyncio
import contextlib
import os
import random
import re
import struct
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Final

import click
import msgspec
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.figures import report
from streamer.gateway.token_file import Grant, make_token
from streamer.kafka import topics
from streamer.kafka.reader import open_reader, read_to_end
from streamer.localkafka.broker import LocalKafka
from streamer.publishing.people import Person
from streamer.settings import Settings
from tests.support.mqtt import find_mosquitto, free_port, mosquitto

STEP_MS: Final = 20.0
WINDOW: Final = 128
OUTAGE_S: Final = 30.0
SETTLE_S: Final = 10.0
PEOPLE: Final = 16
PATIENCE_S: Final = 60.0
RECONNECT_S: Final = (0.5, 1.5)
TARGET_MS: Final = 500
AWAY: Final = 0.3
"""When Kafka goes away, as a share of the whole time."""
KILLS: Final = (0.12, 0.6, 0.8)
"""When the gateway is killed."""


class _Glance(msgspec.Struct):
    window_start: int


class _Told(msgspec.Struct):
    """What a gateway says on a WebSocket."""

    ack: int = 0
    message: int = 0
    event: _Glance | None = None


_told = msgspec.json.Decoder(_Told)


class Phone:
    """A phone: what it has measured, what was acknowledged, and which labels have come."""

    def __init__(self, number: int, samples: bytes, batch: int, token: str) -> None:
        self.device_id = f"phone-{number:04d}"
        self.token = token
        self.acknowledged: set[float] = set()
        """Times of the first samples of batches."""
        self.labels: list[tuple[float, int]] = []
        """When a label came, and the nominal start of its window; milliseconds since the epoch."""
        self.waiting: deque[tuple[float, bytes]] = deque()
        self.refused = 0
        self.is_open = False
        self._samples = samples
        self._batch = batch
        self._taken = 0

    def begin(self, at_ms: float) -> None:
        """Take the first sample at a time."""
        self.begin_ms = at_ms

    @property
    def due_ms(self) -> float:
        """When the next batch is full."""
        return self.begin_ms + STEP_MS * (self._taken + self._batch - 1)

    def take_batch(self) -> bytes:
        """Return the next batch, which waits for its acknowledgement from now on."""
        at_ms = self.begin_ms + STEP_MS * self._taken
        begin = 24 * self._taken % (len(self._samples) - 24 * self._batch)
        block = struct.pack("<HHIdd", 1, 3, self._batch, at_ms, STEP_MS)
        block += self._samples[begin : begin + 24 * self._batch]
        self._taken += self._batch
        self.waiting.append((at_ms, block))
        return block

    def acknowledge_first(self) -> None:
        """Note that the oldest batch was acknowledged."""
        self.acknowledged.add(self.waiting.popleft()[0])

    def label(self, window_start: int) -> None:
        """Note a label that has just come."""
        self.labels.append((time.time() * 1000, window_start))

    def last_sample_ms(self, window_start: int) -> float:
        """Return when the last sample of a window was taken."""
        first = np.ceil((window_start - self.begin_ms) / STEP_MS)
        return float(self.begin_ms + STEP_MS * (first + WINDOW - 1))


class Connection(asyncio.Protocol):
    """A connection that is opened again whenever it is lost."""

    def __init__(self, phone: Phone, port: int) -> None:
        self.phone = phone
        self.port = port
        self.buffer = b""
        self.transport: asyncio.Transport | None = None
        self._lost = asyncio.Event()

    async def keep(self) -> None:
        """Connect, again and again, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            self._lost.clear()
            with contextlib.suppress(OSError):
                await loop.create_connection(lambda: self, "127.0.0.1", self.port)
                await self._lost.wait()
            self.transport = None
            await asyncio.sleep(random.uniform(*RECONNECT_S))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport, self.buffer = transport, b""
        self.greet(transport)

    def connection_lost(self, _error: Exception | None) -> None:
        self.close()
        self._lost.set()

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        self.read()

    def greet(self, transport: asyncio.Transport) -> None:
        """Write what opens the conversation."""
        raise NotImplementedError

    def read(self) -> None:
        """Take what is whole from the buffer."""
        raise NotImplementedError

    def close(self) -> None:
        """Note that the connection is lost."""


class WebSocket(Connection):
    """Sends readings, and gets acknowledgements and labels."""

    def greet(self, transport: asyncio.Transport) -> None:
        transport.write(
            f"GET /ws/{self.phone.device_id} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"
            f"Authorization: Bearer {self.phone.token}\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
        )
        self._acknowledged = 0
        self._is_upgraded = False

    def send(self, block: bytes) -> None:
        if self.transport is not None and self._is_upgraded:
            size = len(block)
            head = (
                bytes([0x82, 0x80 | size]) if size < 126 else b"\x82\xfe" + size.to_bytes(2, "big")
            )
            self.transport.write(head + bytes(4) + block)

    def read(self) -> None:
        if not self._is_upgraded:
            head, end, rest = self.buffer.partition(b"\r\n\r\n")
            if not end:
                return
            if not head.startswith(b"HTTP/1.1 101"):
                assert self.transport is not None
                self.transport.abort()
                return
            self.buffer, self._is_upgraded, self.phone.is_open = rest, True, True
            for _, block in self.phone.waiting:
                self.send(block)
        while self._is_upgraded and len(self.buffer) >= 2:
            size, begin = self.buffer[1], 2
            if size == 126:
                size, begin = int.from_bytes(self.buffer[2:4], "big"), 4
            if len(self.buffer) < begin + size or begin + size < 4:
                return
            kind, frame = self.buffer[0] & 15, self.buffer[begin : begin + size]
            self.buffer = self.buffer[begin + size :]
            if kind == 1:
                self._hear(_told.decode(frame))
            elif kind == 8 and self.transport is not None:
                self.transport.abort()

    def _hear(self, told: _Told) -> None:
        if told.event is not None:
            self.phone.label(told.event.window_start)
        while self._acknowledged < told.ack:
            self._acknowledged += 1
            self.phone.acknowledge_first()
        if told.message and self.transport is not None:
            # It is to be sent again, and what comes after it too, to keep the order. A later
            # acknowledgement would not be one of this message.
            self.phone.refused += 1
            self.close()
            self.transport.abort()

    def close(self) -> None:
        self.phone.is_open = self._is_upgraded = False


class Mqtt(Connection):
    """Publishes readings with QoS 1, in MQTT 3.1.1."""

    def greet(self, transport: asyncio.Transport) -> None:
        name = self.phone.device_id.encode()
        body = b"\0\4MQTT\4\2\0\0" + len(name).to_bytes(2, "big") + name
        transport.write(bytes([0x10, len(body)]) + body)
        self._number = 0
        self._topic = f"devices/{self.phone.device_id}/readings".encode()
        for _, block in self.phone.waiting:
            self.send(block)

    def send(self, block: bytes) -> None:
        if self.transport is None:
            return
        self._number = self._number % 65535 + 1
        body = len(self._topic).to_bytes(2, "big") + self._topic
        body += self._number.to_bytes(2, "big") + block
        size = bytes([len(body) & 127 | 128, len(body) >> 7])
        self.transport.write(b"\x32" + size + body)

    def read(self) -> None:
        while len(self.buffer) >= 4:  # CONNACK and PUBACK have four bytes
            if self.buffer[0] == 0x40:
                self.phone.acknowledge_first()
            self.buffer = self.buffer[4:]


class Events(Connection):
    """Follows the events of a phone over HTTP, and goes on where it was."""

    last_id = b""

    def greet(self, transport: asyncio.Transport) -> None:
        since = b"Last-Event-ID: " + self.last_id + b"\r\n" if self.last_id else b""
        transport.write(
            f"GET /events/{self.phone.device_id} HTTP/1.1\r\nHost: x\r\n"
            f"Authorization: Bearer {self.phone.token}\r\n".encode()
            + since
            + b"\r\n"
        )

    def read(self) -> None:
        *lines, self.buffer = self.buffer.split(b"\n")
        for line in lines:
            if line.startswith(b"HTTP/1.1 200"):
                self.phone.is_open = True
            elif line.startswith(b"id: "):
                self.last_id = line[4:]
            elif found := re.search(rb'data: .*"window_start":(\d+)', line):
                self.phone.label(int(found[1]))

    def close(self) -> None:
        self.phone.is_open = False


class Processes:
    """The gateway and the worker."""

    def __init__(self, settings: Settings, port: int, mqtt: int | None, folder: Path) -> None:
        where = [f"--bootstrap-servers={settings.bootstrap_servers}"]
        self._folder = folder
        self.worker = self._start(
            "worker", "run", *where, "--commit-interval-ms=20", "--http-port=0"
        )
        self._gateway = ["gateway", *where, f"--gateway-port={port}"]
        self._gateway += [f"--gateway-tokens={folder / 'tokens'}"]
        if mqtt is not None:
            self._gateway += [f"--mqtt-broker=127.0.0.1:{mqtt}", "--mqtt-format=f32"]
        self.start_gateway()

    def start_gateway(self) -> None:
        self.gateway = self._start("gateway", *self._gateway)

    def _start(self, name: str, *arguments: str) -> "subprocess.Popen[bytes]":
        with (self._folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "streamer", *arguments], stdout=log, stderr=log
            )

    def end(self) -> None:
        for process in (self.gateway, self.worker):
            process.terminate()
        for process in (self.gateway, self.worker):
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()


@contextlib.contextmanager
def processes(*arguments: object) -> Iterator[Processes]:
    running = Processes(*arguments)  # type: ignore[arg-type]
    try:
        yield running
    finally:
        running.end()


@click.command()
@click.option("--phones", default=1000, show_default=True)
@click.option("--minutes", default=5.0, show_default=True)
@click.option("--batch", default=12, show_default=True, help="Samples in a reading.")
@click.option("--seed", default=0, show_default=True)
@click.option("--logs", type=click.Path(path_type=Path), help="Keep logs in this folder.")
def main(phones: int, minutes: float, batch: int, seed: int, logs: Path | None) -> None:
    random.seed(seed)
    with tempfile.TemporaryDirectory() as scratch, LocalKafka() as kafka:
        folder = logs or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        figures = asyncio.run(run(kafka, folder, phones, 60 * minutes, batch, seed))
    report([figures])
    sys.exit(0 if figures["verdict"] == "good" else 1)


async def run(
    kafka: LocalKafka, folder: Path, count: int, seconds: float, batch: int, seed: int
) -> dict[str, object]:
    settings = Settings.load({"bootstrap_servers": kafka.bootstrap_servers, "http_port": 0})
    await topics.ensure(settings)
    people = [
        np.asarray(Person([seed, number]).take(round(seconds * 50) + 500)[0], "<f4").tobytes()
        for number in range(PEOPLE)
    ]
    fleet, lines = list[Phone](), list[str]()
    for number in range(count):
        name = f"phone-{number:04d}"
        token, line = make_token(Grant(name, device_id=name))
        fleet.append(Phone(number, people[number % PEOPLE], batch, token))
        lines.append(line)
    (folder / "tokens").write_text("\n".join(lines))
    port = free_port()
    async with contextlib.AsyncExitStack() as stack:
        mqtt = await stack.enter_async_context(mosquitto(folder)) if find_mosquitto() else None
        running = stack.enter_context(processes(settings, port, mqtt, folder))
        senders: list[WebSocket | Mqtt] = []
        tasks: list[asyncio.Task[None]] = []
        for number, phone in enumerate(fleet):
            if mqtt is not None and number % 2:
                senders.append(Mqtt(phone, mqtt))
                tasks.append(asyncio.create_task(Events(phone, port).keep()))
            else:
                senders.append(WebSocket(phone, port))
            tasks.append(asyncio.create_task(senders[-1].keep()))
        await all_open(fleet)
        begin_s = time.time()
        for phone in fleet:
            phone.begin(1000 * (begin_s + random.uniform(0, 1)))
        sending = [asyncio.create_task(send(each, begin_s + seconds)) for each in senders]
        calm = [begin_s]
        for share, strike in sorted([(AWAY, "kafka"), *((each, "gateway") for each in KILLS)]):
            await asyncio.sleep(max(0, begin_s + share * seconds - time.time()))
            calm.append(time.time() - 1)
            say(f"{strike} is taken away")
            await take_away(strike, kafka, running)
            calm.append(await until_calm(fleet))
            say("calm in some seconds")
        await asyncio.gather(*sending)
        calm.append(time.time())
        await wait_for(lambda: not any(phone.waiting for phone in fleet), "acknowledgements")
        missing = await find_missing(settings, fleet)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    return judge(fleet, list(zip(calm[::2], calm[1::2], strict=True)), missing, mqtt is not None)


async def send(connection: WebSocket | Mqtt, until_s: float) -> None:
    """Send the batches of a phone when they are full."""
    phone = connection.phone
    while phone.due_ms < 1000 * until_s:
        await asyncio.sleep(max(0.0, phone.due_ms / 1000 - time.time()))
        connection.send(phone.take_batch())


async def take_away(what: str, kafka: LocalKafka, running: Processes) -> None:
    """Kill the gateway and start it again, or kill the broker and start it after a while."""
    if what == "kafka":
        await asyncio.to_thread(kafka.kill)
        await asyncio.sleep(OUTAGE_S)
        await asyncio.to_thread(kafka.start)
    else:
        running.gateway.kill()
        running.gateway.wait()
        running.start_gateway()


async def all_open(fleet: list[Phone]) -> None:
    await wait_for(lambda: all(phone.is_open for phone in fleet), "connections")


async def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Wait until something is there; say so if it is not after `PATIENCE_S`."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline_s:
            say(f"some phones have no {what} after {PATIENCE_S:g} s")
            return
        await asyncio.sleep(0.1)


def say(text: str) -> None:
    click.echo(f"{time.strftime('%H:%M:%S')} {text}", err=True)


async def until_calm(fleet: list[Phone]) -> float:
    """Wait until all phones are connected and have labels again; return when calm begins."""
    since = {phone.device_id: len(phone.labels) for phone in fleet}
    await all_open(fleet)
    await wait_for(
        lambda: all(len(each.labels) > since[each.device_id] for each in fleet), "labels"
    )
    if silent := [each.device_id for each in fleet if len(each.labels) == since[each.device_id]]:
        say(f"{len(silent)} phones without labels: {silent[:10]}")
    return time.time() + SETTLE_S


async def find_missing(settings: Settings, fleet: list[Phone]) -> int:
    """Return how many acknowledged readings are not in the topic, also after a minute.

    What mosquitto has acknowledged, it may still have to deliver.
    """
    deadline_s = time.monotonic() + 60
    while True:
        found: dict[str, set[float]] = {phone.device_id: set() for phone in fleet}
        async with open_reader(settings, settings.readings_topic, "earliest", 30) as consumer:
            async for record in read_to_end(consumer):
                (at_ms,) = struct.unpack_from("<d", record.value or b"", 8)
                found[(record.key or b"").decode()].add(at_ms)
        missing = sum(len(phone.acknowledged - found[phone.device_id]) for phone in fleet)
        if not missing or time.monotonic() > deadline_s:
            return missing
        await asyncio.sleep(2)


def judge(
    fleet: list[Phone], calm: list[tuple[float, float]], missing: int, with_mqtt: bool
) -> dict[str, object]:
    """Return the verdict and the figures."""
    latencies = dict[str, list[float]](websocket=[], mqtt=[])
    without, labels = 0, 0
    for number, phone in enumerate(fleet):
        kind = "mqtt" if with_mqtt and number % 2 else "websocket"
        heard = [False] * len(calm)
        labels += len(phone.labels)
        for at_ms, window_start in phone.labels:
            last_ms = phone.last_sample_ms(window_start)
            for stretch, (begin_s, end_s) in enumerate(calm):
                if 1000 * begin_s <= last_ms < 1000 * end_s:
                    heard[stretch] = True
                    latencies[kind].append(at_ms - last_ms)
        without += sum(not each for each, (b, e) in zip(heard, calm, strict=True) if e - b > 10)
    every = np.array([each for part in latencies.values() for each in part])
    p99 = float(np.percentile(every, 99))
    good = not missing and not without and p99 < TARGET_MS
    return {
        "benchmark": "phones",
        "verdict": "good" if good else "bad",
        "phones": len(fleet),
        "acknowledged_readings": sum(len(phone.acknowledged) for phone in fleet),
        "acknowledged_and_missing": missing,
        "labels": labels,
        "calm_stretches_without_labels": without,
        "p50_ms": round(float(np.median(every))),
        "p99_ms": round(p99),
        **{
            f"p99_ms_{kind}": round(float(np.percentile(found, 99)))
            for kind, found in latencies.items()
            if found
        },
        "told_to_send_again": sum(phone.refused for phone in fleet),
        "outages_s": [round(b - e, 1) for (_, e), (b, _) in pairwise(calm)],
        "load": round(os.getloadavg()[0], 1),
    }


if __name__ == "__main__":
    main()
