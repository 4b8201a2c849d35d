"""Lets phones send while the gateway is killed and Kafka goes away, and judges what comes back.

    python benchmarks/phones.py [--phones 1000] [--minutes 5] [--batch 12] [--seed 0]

Half of the phones send over a WebSocket and get their labels on it. The others publish to mosquitto
and follow their events over HTTP; without mosquitto all use WebSockets. A gateway with a token for
each phone, a worker with the default model and a broker run beside them. The gateway is killed
three times, and the broker once, for 30 s.

The verdict is good if every acknowledged reading is in the topic of readings, if every phone gets
labels in each calm stretch, and if the 99th percentile of the time from the last sample of a window
to the label on the phone is below 500 ms in the calm stretches. A phone keeps samples until its
batch is full, and this time counts. A calm stretch begins `SETTLE_S` after all phones are connected
and have labels again.

It prints a row for each calm stretch, with the cores that each process used, and a row with the
verdict. Readings that are not in the topic at the end are told apart: those that wait in the MQTT
broker, those that it has dropped, and those that wait in the gateway.
"""

import asyncio
import contextlib
import os
import random
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

import aiohttp
import aiomqtt
import click
import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.figures import report
from benchmarks.simulated_phones import Events, Mqtt, Phone, WebSocket, send_all
from streamer.gateway.token_file import Grant, make_token
from streamer.kafka import topics
from streamer.kafka.reader import open_reader, read_to_end
from streamer.localkafka.broker import LocalKafka
from streamer.publishing.people import Person
from streamer.settings import Settings
from tests.support.gateway import read_metrics
from tests.support.mqtt import find_mosquitto, free_port, mosquitto

OUTAGE_S: Final = 30.0
SETTLE_S: Final = 10.0
PEOPLE: Final = 16
PATIENCE_S: Final = 60.0
TARGET_MS: Final = 500
AWAY: Final = 0.3
"""When Kafka goes away, as a share of the whole time."""
KILLS: Final = (0.12, 0.6, 0.8)
"""When the gateway is killed."""
SHORTEST_S: Final = 10.0
"""Every phone must get labels in calm stretches that are longer than this."""

COUNTS_S: Final = 5.0
"""How long to listen for the counts of mosquitto, which it sends every second."""
STORED: Final = "$SYS/broker/store/messages/count"
RETAINED: Final = "$SYS/broker/retained messages/count"
DROPPED: Final = "$SYS/broker/publish/messages/dropped"


