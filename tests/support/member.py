"""A group member in this process: what it reads is written here, what it publishes read back."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import numpy as np
from aiokafka import AIOKafkaProducer

from streamer.contracts.events import ActivityEvent
from streamer.contracts.readings import Record
from streamer.health import Health
from streamer.kafka.client import client_options
from streamer.kafka.event_formats import make_event_decoder
from streamer.kafka.member import GroupMember
from streamer.kafka.reader import open_reader, read_to_end
from streamer.kafka.topic_records import TopicRecord
from streamer.metrics import Metrics
from streamer.model import artifact
from streamer.predict.answers import make_ask
from streamer.predict.local_predictor import LocalPredictor
from streamer.predict.models import LoadedModels, Models
from streamer.predict.serving import Serving
from streamer.settings import Settings
from streamer.testing import START_MS, readings

WINDOWS_OF_10_S = range(5, 7)
"""How many windows a device has that sends for ten seconds: it depends on its phase."""


@dataclass
class Member:
    """A member, and what it shows."""

    settings: Settings
    predictor: LocalPredictor = field(default_factory=lambda: LocalPredictor(artifact.load()))
    until_end: bool = False
    metrics: Metrics = field(default_factory=Metrics)
    health: Health = field(default_factory=lambda: Health(time.monotonic))
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Work until stopped."""
        member = GroupMember(
            self.settings,
            self.metrics,
            self.health,
            make_models(self.predictor, self.metrics, self.health),
            self.stopping,
            feature_set=self.predictor.feature_set,
            until_end=self.until_end,
        )
        async with asyncio.timeout(240):
            await member.run()

    def value(self, name: str, **labels: str) -> float:
        """A metric of this member."""
        return self.metrics.registry.get_sample_value(f"streamer_{name}", labels) or 0.0

    @property
    def resets(self) -> dict[str, float]:
        """How often partitions were not taken up where the group had left them, by reason."""
        [family] = self.metrics.position_resets.collect()
        return {
            sample.labels["reason"]: sample.value
            for sample in family.samples
            if sample.name.endswith("_total")
        }


async def run_to_end(settings: Settings) -> Member:
    """Take in what is there."""
    member = Member(settings, until_end=True)
    await member.run()
    return member


@asynccontextmanager
async def working(member: Member) -> AsyncIterator[Member]:
    """A member that works until the context ends; it must end well."""
    task = asyncio.create_task(member.run())
    try:
        yield member
    finally:
        member.stopping.set()
        await task


def make_models(predictor: LocalPredictor, metrics: Metrics, health: Health) -> Models:
    """Models that never change."""
    serving = Serving("", make_ask(predictor), is_first=True)
    return Models(lambda: LoadedModels(serving, predictor.feature_set), metrics, health)


def ten_seconds(device_id: str, start_s: float = 0.0, batch: int = 50) -> list[Record]:
    """The readings of a device that moves for ten seconds."""
    t = np.arange(500) / 50
    swing = 0.4 * np.sin(2 * np.pi * 2 * t)
    still = np.zeros_like(t)
    samples = np.stack([swing, still - 0.98, still + 0.12, swing, still, still], axis=1)
    return readings(device_id, samples, START_MS + 1000 * start_s, batch)


async def publish(settings: Settings, records: Iterable[Record], partition: int = 0) -> None:
    """Write records into a partition of the readings."""
    async with AIOKafkaProducer(
        **client_options(settings), max_request_size=64_000_000
    ) as producer:
        await asyncio.gather(
            *[
                await producer.send(
                    settings.readings_topic,
                    record.value,
                    record.key,
                    partition,
                    headers=list(record.headers),
                )
                for record in records
            ]
        )


async def read_topic(settings: Settings, topic: str) -> list[TopicRecord]:
    """Every committed record of a topic."""
    async with open_reader(settings, topic, "earliest", 10) as consumer:
        return [record async for record in read_to_end(consumer)]


async def read_events(settings: Settings) -> list[ActivityEvent]:
    """Every committed event."""
    decode = make_event_decoder(settings)
    return [decode(r.value or b"") for r in await read_topic(settings, settings.events_topic)]


async def until(condition: Callable[[], Awaitable[object]], patience_s: float = 120) -> None:
    """Wait for something that another process does."""
    async with asyncio.timeout(patience_s):
        while not await condition():  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.05)


async def until_devices(settings: Settings, *device_ids: str) -> None:
    """Wait until there are events of these devices, all that ten seconds give."""

    async def there() -> bool:
        found = [event.device_id for event in await read_events(settings)]
        return all(found.count(each) in WINDOWS_OF_10_S for each in device_ids)

    await until(there)
