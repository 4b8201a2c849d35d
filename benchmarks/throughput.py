"""Measures samples a second from readings in Kafka to events in Kafka.

    python benchmarks/throughput.py [--workers 1 --workers 2] [--batch 1] [--commit-interval-ms 100]

An option that is given several times makes cases. All cases take turns, so that other load of the
machine affects all of them. Reported: the median of each case and its ratio to the first case. The
topic is written before. What counts is the time in which all workers are at work on all partitions,
see `steady_rate`.
"""

import asyncio
import itertools
import statistics
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import numpy as np
import psutil
from aiokafka import AIOKafkaProducer

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.figures import report
from streamer.contracts.encode import encode
from streamer.contracts.readings import Format
from streamer.kafka import topics
from streamer.kafka.reader import open_reader, read_to_end
from streamer.localkafka.broker import LocalKafka
from streamer.settings import Settings
from tests.support.fleet import ENDED_WELL, fleet

PARTITIONS = 4
HOP = 64
START_MS = 1_763_906_400_000
STEP_MS = 20
SHORTEST_MS = 2000
"""A worker that is behind commits once a second: in less than two steps there is no rate."""


@dataclass(frozen=True)
class Case:
    """What a run is made of."""

    workers: int
    format: str
    batch: int
    devices: int
    delivery: str
    commit_interval_ms: int
    pinned: bool
    model: str

    @property
    def topic(self) -> str:
        """The readings that the case needs."""
        return f"readings-{self.format}-{self.batch}-{self.devices}"


@click.command()
@click.option(
    "--samples",
    default=8_000_000,
    show_default=True,
    help="In the topic: enough for some seconds, and at least 600 a device.",
)
@click.option("--workers", multiple=True, type=int, default=[1], show_default=True)
@click.option(
    "--format",
    "forms",
    multiple=True,
    type=click.Choice([form.value for form in Format]),
    default=["json"],
)
@click.option("--batch", multiple=True, type=int, default=[1], show_default=True)
@click.option("--devices", multiple=True, type=int, default=[200], show_default=True)
@click.option("--delivery", multiple=True, default=["exactly-once"], show_default=True)
@click.option("--commit-interval-ms", multiple=True, type=int, default=[100], show_default=True)
@click.option("--pinned", is_flag=True, help="Each worker has one core: does it scale?")
@click.option("--model", "models", multiple=True, default=["har"], show_default=True)
@click.option("--repeat", default=5, show_default=True)
def main(
    samples: int,
    workers: tuple[int, ...],
    forms: tuple[str, ...],
    batch: tuple[int, ...],
    devices: tuple[int, ...],
    delivery: tuple[str, ...],
    commit_interval_ms: tuple[int, ...],
    pinned: bool,
    models: tuple[str, ...],
    repeat: int,
) -> None:
    """Print a JSON line for each case, and a table."""
    options = (workers, forms, batch, devices, delivery, commit_interval_ms, [pinned], models)
    cases = [Case(*values) for values in itertools.product(*options)]
    found: dict[Case, list[float]] = {case: [] for case in cases}
    # A worker that joins first would begin with everything, and begin anew when the others join.
    with LocalKafka(rebalance_delay_s=3) as kafka:
        address = {"bootstrap_servers": kafka.bootstrap_servers, "partitions": PARTITIONS}
        for case in {case.topic: case for case in cases}.values():
            readings_settings = Settings.load(address | {"readings_topic": case.topic})
            asyncio.run(write(readings_settings, case, max(samples, 600 * case.devices)))
        for run, case in itertools.product(range(repeat), cases):
            settings = Settings.load(
                address
                | {
                    "readings_topic": case.topic,
                    "events_topic": f"events-{run}-{cases.index(case)}",
                    "group_id": f"group-{run}-{cases.index(case)}",
                    "delivery": case.delivery,
                    "commit_interval_ms": case.commit_interval_ms,
                    "model": case.model,
                }
            )
            found[case].append(samples_per_second(settings, case))
    base = statistics.median(found[cases[0]])
    report(
        [
            {"benchmark": "throughput"}
            | asdict(case)
            | {
                "samples_per_second": round(statistics.median(rates)),
                "ratio": round(statistics.median(rates) / base, 2),
                "lowest": round(min(rates)),
                "highest": round(max(rates)),
            }
            for case, rates in found.items()
        ]
    )