class Processes:
    """The gateway and the worker."""

    def __init__(self, settings: Settings, port: int, mqtt: int | None, folder: Path) -> None:
        where = [f"--bootstrap-servers={settings.bootstrap_servers}"]
        self._folder = folder
        self.worker = self._start(
            "worker", "run", *where, "--commit-interval-ms=50", "--http-port=0"
        )
        self._gateway = ["gateway", *where, f"--gateway-port={port}"]
        self._gateway += [f"--gateway-tokens={folder / 'tokens'}"]
        if mqtt is not None:
            self._gateway += [f"--mqtt-broker=127.0.0.1:{mqtt}", "--mqtt-format=f32"]
        self.start_gateway()

    def start_gateway(self) -> None:
        self.gateway = self._start("gateway", *self._gateway)

    def cpu_s(self) -> dict[str, float]:
        """Return the processor time so far of each process that runs now, by what it is."""
        times = {"phones": 0.0, "gateway": 0.0, "worker": 0.0, "mosquitto": 0.0, "kafka": 0.0}
        ours = psutil.Process()
        names = {ours.pid: "phones", self.gateway.pid: "gateway", self.worker.pid: "worker"}
        for process in (ours, *ours.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                program = "mosquitto" if process.name() == "mosquitto" else "kafka"
                times[names.get(process.pid, program)] += sum(process.cpu_times()[:2])
        return times

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


class Mark(NamedTuple):
    """The begin or the end of a calm stretch."""

    at_s: float
    cpu_s: dict[str, float]


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
        stretches, verdict = asyncio.run(run(kafka, folder, phones, 60 * minutes, batch, seed))
    report(stretches)
    report([verdict])
    sys.exit(0 if verdict["verdict"] == "good" else 1)


Figures = dict[str, object]


async def run(
    kafka: LocalKafka, folder: Path, count: int, seconds: float, batch: int, seed: int
) -> tuple[list[Figures], Figures]:
    settings = Settings.load({"bootstrap_servers": kafka.bootstrap_servers, "http_port": 0})
    await topics.ensure(settings)
    people = [
        np.asarray(Person([seed, number]).take(round(seconds * 50) + 500)[0], "<f4").tobytes()
        for number in range(PEOPLE)
    ]
    operator, line = make_token(Grant("operator"))
    fleet, lines = list[Phone](), [line]
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
        sending = asyncio.create_task(send_all(senders))
        marks = [Mark(await until_calm(fleet), running.cpu_s())]
        for share, strike in sorted([(AWAY, "kafka"), *((each, "gateway") for each in KILLS)]):
            await stay_calm(begin_s + share * seconds)
            marks.append(Mark(time.time() - 1, running.cpu_s()))
            say(f"{strike} is taken away")
            await take_away(strike, kafka, running)
            marks.append(Mark(await until_calm(fleet), running.cpu_s()))
            say(f"all phones have labels again; {describe_waiting(fleet)}")
        await stay_calm(begin_s + seconds)
        marks.append(Mark(time.time() - 1, running.cpu_s()))
        sending.cancel()
        await wait_for(lambda: not any(phone.waiting for phone in fleet), "acknowledgements")
        missing = await find_missing(settings, fleet)
        where = await find_waiting(port, operator, mqtt)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    calm = list(zip(marks[::2], marks[1::2], strict=True))
    stretches = [describe_stretch(number, fleet, *each) for number, each in enumerate(calm)]
    return stretches, judge(fleet, calm, stretches, missing, where)


async def stay_calm(until_s: float) -> None:
    """Wait until a time, but for long enough that a slow machine has a calm stretch too."""
    await asyncio.sleep(max(SHORTEST_S + 2, until_s - time.time()))


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


def describe_waiting(fleet: list[Phone]) -> str:
    return f"{sum(len(phone.waiting) for phone in fleet)} readings are not acknowledged"


async def until_calm(fleet: list[Phone]) -> float:
    """Wait until all phones are connected and have fresh labels; return when calm begins."""
    begin_ms = 1000 * time.time()
    await all_open(fleet)
    await wait_for(lambda: all(has_label_since(phone, begin_ms) for phone in fleet), "labels")
    silent = [each.device_id for each in fleet if not has_label_since(each, begin_ms)]
    if silent:
        say(f"{len(silent)} phones without labels: {silent[:10]}")
    await asyncio.sleep(SETTLE_S)
    return time.time()


def has_label_since(phone: Phone, begin_ms: float) -> bool:
    """Return whether a phone has the label of a window that has ended since a time."""
    return bool(phone.labels) and phone.last_sample_ms(phone.labels[-1][1]) > begin_ms


async def find_missing(settings: Settings, fleet: list[Phone]) -> dict[str, int]:
    """Return how many acknowledged readings are not in the topic, by the protocol of the phones.

    What mosquitto has acknowledged, it may still have to deliver: as long as readings arrive, and
    for a minute more, there is hope.
    """
    missing = {phone.device_id: set(phone.acknowledged) for phone in fleet}
    async with open_reader(settings, settings.readings_topic, "earliest", 30) as consumer:
        hope_s = time.monotonic() + PATIENCE_S
        while any(missing.values()) and time.monotonic() < hope_s:
            async for record in read_to_end(consumer):
                (at_ms,) = struct.unpack_from("<d", record.value or b"", 8)
                missing[(record.key or b"").decode()].discard(at_ms)
                hope_s = time.monotonic() + PATIENCE_S
            await asyncio.sleep(1)
    counts = {"websocket": 0, "mqtt": 0}
    for phone in fleet:
        counts[phone.protocol] += len(missing[phone.device_id])
    return counts


async def find_waiting(port: int, token: str, mqtt: int | None) -> Figures:
    """Return what waits in the gateway and in the MQTT broker, and what the latter has dropped."""
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        aiohttp.ClientSession(f"http://127.0.0.1:{port}", headers=headers) as session,
        session.get("/metrics") as answer,
    ):
        shown = read_metrics(await answer.text())
    found: Figures = {"waiting_bytes_in_gateway": shown["streamer_gateway_buffered_bytes"]}
    if mqtt is None:
        return found
    counts = {STORED: 0, RETAINED: 0, DROPPED: 0}  # mosquitto does not say what has stayed 0
    async with aiomqtt.Client("127.0.0.1", mqtt) as client:
        for topic in counts:
            await client.subscribe(topic)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(COUNTS_S):
                async for message in client.messages:
                    assert isinstance(message.payload, bytes)
                    counts[message.topic.value] = int(message.payload)
    found["waiting_in_mqtt_broker"] = max(0, counts[STORED] - counts[RETAINED])
    found["dropped_by_mqtt_broker"] = counts[DROPPED]
    return found


