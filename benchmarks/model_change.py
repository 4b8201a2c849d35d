"""How long labels wait while the models of a worker change.

    python benchmarks/model_change.py [--seconds 30]

Devices send in real time to a real Kafka. The model file is replaced every five seconds. It prints
the longest times between two events of a partition, with a change of the model between them and
without one.
"""

import asyncio
import shutil
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import click
from aiokafka import AIOKafkaProducer

sys.path.insert(0, str(Path(__file__).parents[1]))

from streamer.contracts.encode import encode
from streamer.contracts.events import decode_event
from streamer.health import Health
from streamer.kafka import topics
from streamer.kafka.member import GroupMember
from streamer.localkafka.broker import LocalKafka
from streamer.metrics import Metrics
from streamer.model.artifact import WAIST_MODEL
from streamer.predict.open_models import open_models
from streamer.publishing.people import Person
from streamer.settings import Settings
from tests.support.member import read_topic
from tests.support.models import no_disagreements, save_renamed

DEVICES = 40
EVERY_S = 5.0
BATCH = 10


async def send(settings: Settings, end_s: float) -> None:
    """Let devices send in real time."""
    people = [Person(number) for number in range(DEVICES)]
    async with AIOKafkaProducer(bootstrap_servers=settings.bootstrap_servers) as producer:
        at_s = time.time()
        while time.time() < end_s:
            for number, person in enumerate(people):
                rows = person.take(BATCH)[0]
                key, value, headers = encode(f"p-{number}", round(at_s * 1000), 20, rows)
                await producer.send(settings.readings_topic, value, key, headers=headers)
            at_s += BATCH / 50
            await asyncio.sleep(max(0.0, at_s - time.time()))


async def change(path: Path, end_s: float) -> None:
    """Replace the model file again and again."""
    number = 0
    while time.time() < end_s - EVERY_S:
        await asyncio.sleep(EVERY_S)
        number += 1
        await asyncio.to_thread(save_renamed, WAIST_MODEL, path, f"model-{number}")


async def longest_silences(settings: Settings) -> tuple[list[float], list[float], int]:
    """Return the times (s) between commits, with a change between them and without, and changes."""
    commits: dict[int, list[tuple[int, str]]] = {}
    for record in await read_topic(settings, settings.events_topic):
        model = decode_event(record.value or b"").model
        assert model is not None
        commits.setdefault(record.partition, []).append((record.timestamp, model.id))
    changed, same, count = [], [], 0
    for found in commits.values():
        for (before_ms, before), (after_ms, after) in pairwise(found):
            (changed if before != after else same).append((after_ms - before_ms) / 1000)
            count += before != after
    return changed, same, count


async def measure(kafka: LocalKafka, folder: Path, seconds: float) -> None:
    path = folder / "mine.npz"
    shutil.copy(WAIST_MODEL, path)
    settings = Settings.load(
        {
            "bootstrap_servers": kafka.bootstrap_servers,
            "model": path,
            "model_check_s": 0.5,
            "partitions": 2,
        }
    )
    await topics.ensure(settings)
    metrics, health, stopping = Metrics(), Health(time.monotonic), asyncio.Event()
    async with open_models(settings, metrics, health, no_disagreements) as models:
        features = models.feature_set
        member = GroupMember(settings, metrics, health, models, stopping, feature_set=features)
        task = asyncio.create_task(member.run())
        end_s = time.time() + seconds
        await asyncio.gather(send(settings, end_s), change(path, end_s))
        stopping.set()
        await task
    changed, same, count = await longest_silences(settings)
    click.echo(
        f"{count} changes of partitions; longest time between two events of a partition: "
        f"{max(changed):.3f} s with a change, {max(same):.3f} s without"
    )


@click.command()
@click.option("--seconds", default=30.0, show_default=True)
def main(seconds: float) -> None:
    """Measure on a Kafka of its own."""
    with tempfile.TemporaryDirectory() as folder, LocalKafka() as kafka:
        asyncio.run(measure(kafka, Path(folder), seconds))


if __name__ == "__main__":
    main()