async def write(settings: Settings, case: Case, samples: int) -> None:
    """Write readings of devices that have all been there all the time."""
    await topics.ensure(settings, 10)
    async with AIOKafkaProducer(
        bootstrap_servers=settings.bootstrap_servers, max_batch_size=256 * 1024
    ) as producer:
        batches = [producer.create_batch() for _ in range(PARTITIONS)]
        for device, record in readings(case, samples):
            partition = device % PARTITIONS
            while batches[partition].append(timestamp=None, **record) is None:
                await producer.send_batch(
                    batches[partition], settings.readings_topic, partition=partition
                )
                batches[partition] = producer.create_batch()
        for partition, rest in enumerate(batches):
            await producer.send_batch(rest, settings.readings_topic, partition=partition)


def readings(case: Case, samples: int) -> Iterator[tuple[int, dict[str, object]]]:
    """Records of all devices in turn, with the five decimals that sensors are good for."""
    rng = np.random.default_rng(1)
    interval_ms = None if case.batch == 1 else STEP_MS
    for first in range(0, samples // case.devices, case.batch):
        values = rng.normal((1, 0, 0, 0, 0, 0), 1, (case.devices, case.batch, 6)).round(5)
        for device in range(case.devices):
            start_ms = START_MS + first * STEP_MS + device * STEP_MS / case.devices
            key, value, headers = encode(
                f"phone-{device}", start_ms, interval_ms, values[device], Format(case.format)
            )
            yield device, {"key": key, "value": value, "headers": headers}


def samples_per_second(settings: Settings, case: Case) -> float:
    """Run workers from the topic's beginning to its end."""
    with tempfile.TemporaryDirectory() as scratch, fleet(settings, Path(scratch)) as running:
        names = [f"worker-{i}" for i in range(case.workers)]
        for core, name in enumerate(names):
            running.start(name, "--until-end")
            if case.pinned:
                psutil.Process(running.running[name].pid).cpu_affinity([core])
        for name in names:
            if running.wait(name) not in ENDED_WELL:
                raise click.ClickException(running.text(name))
    return steady_rate(asyncio.run(event_times_ms(settings)))


def steady_rate(times_ms: dict[int, list[int]]) -> float:
    """Samples a second: an event stands for the 64 of a hop.

    From the event that ends the first quarter, when all processes are at work and know all devices,
    to the first partition's last, by the timestamps of the events. They come in steps, a commit
    each; the rate is that of the straight line which fits them best.

    Args:
        times_ms: when the events of each partition were written.
    """
    times = np.sort(np.concatenate([np.array(each) for each in times_ms.values()]))
    begin_ms, end_ms = times[len(times) // 4], min(max(each) for each in times_ms.values())
    if end_ms - begin_ms < SHORTEST_MS:
        raise click.ClickException("over within two seconds: give more --samples")
    at_ms = np.arange(begin_ms, end_ms, 10)
    written = np.searchsorted(times, at_ms, side="right")
    events_a_ms = np.polyfit(at_ms - begin_ms, written, 1)[0]
    return float(events_a_ms * HOP * 1000)


async def event_times_ms(settings: Settings) -> dict[int, list[int]]:
    """When the events of each partition were written."""
    times_ms: dict[int, list[int]] = {}
    async with open_reader(settings, settings.events_topic, "earliest", 10) as consumer:
        async for record in read_to_end(consumer):
            times_ms.setdefault(record.partition, []).append(record.timestamp)
    return times_ms


if __name__ == "__main__":
    main()