def describe_stretch(number: int, fleet: list[Phone], begin: Mark, end: Mark) -> Figures:
    """Return the latencies in a calm stretch, and the cores that each process used."""
    latencies = dict[str, list[float]](websocket=[], mqtt=[])
    without = 0
    for phone in fleet:
        found = phone.latencies_ms(1000 * begin.at_s, 1000 * end.at_s)
        latencies[phone.protocol] += found
        without += not found
    seconds = end.at_s - begin.at_s
    figures: Figures = {"benchmark": "phones", "calm_stretch": number, "seconds": round(seconds)}
    for protocol, found in latencies.items():
        for percent in (50, 99):
            name = f"{protocol}_p{percent}_ms"
            figures[name] = round(float(np.percentile(found, percent))) if found else None
    figures["phones_without_labels"] = without if seconds > SHORTEST_S else 0
    for name, cpu_s in end.cpu_s.items():
        figures[f"cores_{name}"] = round((cpu_s - begin.cpu_s[name]) / max(seconds, 0.1), 2)
    return figures


def judge(
    fleet: list[Phone],
    calm: list[tuple[Mark, Mark]],
    stretches: list[Figures],
    missing: dict[str, int],
    where: Figures,
) -> Figures:
    """Return the verdict and the figures of the whole run."""
    every = [
        latency
        for begin, end in calm
        for phone in fleet
        for latency in phone.latencies_ms(1000 * begin.at_s, 1000 * end.at_s)
    ]
    p99_ms = float(np.percentile(every, 99)) if every else np.inf
    without = sum(int(str(each["phones_without_labels"])) for each in stretches)
    wrong = {
        "acknowledged readings are missing": any(missing.values()),
        "phones have no labels": without > 0,
        f"p99 is not under {TARGET_MS} ms": p99_ms >= TARGET_MS,
    }
    return {
        "benchmark": "phones",
        "verdict": "bad" if any(wrong.values()) else "good",
        "why": ", ".join(name for name, is_so in wrong.items() if is_so),
        "phones": len(fleet),
        "acknowledged": sum(len(phone.acknowledged) for phone in fleet),
        "missing_websocket": missing["websocket"],
        "missing_mqtt": missing["mqtt"],
        **where,
        "labels": sum(len(phone.labels) for phone in fleet),
        "phones_without_labels": without,
        "p50_ms": round(float(np.median(every))) if every else None,
        "p99_ms": round(p99_ms) if every else None,
        "told_to_send_again": sum(phone.refused for phone in fleet),
        "outages_s": [round(b.at_s - e.at_s) for (_, e), (b, _) in pairwise(calm)],
        "load": round(os.getloadavg()[0], 1),
    }


if __name__ == "__main__":
    main()
