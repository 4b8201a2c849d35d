"""Measures the time from the last sample of a window until a consumer sees its event.

    python benchmarks/latency.py [--devices 1000] [--delivery exactly-once] [--predictor local]

Devices publish JSON records of one or more samples at 50 Hz, in real time, a worker labels them, a
consumer of committed records notes when it gets each event. The last sample a window needs is its
130th, as the last jerk needs one more than 128, and the median filter another; it is published with
the last one of its record. Publisher, broker, worker and consumer share the machine and its clock.
Reported besides: what a sample costs the worker in processor time while it keeps up. Options given
several times make cases.
"""

import asyncio
import contextlib
import itertools
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import msgspec
import numpy as np
import psutil
from aiokafka import AIOKafkaProducer

from streamer.arrays import Floats

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.faults import AMAZON_ML, SAGEMAKER
from benchmarks.figures import Figure, report
from benchmarks.prediction_server import prediction_server
from streamer.contracts.events import decode_event
from streamer.kafka import topics
from streamer.kafka.reader import open_reader
from streamer.kafka.topic_records import fetch_parts
from streamer.localkafka.broker import LocalKafka
from streamer.settings import Settings
from tests.support.fleet import fleet

PARTITIONS = 4
STEP_MS = 20
NEEDED = 130
TICK_S = 0.005
FLAGS = {"local": [], "sagemaker": SAGEMAKER, "amazon-ml": AMAZON_ML}


