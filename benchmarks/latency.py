"""From the last sample that a window needs to its event, visible to a consumer.

    python benchmarks/latency.py [--devices 1000] [--delivery exactly-once] [--predictor local]

Devices publish one sample a JSON record at 50 Hz, in real time, a worker labels them, a consumer
of committed records notes when it gets each event. The last sample a window needs is its 130th,
as the last jerk needs one more than 128, and the median filter another. Publisher, broker, worker
and consumer share the machine and its clock. Reported besides: what a sample costs the worker in
processor time while it keeps up. Options given several times make cases.
"""

import asyncio
import contextlib
import itertools
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec
import numpy as np
import psutil
from aiokafka import AIOKafkaProducer

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.faults import AMAZON_ML, SAGEMAKER, server
from streamer.contracts.events import decode_event
from streamer.kafka import topics
from streamer.kafka.broker import LocalKafka
from streamer.kafka.reader import reader
from streamer.settings import Settings
from tests.delivery.fleet import fleet

PARTITIONS = 4
STEP_MS = 20
NEEDED = 130
TICK_S = 0.005
FLAGS = {"local": [], "sagemaker": SAGEMAKER, "amazon-ml": AMAZON_ML}


@click.command()
@click.option("--devices", multiple=True, type=int, default=[1000], show_default=True)
@click.option("--delivery", multiple=True, default=["exactly-once", "at-least-once"])
@click.option("--predictor", multiple=True, type=click.Choice(list(FLAGS)), default=["local"])
@click.option("--commit-interval-ms", default=100, show_default=True)
@click.option("--seconds", default=30, show_default=True, help="After ten to settle.")
def main(
    devices: tuple[int, ...],
    delivery: tuple[str, ...],
    predictor: tuple[str, ...],
    commit_interval_ms: int,
    seconds: int,
) -> None:
    """Print a JSON line for each case."""
    os.environ |= {
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
    }
    with LocalKafka() as kafka, server([]) as address:
        os.environ["AWS_ENDPOINT_URL"] = address
        cases = itertools.product(devices, delivery, predictor)
        for number, (count, guarantee, asked) in enumerate(cases):
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
            late_ms, cpu_s = asyncio.run(latencies(settings, count, FLAGS[asked], seconds))
            p50, p99 = np.percentile(late_ms, (50, 99))
            samples = count * 1000 // STEP_MS * seconds
            line = {"benchmark": "latency", "predictor": asked, "delivery": guarantee}
            line |= {"samples_per_second": count * 1000 // STEP_MS, "events": len(late_ms)}
            line |= {"p50_ms": round(p50), "p99_ms": round(p99)}
            click.echo(json.dumps(line | {"cpu_us_per_sample": round(cpu_s / samples * 1e6, 2)}))


async def latencies(
    settings: Settings, devices: int, flags: list[str], seconds: int
) -> tuple[list[float], float]:
    """Milliseconds of each event, after things have settled, and the worker's processor time."""
    await topics.ensure(settings, 10)
    start_ms = int(time.time() * 1000) + 3000
    found: list[float] = []
    with tempfile.TemporaryDirectory() as scratch, fleet(settings, Path(scratch)) as running:
        running.start("worker", *flags)
        worker = psutil.Process(running.running["worker"].pid)
        settled_s: float | None = None
        with publisher(settings, devices, start_ms):
            async with reader(settings, settings.events_topic, "latest", 10) as consumer:
                end_s = start_ms / 1000 + 10 + seconds
                while time.time() < end_s:
                    fetched = await consumer.getmany(timeout_ms=200)
                    now_ms = time.time() * 1000
                    if now_ms < start_ms + 10_000:
                        continue
                    settled_s = settled_s if settled_s is not None else processor_s(worker)
                    for records in fetched.values():
                        for record in records:
                            event = decode_event(record.value or b"")
                            found.append(
                                now_ms
                                - last_sample_ms(
                                    event.window_start, event.device_id, start_ms, devices
                                )
                            )
                assert settled_s is not None
                cpu_s = processor_s(worker) - settled_s
    return found, cpu_s


def processor_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def phase_ms(device: int, devices: int) -> float:
    """When in a step a device samples: evenly spread."""
    return STEP_MS * device / devices


def last_sample_ms(window_start_ms: int, device_id: str, start_ms: int, devices: int) -> float:
    first_ms = start_ms + phase_ms(int(device_id.rpartition("-")[2]), devices)
    steps = -((first_ms - window_start_ms) // STEP_MS)
    return float(first_ms + (steps + NEEDED - 1) * STEP_MS)


@contextlib.contextmanager
def publisher(settings: Settings, devices: int, start_ms: int) -> Iterator[None]:
    process = multiprocessing.Process(
        target=lambda: asyncio.run(publish(settings, devices, start_ms))
    )
    process.start()
    try:
        yield
    finally:
        process.terminate()
        process.join()


async def publish(settings: Settings, devices: int, start_ms: int) -> None:
    """Send what is due, every few milliseconds."""
    rng = np.random.default_rng(0)
    names = [f"phone-{device}" for device in range(devices)]
    heads = [f'{{"device_id":"{name}","timestamp":' for name in names]
    keys = [name.encode() for name in names]
    tails = [
        f',"acc":{msgspec.json.encode(v[:3]).decode()},"gyro":{msgspec.json.encode(v[3:]).decode()}}}'
        for v in rng.normal(size=(997, 6)).round(5).tolist()
    ]
    phases = [phase_ms(device, devices) for device in range(devices)]
    sent = 0
    async with AIOKafkaProducer(
        bootstrap_servers=settings.bootstrap_servers, max_batch_size=512 * 1024
    ) as producer:
        while True:
            batches = [producer.create_batch() for _ in range(PARTITIONS)]
            due = int((time.time() * 1000 - start_ms) / STEP_MS * devices)
            for number in range(sent, max(sent, due)):
                step, device = divmod(number, devices)
                time_ms = start_ms + step * STEP_MS + phases[device]
                value = f"{heads[device]}{time_ms:.3f}{tails[number % 997]}".encode()
                batches[device % PARTITIONS].append(key=keys[device], value=value, timestamp=None)
            sent = max(sent, due)
            for partition, batch in enumerate(batches):
                if batch.record_count():
                    await producer.send_batch(batch, settings.readings_topic, partition=partition)
            await asyncio.sleep(TICK_S)


if __name__ == "__main__":
    multiprocessing.set_start_method("fork")
    main()
