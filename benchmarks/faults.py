"""Measures events of a worker whose prediction endpoint fails in different ways.

    python benchmarks/faults.py [--seconds 120] [--devices 50]

For each fault, simulated devices publish in real time, a worker calls an endpoint with that fault,
and a consumer records when each event becomes visible. At the end all events are compared with the
expected events, byte by byte. Reported, after the first quarter of the time: the delay of events
after the end of their window, the longest time without any event, the memory of the worker (MB,
smallest and largest), and the number of throttled calls.
"""

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import psutil
from aiokafka.errors import KafkaError

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.prediction_server import count_throttled, prediction_server
from streamer.contracts.events import decode_event
from streamer.contracts.records import OneRecord
from streamer.kafka import topics
from streamer.kafka.reader import open_reader, read_to_end
from streamer.kafka.topic_records import fetch_parts
from streamer.localkafka.broker import LocalKafka
from streamer.settings import Settings
from tests.support.fleet import Fleet, fleet
from tests.support.golden import Verdict, as_local, compare, golden, read_published, windows_of
from tests.support.log import Log

PARTITIONS = 3
SAGEMAKER = ["--predictor", "sagemaker", "--endpoint", "waist", "--endpoint-format", "npy"]
AMAZON_ML = ["--predictor", "amazon-ml", "--endpoint", "waist"]
MIXED = ["latency=200ms:10%", "error=503:5%", "hang:1%", "half-open:1%", "wrong-answer:2%"]
CASES: list[tuple[list[str], list[str]]] = [
    (SAGEMAKER, []),
    (SAGEMAKER, ["latency=200ms:10%"]),
    (SAGEMAKER, ["error=503:5%"]),
    (SAGEMAKER, ["throttle=10/s"]),
    (SAGEMAKER, ["hang:1%"]),
    (SAGEMAKER, ["half-open:1%"]),
    (SAGEMAKER, ["wrong-answer:2%"]),
    (SAGEMAKER, ["down=10s/40s"]),
    (SAGEMAKER, [*MIXED, "down=5s/30s"]),
    (AMAZON_ML, []),
    (AMAZON_ML, [*MIXED, "down=5s/30s"]),
]


@click.command()
@click.option("--seconds", default=120, show_default=True, help="For each fault.")
@click.option("--devices", default=50, show_default=True)
def main(seconds: int, devices: int) -> None:
    """Print a JSON line for each fault."""
    good = True
    with LocalKafka() as kafka:
        for number, (flags, faults) in enumerate(CASES):
            settings = Settings.load(
                {
                    "bootstrap_servers": kafka.bootstrap_servers,
                    "readings_topic": f"readings-{number}",
                    "events_topic": f"events-{number}",
                    "segments_topic": f"segments-{number}",
                    "current_topic": f"current-{number}",
                    "dlq_topic": f"dlq-{number}",
                    "group_id": f"group-{number}",
                    "partitions": PARTITIONS,
                    "model": "waist",
                }
            )
            with prediction_server(faults) as address:
                figures = asyncio.run(bad_day(settings, flags, seconds, devices))
                figures["throttled"] = count_throttled(address) if flags is AMAZON_ML else None
            good &= figures["verdict"] == "0 lost, 0 duplicated, 0 different"
            click.echo(json.dumps({"predictor": flags[1], "faults": faults} | figures))
    sys.exit(not good)


async def bad_day(
    settings: Settings, flags: list[str], seconds: int, devices: int
) -> dict[str, object]:
    """Publish, predict and watch for a while; then drain and compare."""
    await topics.ensure(settings)
    seen: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as scratch, fleet(settings, Path(scratch)) as workers:
        workers.start("worker", *flags)
        watching = asyncio.create_task(arrivals(settings, seen))
        began_s = time.time()
        with simulated(settings, devices):
            memory = await asyncio.to_thread(watched, workers, seconds)
        await asyncio.to_thread(workers.stop, "worker")
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
        await asyncio.to_thread(workers.run_to_end, *flags)
    verdict = await judged(settings, exact=flags is SAGEMAKER)
    return {"verdict": verdict} | times(seen, began_s + seconds / 4) | memory


async def arrivals(settings: Settings, seen: list[tuple[float, float]]) -> None:
    """Note when each event arrives, and the end of its window, in seconds."""
    with contextlib.suppress(KafkaError):
        async with open_reader(settings, settings.events_topic, "latest", 10) as consumer:
            while True:
                async for _, records in fetch_parts(consumer, 200):
                    for _, value, _ in records.contents():
                        event = decode_event(value or b"")
                        seen.append((time.time(), event.window_end / 1000))


def times(seen: list[tuple[float, float]], from_s: float) -> dict[str, object]:
    table = np.array([arrival for arrival in seen if arrival[0] >= from_s])
    late_s = table[:, 0] - table[:, 1]
    p50, p99 = np.percentile(late_s, (50, 99))
    gap_s = float(np.diff(table[:, 0]).max())
    return {
        "events": len(table),
        "p50_ms": round(p50 * 1000),
        "p99_ms": round(p99 * 1000),
        "longest_silence_s": round(gap_s, 1),
    }


@contextlib.contextmanager
def simulated(settings: Settings, devices: int) -> Iterator[None]:
    where = ["--bootstrap-servers", settings.bootstrap_servers]
    where += ["--readings-topic", settings.readings_topic]
    command = [sys.executable, "-m", "streamer", "simulate", *where]
    people = subprocess.Popen(
        [*command, "--devices", str(devices), "--batch", "5"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        people.send_signal(signal.SIGINT)
        people.wait()


def watched(workers: Fleet, seconds: int) -> dict[str, object]:
    """The worker's memory, looked at every second."""
    process = psutil.Process(workers.running["worker"].pid)
    seen = []
    for _ in range(seconds):
        time.sleep(1)
        seen.append(process.memory_info().rss / 1e6)
    settled = seen[seconds // 4 :]
    return {"least_mb": round(min(settled)), "most_mb": round(max(settled))}


async def judged(settings: Settings, *, exact: bool) -> str:
    """Compare with what the log must give; through Amazon ML scores have other labels."""
    log: Log = [[] for _ in range(PARTITIONS)]
    async with open_reader(settings, settings.readings_topic, "earliest", 10) as consumer:
        async for record in read_to_end(consumer):
            headers = list(record.headers)
            read = OneRecord(record.key, record.value, headers, record.timestamp, record.offset)
            log[record.partition].append(read)
    expected, found = await golden(log, settings), await read_published(settings)
    if exact:
        return str(compare(expected, as_local(found)))
    wanted, seen = windows_of(expected), windows_of(found)
    lost = sum(len(set(ids) - set(seen.get(device, []))) for device, ids in wanted.items())
    duplicated = sum(len(ids) - len(set(ids)) for ids in seen.values())
    different = sum(seen.get(device) != ids for device, ids in wanted.items() if not lost)
    return str(Verdict(lost, duplicated, different, [], []))


if __name__ == "__main__":
    main()