@click.command()
@click.option("--devices", multiple=True, type=int, default=[1000], show_default=True)
@click.option("--batch", multiple=True, type=int, default=[1], help="Samples a record.")
@click.option("--delivery", multiple=True, default=["exactly-once", "at-least-once"])
@click.option("--predictor", multiple=True, type=click.Choice(list(FLAGS)), default=["local"])
@click.option("--commit-interval-ms", default=100, show_default=True)
@click.option("--seconds", default=30, show_default=True, help="After ten to settle.")
def main(
    devices: tuple[int, ...],
    batch: tuple[int, ...],
    delivery: tuple[str, ...],
    predictor: tuple[str, ...],
    commit_interval_ms: int,
    seconds: int,
) -> None:
    """Print a JSON line for each case, and a table."""
    figures: list[Figure] = []
    with LocalKafka() as kafka, prediction_server():
        cases = itertools.product(devices, batch, delivery, predictor)
        for number, (count, size, guarantee, asked) in enumerate(cases):
            settings = Settings.load(
                {
                    "bootstrap_servers": kafka.bootstrap_servers,
                    "readings_topic": f"readings-{number}",
                    "events_topic": f"events-{number}",
                    "group_id": f"group-{number}",
                    "partitions": PARTITIONS,
                    "delivery": guarantee,
                    "commit_interval_ms": commit_interval_ms,
                }
            )
            load = Load(count, size, int(time.time() * 1000) + 3000)
            late_ms, cpu_s = asyncio.run(latencies(settings, load, FLAGS[asked], seconds))
            p50, p99 = np.percentile(late_ms, (50, 99))
            samples = count * 1000 // STEP_MS * seconds
            line: dict[str, object] = {"benchmark": "latency", "predictor": asked}
            line |= {"delivery": guarantee, "commit_interval_ms": commit_interval_ms}
            line |= {"samples_per_second": count * 1000 // STEP_MS, "batch": size}
            line |= {"events": len(late_ms)}
            line |= {"p50_ms": round(p50), "p99_ms": round(p99)}
            line |= {"cpu_us_per_sample": round(cpu_s / samples * 1e6, 2)}
            figures.append(line)
    report(figures)


@dataclass(frozen=True)
class Load:
    """What devices publish, all of them all the time.

    Attributes:
        devices: how many there are.
        batch: samples a record.
        start_ms: when the first one samples first.
    """

    devices: int
    batch: int
    start_ms: int

    def phase_ms(self, device: int) -> float:
        """When in a record's time a device publishes: evenly spread."""
        return STEP_MS * self.batch * device / self.devices

    def published_ms(self, window_start_ms: int, device_id: str) -> float:
        """When the last sample that a window needs is published."""
        first_ms = self.start_ms + self.phase_ms(int(device_id.rpartition("-")[2]))
        steps = -((first_ms - window_start_ms) // STEP_MS)
        records = (steps + NEEDED - 1) // self.batch + 1
        return float(first_ms + (records * self.batch - 1) * STEP_MS)


async def latencies(
    settings: Settings, load: Load, flags: list[str], seconds: int
) -> tuple[list[float], float]:
    """Milliseconds of each event, after things have settled, and the worker's processor time."""
    await topics.ensure(settings, 10)
    start_ms = load.start_ms
    found: list[float] = []
    with tempfile.TemporaryDirectory() as scratch, fleet(settings, Path(scratch)) as running:
        running.start("worker", *flags)
        worker = psutil.Process(running.running["worker"].pid)
        settled_s: float | None = None
        with publisher(settings, load):
            async with open_reader(settings, settings.events_topic, "latest", 10) as consumer:
                end_s = start_ms / 1000 + 10 + seconds
                while time.time() < end_s:
                    values = [
                        value
                        async for _, records in fetch_parts(consumer, 200)
                        for _, value, _ in records.contents()
                    ]
                    now_ms = time.time() * 1000
                    if now_ms < start_ms + 10_000:
                        continue
                    settled_s = settled_s if settled_s is not None else processor_s(worker)
                    for value in values:
                        event = decode_event(value or b"")
                        published_ms = load.published_ms(event.window_start, event.device_id)
                        found.append(now_ms - published_ms)
                assert settled_s is not None
                cpu_s = processor_s(worker) - settled_s
    return found, cpu_s


def processor_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


@contextlib.contextmanager
def publisher(settings: Settings, load: Load) -> Iterator[None]:
    process = multiprocessing.Process(target=lambda: asyncio.run(publish(settings, load)))
    process.start()
    try:
        yield
    finally:
        process.terminate()
        process.join()


async def publish(settings: Settings, load: Load) -> None:
    """Send what is due, every few milliseconds."""
    rng = np.random.default_rng(0)
    devices, interval_ms = load.devices, STEP_MS * load.batch
    names = [f"phone-{device}" for device in range(devices)]
    heads = [f'{{"device_id":"{name}","timestamp":' for name in names]
    keys = [name.encode() for name in names]
    tails = [tail(rng.normal((1, 0, 0, 0, 0, 0), 1, (load.batch, 6)).round(5)) for _ in range(997)]
    # A record goes out with its last sample.
    first_ms = load.start_ms + (load.batch - 1) * STEP_MS
    sent = 0
    async with AIOKafkaProducer(
        bootstrap_servers=settings.bootstrap_servers, max_batch_size=512 * 1024
    ) as producer:
        while True:
            batches = [producer.create_batch() for _ in range(PARTITIONS)]
            due = max(sent, int((time.time() * 1000 - first_ms) / interval_ms * devices))
            for number in range(sent, due):
                record, device = divmod(number, devices)
                time_ms = load.start_ms + record * interval_ms + load.phase_ms(device)
                value = f"{heads[device]}{time_ms:.3f}{tails[number % 997]}".encode()
                batches[device % PARTITIONS].append(key=keys[device], value=value, timestamp=None)
            sent = due
            for partition, batch in enumerate(batches):
                if batch.record_count():
                    await producer.send_batch(batch, settings.readings_topic, partition=partition)
            await asyncio.sleep(TICK_S)


def tail(samples: Floats) -> str:
    """What follows a record's time."""
    if len(samples) == 1:
        samples, batch = samples[0], ""
    else:
        batch = f',"interval_ms":{STEP_MS}'
    acc, gyro = (
        msgspec.json.encode(axes.tolist()).decode() for axes in np.split(samples, 2, axis=-1)
    )
    return f'{batch},"acc":{acc},"gyro":{gyro}}}'


if __name__ == "__main__":
    multiprocessing.set_start_method("fork")
    main()
