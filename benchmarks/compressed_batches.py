"""Measures the memory of a worker that reads small record batches with large contents.

    python benchmarks/compressed_batches.py

For each case, one compressed batch is published to a real broker, followed by ten seconds of a
device. A worker reads them to the end. Reported are the size of the batch, the size of its
contents, and the largest resident memory of the worker; the first case is a worker that reads the
device alone.
"""

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import psutil
from aiokafka import AIOKafkaProducer

sys.path.insert(0, str(Path(__file__).parents[1]))

from streamer.kafka import topics
from streamer.localkafka.broker import LocalKafka
from streamer.settings import TOPIC_SETTINGS, Settings
from streamer.testing import START_MS
from tests.support.member import publish, read_events, ten_seconds

MB = 1_000_000
SAMPLES = 10_000


def nothing() -> Iterator[bytes]:
    """Yield no record."""
    return iter(())


def zeros(records: int, size: int) -> Callable[[], Iterator[bytes]]:
    """Return a function that yields so many records of zeros."""
    return lambda: (bytes(size) for _ in range(records))


def constant_readings() -> Iterator[bytes]:
    """Yield 300 MB of readings of a device that does not move."""
    acc, gyro = (b",".join([each] * SAMPLES) for each in (b"[0,0,1]", b"[0,0,0.001]"))
    for turn in range(1_500):
        begin = b'{"device_id":"constant","timestamp":%d,"sampling_rate_hz":50,' % (
            START_MS + turn * SAMPLES * 20
        )
        yield begin + b'"acc":[' + acc + b'],"gyro":[' + gyro + b"]}"


CASES: dict[str, Callable[[], Iterator[bytes]]] = {
    "none": nothing,
    "1,000 records of 1 MB of zeros": zeros(1_000, MB),
    "one record of 256 MB of zeros": zeros(1, 256 * MB),
    "300 MB of constant readings": constant_readings,
}


async def publish_batch(settings: Settings, values: Iterator[bytes]) -> tuple[float, float]:
    """Publish records in one batch; return its size and that of its contents in MB."""
    async with AIOKafkaProducer(
        bootstrap_servers=settings.bootstrap_servers,
        compression_type="zstd",
        max_batch_size=2_000 * MB,
    ) as producer:
        batch = producer.create_batch()
        for value in values:
            batch.append(key=b"constant", value=value, timestamp=None)
        contents = batch.size()
        await (await producer.send_batch(batch, settings.readings_topic, partition=0))
        return batch.size() / MB, contents / MB


def run_worker(settings: Settings) -> tuple[float, float]:
    """Run a worker to the end; return its largest resident memory in MB and its seconds."""
    names = ("bootstrap_servers", *TOPIC_SETTINGS, "group_id")
    options = [f"--{name.replace('_', '-')}={getattr(settings, name)}" for name in names]
    command = [sys.executable, "-m", "streamer", "run", "--until-end", "--http-port=0"]
    began_s, largest = time.monotonic(), 0
    with tempfile.TemporaryFile() as log:
        worker = subprocess.Popen(
            [*command, "--max-reject-share=1", *options], stdout=log, stderr=log
        )
        process = psutil.Process(worker.pid)
        while worker.poll() is None:
            largest = max(largest, process.memory_info().rss)
            time.sleep(0.02)
        if worker.returncode:
            log.seek(0)
            sys.exit(log.read().decode())
    return largest / MB, time.monotonic() - began_s


async def measure(kafka: LocalKafka, number: int, values: Iterator[bytes]) -> str:
    """Publish a case and process it; return its figures."""
    names = {name: f"{name}-{number}" for name in TOPIC_SETTINGS}
    chosen = {"bootstrap_servers": kafka.bootstrap_servers, "partitions": 1}
    settings = Settings.load(chosen | names | {"group_id": f"group-{number}"}, None)
    await topics.ensure(settings)
    size = contents = 0.0
    if number:
        size, contents = await publish_batch(settings, values)
    await publish(settings, ten_seconds("phone"))
    resident, seconds = await asyncio.to_thread(run_worker, settings)
    assert any(event.device_id == "phone" for event in await read_events(settings))
    return f"{1000 * size:7.1f} kB {contents:7.0f} MB {resident:7.0f} MB {seconds:5.0f} s"


@click.command()
def main() -> None:
    """Measure the memory of a worker that reads small record batches with large contents."""
    print("   batch    contents    resident  time")
    with LocalKafka() as kafka:
        for number, (name, values) in enumerate(CASES.items()):
            print(asyncio.run(measure(kafka, number, values())), f" {name}", flush=True)


if __name__ == "__main__":
    main()
